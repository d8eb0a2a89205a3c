"""Collecting displaced data and tombstones: what cannot go yet does not keep what is behind it waiting."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.countdown import Countdown
from store.core.errors import DamageError, DeviceError
from store.engine.device import Device
from store.engine.row import Flag, index_key
from store.replicator import collect, tombstones
from tests.replicator.clusters import HEAD, exists, homes_of, key_of, machine_of, opened, put_out, write
from tests.simulation.house import House
from tests.simulation.limits import BLOCK_BYTES

LARGE = Random(1).randbytes(BLOCK_BYTES + 1)
NAMES = [f"o{number}" for number in range(40)]


async def all_tombstones(house: House) -> set[bytes]:
    found: set[bytes] = set()
    for device in house.devices.values():
        if device.health.failed is None:
            found.update(packed for packed, _ in await device.tombstones(b"", 1000))
    return found


@pytest.fixture
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PAGE", 4)
    monkeypatch.setattr(collect, "AT_ONCE", 20)
    monkeypatch.setattr(tombstones, "PAGE", 4)


@pytest.mark.usefixtures("_small_pages")
async def test_data_that_are_read_do_not_keep_others_from_being_dropped(autojump_clock: MockClock) -> None:
    async with opened(machine_of(3)) as (house, container):
        for name in NAMES:
            await write(house.store, container, name, LARGE)
        await trio.sleep(5)
        async with house.store.open(container, NAMES[0]) as first, house.store.open(container, NAMES[1]) as second:
            for name in NAMES:
                await house.store.delete(container, name)
            await trio.sleep(10)
            for device in house.devices.values():
                assert len(await device.garbage(b"", 100)) in (0, 1, 2)
            for opened_object in (first, second):
                assert b"".join([bytes(piece) async for piece in opened_object.read()]) == LARGE
        await trio.sleep(10)
        for device in house.devices.values():
            assert await device.garbage(b"", 100) == []


@pytest.mark.usefixtures("_small_pages")
async def test_data_whose_row_cannot_be_read_do_not_keep_others_from_being_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(machine_of(3)) as (house, container):
        for name in NAMES:
            await write(house.store, container, name, LARGE)
        await trio.sleep(5)
        unreadable = {key_of(house, container, name)[1] for name in NAMES[:6]}
        find_row = Device.find_row

        async def fails(self: Device, packed: bytes) -> object:
            if packed in unreadable:
                raise DamageError("not as it was written")
            return await find_row(self, packed)

        for name in NAMES:
            await house.store.delete(container, name)
        monkeypatch.setattr(Device, "find_row", fails)
        await trio.sleep(10)
        owners = {index_key(note.owner) for device in house.devices.values() for note in await device.garbage(b"", 99)}
        assert owners
        assert owners <= unreadable
        monkeypatch.undo()


@pytest.mark.usefixtures("_small_pages")
async def test_one_device_out_holds_up_only_the_tombstones_that_it_should_have(autojump_clock: MockClock) -> None:
    async with opened(machine_of(6)) as (house, container):
        for name in NAMES:
            await house.store.put(container, name, b"data", HEAD)
            await house.store.delete(container, name)
        await trio.sleep(5)
        kept = {
            number: {key_of(house, container, name)[1] for name in NAMES if number in homes_of(house, container, name)}
            for number in house.devices
        }
        out, left = next((number, some) for number, some in kept.items() if 0 < len(some) < len(NAMES))
        put_out(house, out)
        await house.replicator.tombstones.collect_tombstones()
        assert await all_tombstones(house) == left


async def test_one_tombstone_that_cannot_be_looked_at_does_not_end_the_walk(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(machine_of(3)) as (house, container):
        for name in NAMES:
            await house.store.put(container, name, b"data", HEAD)
            await house.store.delete(container, name)
        await trio.sleep(5)
        bad = min(key_of(house, container, name)[1] for name in NAMES)
        find_stamp = Device.find_stamp

        async def fails(self: Device, packed: bytes) -> bytes | None:
            if packed == bad:
                raise DamageError("not as it was written")
            return await find_stamp(self, packed)

        monkeypatch.setattr(Device, "find_stamp", fails)
        await house.replicator.tombstones.collect_tombstones()
        assert await all_tombstones(house) == {bad}


async def test_a_tombstone_stays_while_any_replica_has_not_got_it(autojump_clock: MockClock) -> None:
    """Has an older version, or nothing at all, and whichever replica that is: it could bring the object back."""
    for lacks in range(3):
        for what in ("nothing", "older"):
            async with opened(machine_of(3)) as (house, container):
                await house.store.put(container, "o", b"data", HEAD)
                await trio.sleep(5)
                packed = key_of(house, container, "o")[1]
                replica = house.devices[homes_of(house, container, "o")[lacks]]
                row = await replica.find_row(packed)
                assert row is not None
                others = [device for device in house.devices.values() if device is not replica]
                house.store.rows.on_missed = lambda *_: None
                submit = replica.submit_row
                replica.submit_row = refuse  # type: ignore[assignment,method-assign]
                await house.store.delete(container, "o")
                await trio.sleep(5)
                replica.submit_row = submit  # type: ignore[method-assign]
                if what == "nothing":
                    replica.forget_row(packed, row.stamp)
                await house.replicator.tombstones.collect_tombstones()
                for device in others:
                    assert await device.find_stamp(packed) is not None, (lacks, what)
                assert not await exists(house.store, container, "o")


async def test_a_tombstone_stays_while_a_replica_is_not_to_be_believed(autojump_clock: MockClock) -> None:
    """What else it may have is not known."""
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await house.store.delete(container, "o")
        await trio.sleep(5)
        for home in homes_of(house, container, "o"):
            house.devices[home].trusted = False
            await house.replicator.tombstones.collect_tombstones()
            house.devices[home].trusted = True
            assert await all_tombstones(house) == {key_of(house, container, "o")[1]}
        await house.replicator.tombstones.collect_tombstones()
        assert await all_tombstones(house) == set()


async def test_a_retired_tombstone_is_released_once_that_is_durable_at_every_replica(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await house.store.delete(container, "o")
        await trio.sleep(5)
        packed = key_of(house, container, "o")[1]
        replicas = [house.devices[home] for home in homes_of(house, container, "o")]
        flush = Device.flush
        for failing in replicas:

            async def fails(self: Device, failing: Device = failing) -> None:
                if self is failing:
                    raise DeviceError("no sync")
                await flush(self)

            monkeypatch.setattr(Device, "flush", fails)
            await house.replicator.tombstones.collect_tombstones()
            for replica in replicas:
                assert [key for key, _ in await replica.retired_tombstones(b"", 10)] == [packed]
        monkeypatch.undo()
        await house.replicator.tombstones.collect_tombstones()
        for replica in replicas:
            assert await replica.retired_tombstones(b"", 10) == []


async def test_data_that_a_quorum_still_names_are_not_dropped(autojump_clock: MockClock) -> None:
    """One replica has noted them as displaced, by a version that reached no other."""
    async with opened(machine_of(3)) as (house, container):
        await write(house.store, container, "o", LARGE)
        await trio.sleep(5)
        key, packed = key_of(house, container, "o")
        rows = house.store.rows
        found = await rows.read(key, packed)
        assert found is not None
        row = await rows.load(key, packed, found)
        newer = row._replace(stamp=rows.stamps.next(row.stamp), flags=Flag.TOMBSTONE, data_id=b"", size=0)
        last = house.devices[homes_of(house, container, "o")[-1]]
        written = Countdown()
        written.add()
        last.submit_row(rows.prepare(newer, packed), lambda _, error: written.done(error))
        await written.wait()
        assert [note.data_id for note in await last.garbage(b"", 10)] == [row.data_id]
        await house.replicator.collector.collect_data()
        assert await last.garbage(b"", 10) == []
        for device in house.devices.values():
            assert await device.has_blocks(row.data_id)


def refuse(*_: object) -> None:
    raise DeviceError("not now")
