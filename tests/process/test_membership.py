"""By its incarnation a device joins: a folder that is not the one the registry knows is not believed."""

from __future__ import annotations

import errno
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from drystone import membership
from drystone.cluster import Cluster
from drystone.device_copies import RingCopy, read_cluster_copy, read_ring_copy
from drystone.device_folder import make_in
from drystone.device_opening import write_opening
from drystone.device_records import DeviceRecord, load_records, save_records
from drystone.folder import DataFolder
from drystone.membership import Membership
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, DamageError, DeviceError
from store.device.port import DevicePort
from store.objects.model import Policy
from store.registry import Registry, memory_registry
from store.ring import Builder, Ring

CLUSTER = Cluster(b"c" * 16, b"k" * 16, (Policy(0, "one", replicas=1, default=True),))


def ring_of(count: int) -> Ring:
    builder = Builder()
    for number in range(count):
        builder.add(1, 1, "m", 1.0, f"devices/{number}")
    builder.add_width(1)
    return Ring(CLUSTER.key, (builder.rebalance(0),))


class Place:
    """A data folder with one device, and the registry that knows it."""

    def __init__(self, path: Path) -> None:
        self.folder = DataFolder(str(path))
        self.path = path / "devices/0"
        self.registry: Registry = memory_registry(SystemClock())
        self.ring = ring_of(1)

    def make(self, *, in_sync: bool = True) -> bytes:
        self.path.mkdir(parents=True)
        copy = RingCopy(0, self.ring, {})
        return make_in(str(self.path), 0, CLUSTER, copy, SystemRandom(), in_sync=in_sync).incarnation

    async def record(self) -> DeviceRecord:
        return (await load_records(self.registry))[0]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[DevicePort, Membership]]:
        with ExitStack() as stack:
            membership = Membership(self.folder, CLUSTER, self.registry, self.ring, SystemRandom())
            await membership.load()
            owned = (await membership.open(0, stack)).device
            yield owned.port, membership
            await owned.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_device_of_a_version_without_incarnations_is_taken_as_it_is(place: Place) -> None:
    incarnation = place.make()
    async with place.opened() as (device, _):
        assert device.in_sync
    record = await place.record()
    assert record == DeviceRecord(incarnation, in_sync=True, label="devices/0", opening=record.opening)


async def test_a_device_that_was_never_seen_is_not_believed_later(place: Place) -> None:
    place.make()
    membership = Membership(place.folder, CLUSTER, place.registry, place.ring, SystemRandom())
    await membership.note_absent()
    async with place.opened() as (device, _):
        assert not device.in_sync


async def test_another_incarnation_is_not_in_sync_until_it_has_rejoined(place: Place) -> None:
    incarnation = place.make()
    await save_records(place.registry, {0: DeviceRecord(b"another" * 2, in_sync=True, label="devices/0")})
    async with place.opened() as (device, _):
        assert not device.in_sync
        record = await place.record()
        assert record == DeviceRecord(incarnation, in_sync=False, label="devices/0", opening=record.opening)
    async with place.opened() as (device, membership):
        assert not device.in_sync, "not by being opened again"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(membership.run)
            await device.set_in_sync(in_sync=True)
            while not (await place.record()).in_sync:
                await trio.sleep(0)
            nursery.cancel_scope.cancel()
    async with place.opened() as (device, _):
        assert device.in_sync


async def test_a_device_that_the_registry_knows_as_behind_is_not_in_sync(place: Place) -> None:
    """As it is noted before tombstones are collected without it."""
    incarnation = place.make()
    await save_records(place.registry, {0: DeviceRecord(incarnation, in_sync=False, label="devices/0")})
    async with place.opened() as (device, _):
        assert not device.in_sync


async def test_an_older_copy_of_the_folder_is_not_believed(place: Place, tmp_path: Path) -> None:
    """A snapshot of the disk that is put back: it lacks what was written since it was taken."""
    place.make()
    async with place.opened() as (device, _):
        assert device.in_sync
    shutil.copytree(place.path, tmp_path / "copy")
    for _ in range(2):
        async with place.opened() as (device, _):
            assert device.in_sync, "it is the one that was here last"
    shutil.rmtree(place.path)
    shutil.copytree(tmp_path / "copy", place.path)
    async with place.opened() as (device, _):
        assert not device.in_sync
        assert not (await place.record()).in_sync
    async with place.opened() as (device, _):
        assert not device.in_sync, "not by being opened again"


async def test_a_copy_from_before_openings_were_kept_is_not_believed(place: Place, tmp_path: Path) -> None:
    place.make()
    shutil.copytree(place.path, tmp_path / "copy")
    async with place.opened():
        pass
    shutil.rmtree(place.path)
    shutil.copytree(tmp_path / "copy", place.path)
    async with place.opened() as (device, _):
        assert not device.in_sync


@pytest.mark.parametrize("first", [True, False], ids=["first opening", "a later one"])
@pytest.mark.parametrize("step", range(3))
async def test_a_crash_at_any_step_of_an_opening_leaves_a_device_that_is_believed(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: int, first: bool
) -> None:
    place.make()
    if not first:
        async with place.opened():
            pass
    steps = 0

    def crash_at(step: int) -> None:
        nonlocal steps
        steps += 1
        if steps > step:
            raise DeviceError("it dies here")

    async def saved(registry: Registry, records: dict[int, DeviceRecord]) -> None:
        crash_at(step)
        await save_records(registry, records)

    def written(path: str, opening: bytes) -> None:
        crash_at(step)
        write_opening(path, opening)

    monkeypatch.setattr(membership, "save_records", saved)
    monkeypatch.setattr(membership, "write_opening", written)
    with suppress(DeviceError):
        async with place.opened():
            pass
    monkeypatch.undo()
    for _ in range(2):
        async with place.opened() as (device, _):
            assert device.in_sync


async def test_a_device_that_is_too_full_for_it_serves_and_is_believed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.make()
    async with place.opened():
        pass

    def full(_path: str, _opening: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(membership, "write_opening", full)
    async with place.opened() as (device, _):
        assert device.in_sync
    monkeypatch.undo()
    async with place.opened() as (device, _):
        assert device.in_sync


async def test_every_device_keeps_the_newest_ring(place: Place) -> None:
    place.make()
    async with place.opened() as (_, membership):
        await membership.keep()
        first = read_ring_copy(str(place.path), CLUSTER.key)
        assert first is not None
        assert first.records == {0: replace(await place.record(), opening=b"")}
        assert read_cluster_copy(str(place.path)) == CLUSTER
        builder = Builder(place.ring.newest)
        builder.set_weight(0, 2)
        membership.know(place.ring.publish(builder.rebalance(0)))
        await membership.keep()
        second = read_ring_copy(str(place.path), CLUSTER.key)
        assert second is not None
        assert second.order > first.order
        assert [layout.version for layout in second.ring.live] == [1, 2]


async def test_a_device_of_another_placement_key_is_refused(place: Place) -> None:
    place.make()
    other = Cluster(CLUSTER.id, b"x" * 16, CLUSTER.policies)
    membership = Membership(place.folder, other, place.registry, place.ring, SystemRandom())
    with ExitStack() as stack, pytest.raises(DamageError, match="placement key"):
        await membership.open(0, stack)
    async with place.opened():
        pass  # it was closed in order


async def test_a_device_that_left_the_ring_and_the_registry_is_nowhere(place: Place) -> None:
    """Whoever goes over the devices of the ring before may still ask."""
    membership = Membership(place.folder, CLUSTER, place.registry, ring_of(2), SystemRandom())
    await membership.load()
    assert membership.path(1) == place.folder.device("devices/1")
    membership.know(ring_of(1))
    assert membership.path(1) == place.folder.device("")


async def test_a_device_of_another_node_is_left_to_it(place: Place) -> None:
    incarnation = place.make()
    record = DeviceRecord(incarnation, in_sync=True, label="devices/0", node="n2")
    await save_records(place.registry, {0: record})
    membership = Membership(place.folder, CLUSTER, place.registry, place.ring, SystemRandom(), "n1")
    await membership.load()
    assert (membership.own, membership.places) == ([], {0: "n2"})
    with ExitStack() as stack, pytest.raises(ConflictError, match="on node n2"):
        await membership.open(0, stack)
    mine = Membership(place.folder, CLUSTER, place.registry, place.ring, SystemRandom(), "n2")
    await mine.load()
    with ExitStack() as stack:
        device = (await mine.open(0, stack)).device
        await device.close()
    found = await place.record()
    assert found == replace(record, opening=found.opening)
