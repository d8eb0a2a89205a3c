"""Snapshots of the registry: whole or refused, and kept on devices day by day."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from drystone.kept_snapshots import (
    DAY_SECONDS,
    FIRST_SECONDS,
    FOLDER,
    KEPT,
    KeptSnapshots,
    keep_in,
    kept_in,
    newest_kept,
)
from drystone.registry_snapshot import (
    Snapshot,
    encode_snapshot,
    put_all,
    read_snapshot,
    take_snapshot,
    write_snapshot,
)
from store.core.beside import beside
from store.core.errors import DamageError, DeviceError, FullError, NotFoundError
from store.registry import Registry, Span, UnavailableError, memory_registry
from store.registry.single_key import put
from store.replicator.progress import Progress
from tests.simulation.world import SimClock

CLUSTER = b"c" * 16


def made(revision: int, cluster: bytes = CLUSTER) -> Snapshot:
    return Snapshot(cluster, 1_000_000 * revision, revision, ((b"key", b"%d" % revision),))


def keep(device: Path, *revisions: int, cluster: bytes = CLUSTER) -> None:
    for revision in revisions:
        keep_in(str(device), revision, encode_snapshot(made(revision, cluster)))


async def test_all_that_stays_is_in_it_and_comes_back(tmp_path: Path) -> None:
    registry = memory_registry(SimClock())
    for number in range(300):
        await put(registry, b"user/%d" % number, b"x" * 10_000)
    await put(registry, b"token", b"", lease=(await registry.lease(60)).id)
    snapshot = await take_snapshot(registry, CLUSTER, SimClock())
    path = str(tmp_path / "snapshot")
    write_snapshot(path, encode_snapshot(snapshot))
    assert read_snapshot(path) == snapshot
    assert os.stat(path).st_mode & 0o777 == 0o600
    other = memory_registry(SimClock())
    await put_all(other, snapshot.items)
    found = await other.range(Span.prefix(b""))
    assert [(item.key, item.value) for item in found] == [
        (item.key, item.value) for item in await registry.range(Span.prefix(b"")) if item.key != b"token"
    ]
    assert snapshot.revision >= await registry.revision()


def test_one_that_is_not_whole_is_none(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    packed = encode_snapshot(made(7))
    for spoilt in (packed[:-1], packed[1:], b"", packed[:20] + b"x" + packed[21:]):
        path.write_bytes(spoilt)
        with pytest.raises(DamageError, match="checksum"):
            read_snapshot(str(path))
    with pytest.raises(NotFoundError):
        read_snapshot(str(tmp_path / "nothing"))
    with pytest.raises(DeviceError, match="cannot be written"):
        write_snapshot(str(tmp_path / "nowhere" / "snapshot"), packed)


def test_a_device_keeps_the_newest_few(tmp_path: Path) -> None:
    keep(tmp_path, *range(1, KEPT + 4))
    assert [int(os.path.basename(path)) for path in kept_in(str(tmp_path))] == list(range(KEPT + 3, 3, -1))
    keep(tmp_path, KEPT + 3)
    assert len(kept_in(str(tmp_path))) == KEPT
    left = tmp_path / FOLDER / "00000000000000000001.new"
    left.write_bytes(b"of a process that was killed")
    keep(tmp_path, KEPT + 4)
    assert not left.exists()


def test_a_device_that_is_full_or_gone_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        keep(tmp_path / "unmounted", 1)
    assert not (tmp_path / "unmounted").exists()
    monkeypatch.setattr(
        "drystone.kept_snapshots.os.statvfs", lambda _: os.statvfs_result((1, 1, 1, 1, 1, 1, 1, 1, 0, 255))
    )
    with pytest.raises(FullError, match="is full"):
        keep(tmp_path, 1)
    assert kept_in(str(tmp_path)) == []


def test_the_newest_that_can_be_read_of_this_cluster_is_found(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for device in one, other:
        device.mkdir()
    assert newest_kept([str(one), str(tmp_path / "gone")], CLUSTER) is None
    keep(one, 3, 5)
    keep(other, 4, 9)
    keep(other, 11, cluster=b"x" * 16)
    assert newest_kept([str(one), str(other)], CLUSTER) == made(9)
    Path(kept_in(str(other))[1]).write_bytes(b"damaged")
    assert newest_kept([str(one), str(other)], CLUSTER) == made(5)


class Away:
    """A registry that is not there."""

    async def range(self, span: Span) -> None:
        raise UnavailableError("nobody answers")


async def test_what_fails_is_said_and_the_others_are_kept(tmp_path: Path, mock_clock: MockClock) -> None:
    registry = memory_registry(SimClock())
    progress = Progress("snapshots")
    devices = [str(tmp_path), str(tmp_path / "gone")]
    kept = KeptSnapshots(registry, CLUSTER, SimClock(), lambda: devices, progress)
    assert kept.age_s() is None
    assert await kept.keep()
    assert kept.age_s() == 0
    assert (progress.done, progress.failed) == (1, 1)
    assert "gone" in progress.trouble
    del devices[1]
    assert await kept.keep()
    assert progress.trouble == ""
    away: Registry = Away()  # type: ignore[assignment]
    assert not await KeptSnapshots(away, CLUSTER, SimClock(), lambda: devices, progress).keep()
    assert "nobody answers" in progress.trouble


async def test_one_is_taken_soon_after_the_first_start_and_then_each_day(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(work: Callable[[], object], **_: object) -> object:
        await trio.lowlevel.checkpoint()
        return work()

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)  # no clock jumps over the end of a thread
    registry = memory_registry(SimClock())
    kept = KeptSnapshots(registry, CLUSTER, SimClock(), lambda: [str(tmp_path)], Progress("snapshots"))
    async with beside(kept.run):
        await trio.sleep(FIRST_SECONDS - 1)
        assert newest_kept([str(tmp_path)], CLUSTER) is None
        await trio.sleep(2)
        assert len(kept_in(str(tmp_path))) == 1
        await put(registry, b"key", b"value")
        await trio.sleep(DAY_SECONDS - 2)
        assert len(kept_in(str(tmp_path))) == 1
        await trio.sleep(2)
        assert len(kept_in(str(tmp_path))) == 2
        assert kept.age_s() == 1
    await put(registry, b"key", b"another")
    async with beside(KeptSnapshots(registry, CLUSTER, SimClock(), lambda: [str(tmp_path)], Progress("again")).run):
        await trio.sleep(DAY_SECONDS - 2)
        assert len(kept_in(str(tmp_path))) == 2, "a restart is no reason for one"
        await trio.sleep(2)
        assert len(kept_in(str(tmp_path))) == 3
