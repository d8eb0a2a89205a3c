"""What the owner of devices is given: the port, how a device does, and what is in a folder that nobody serves."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from pathlib import Path

import msgpack
import pytest
import trio
from xxhash import xxh3_64_intdigest

import store.engine
from store.core.disk import SystemDisk
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, DeviceError
from store.device.record import Kind, seal
from store.engine.committer import Committer
from store.engine.dump import dump_folder
from store.engine.folder import find_superblock, make_in_folder
from store.engine.options import Options
from store.engine.owner import open_folder
from tests.engine.ballots import promise
from tests.engine.devices import CLUSTER, TABLE, row, write
from tests.simulation.node import engine_of

PUBLIC = {"dump", "folder", "options", "owner"}
SMALL = Options(64 * 1024, 0, spares=0)


def made(path: Path) -> str:
    path.mkdir()
    make_in_folder(str(path), 1, CLUSTER, SystemRandom(), in_sync=True, first=lambda: None)
    return str(path)


def test_the_owner_may_import_what_is_public_and_nothing_else() -> None:
    """A module that is new belongs into the list, or is public."""
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each.get("source_modules") == ["drystone"]]
    there = {path.stem for path in Path(store.engine.__path__[0]).glob("*.py")} - {"__init__"}
    assert {name.removeprefix("store.engine.") for name in contract["forbidden_modules"]} == there - PUBLIC


def test_a_folder_is_no_device_before_all_of_it_is_there(tmp_path: Path) -> None:
    def stop() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_in_folder(str(tmp_path), 1, CLUSTER, SystemRandom(), in_sync=True, first=stop)
    with pytest.raises(DeviceError, match="holds no device"):
        find_superblock(str(tmp_path))
    disk = SystemDisk(str(tmp_path))
    with pytest.raises(ConflictError):
        make_in_folder(str(tmp_path), 1, CLUSTER, SystemRandom(), in_sync=True, first=lambda: None)
    disk.close()
    superblock = make_in_folder(str(tmp_path), 1, CLUSTER, SystemRandom(), in_sync=False, first=lambda: None)
    assert find_superblock(str(tmp_path)) == superblock
    assert (superblock.device, superblock.cluster, superblock.in_sync) == (1, CLUSTER, False)


def test_a_folder_of_a_newer_program_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = made(tmp_path / "d")
    newer = msgpack.packb([4, "who knows"])
    (tmp_path / "d" / "device").write_bytes(newer + xxh3_64_intdigest(newer).to_bytes(8, "little"))
    with pytest.raises(DeviceError, match=r"superblock: version 4 .*newer Drystone"):
        find_superblock(path)


async def test_how_a_device_does(tmp_path: Path) -> None:
    path = made(tmp_path / "d")
    with ExitStack() as stack:
        owned = await open_folder(1, CLUSTER, path, stack, SMALL)
        device = engine_of(owned.port)
        assert owned.status()[:4] == (0, 0, (), False)
        await write(device, row(b"a", 1, b"data"), row(b"b", 1, b"data"))
        device.report_damage(b"", "a line")
        status = owned.status()
        assert status.live_bytes == sum(device.segment_usage.live.values()) > 0
        assert (status.damages, status.damage, status.records) == (1, ("a line",), 3)  # with the segment's first
        assert 0 < status.commits < status.syncs
        report = await owned.check()
        assert (report.rows, report.problems) == (2, [])
        await owned.close()
    await _opens_with(path, rows=2)


async def _opens_with(path: str, rows: int) -> None:
    with ExitStack() as stack:
        owned = await open_folder(1, CLUSTER, path, stack, SMALL)
        assert (await owned.check()).rows == rows
        with pytest.raises(ConflictError):
            await open_folder(1, CLUSTER, path, stack, SMALL)
        await owned.close()


async def test_an_index_is_not_set_aside_for_what_a_newer_program_wrote(tmp_path: Path) -> None:
    path = made(tmp_path / "d")
    with ExitStack() as stack:
        owned = await open_folder(1, CLUSTER, path, stack, SMALL)
        await _append(engine_of(owned.port)._committer, 77)
        engine_of(owned.port).stop_workers()
        engine_of(owned.port).release()
    for _ in range(2):
        with ExitStack() as stack, pytest.raises(DeviceError, match="newer Drystone"):
            await open_folder(1, CLUSTER, path, stack, SMALL)
    assert [name.name for name in (tmp_path / "d").iterdir() if "damaged" in name.name] == []


async def _append(committer: Committer, kind: int) -> None:
    done = trio.Event()
    committer.submit(seal(kind, b"who knows"), lambda _location, _error: done.set())
    await done.wait()


async def test_a_dump_shows_what_is_not_known_as_that(tmp_path: Path) -> None:
    path = made(tmp_path / "d")
    with ExitStack() as stack:
        owned = await open_folder(1, CLUSTER, path, stack, SMALL)
        await write(engine_of(owned.port), row(b"a", 1, b"data"))
        await _append(engine_of(owned.port)._committer, 77)
        await _append(engine_of(owned.port)._committer, Kind.ROW)
        await promise(engine_of(owned.port), b"p", 8)
        owned.port.submit_fence(b"\x0d" * 16, 9, lambda *_: None)
        await owned.port.drain()
        await owned.close()
    said = list(dump_folder(path))
    assert said[0].startswith("device 1 of cluster")
    assert [sum(text in line for line in said) for text in ("row 7474", "kind 77", "not of a known form")] == [1, 1, 1]
    assert [line.split(", ")[-1] for line in dump_folder(path, "promise") if "promise" in line] == [
        f"promise of {TABLE.hex()}/0 b'p' below 8.1"
    ]
    assert [line.split(" bytes, ")[1] for line in dump_folder(path, "fence") if "fence" in line] == [
        f"fence of {'0d' * 16} below epoch 9, the first at 9"
    ]
    assert len(list(dump_folder(path, "previous_segment"))) == len(said) - 5
