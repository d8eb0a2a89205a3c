"""Collecting displaced data and tombstones: what cannot go yet does not keep what is behind it waiting."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DamageError, DeviceError
from store.core.wait_group import WaitGroup
from store.device.port import FindReply
from store.device.row import Flag, index_key
from store.engine.device import Device
from store.replicator import collect, tombstones
from tests.replicator.clusters import HEAD, exists, key_of, media_of, opened, put_out, replicas_of, write
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode

LARGE = Random(1).randbytes(BLOCK_BYTES + 1)
NAMES = [f"o{number}" for number in range(40)]


async def all_tombstones(node: SimNode) -> set[bytes]:
    found: set[bytes] = set()
    for device in node.devices.values():
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
    async with opened(media_of(3)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        async with node.store.open(container, NAMES[0]) as first, node.store.open(container, NAMES[1]) as second:
            for name in NAMES:
                await node.store.delete(container, name)
            await trio.sleep(10)
            for device in node.devices.values():
                assert len(await device.garbage(b"", 100)) in (0, 1, 2)
            for opened_object in (first, second):
                assert b"".join([bytes(piece) async for piece in opened_object.read()]) == LARGE
        await trio.sleep(10)
        for device in node.devices.values():
            assert await device.garbage(b"", 100) == []


async def test_so_many_are_dropped_at_once_and_no_more(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "AT_ONCE", 3)
    drop = collect.Collector._drop
    at_once: list[int] = []

    async def counting(self: collect.Collector) -> object:
        at_once.append(len(self._displaced))
        return await drop(self)

    async with opened(media_of(3)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        async with trio.open_nursery() as nursery:
            for name in NAMES:
                nursery.start_soon(node.store.delete, container, name)
        monkeypatch.setattr(collect.Collector, "_drop", counting)
        await node.replicator.collector.collect_data()
    assert max(at_once) == 3


@pytest.mark.usefixtures("_small_pages")
@pytest.mark.at_once("about what is there before the collector comes round")
async def test_data_whose_row_cannot_be_read_do_not_keep_others_from_being_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        unreadable = {key_of(node, container, name)[1] for name in NAMES[:6]}
        find = Device.submit_find

        def fails(self: Device, packed: bytes, epoch: int, reply: FindReply) -> None:
            if packed in unreadable:
                raise DamageError("not as it was written")
            find(self, packed, epoch, reply)

        for name in NAMES:
            await node.store.delete(container, name)
        monkeypatch.setattr(Device, "submit_find", fails)
        await trio.sleep(10)
        owners = {index_key(note.owner) for device in node.devices.values() for note in await device.garbage(b"", 99)}
        assert owners
        assert owners <= unreadable
        monkeypatch.undo()


@pytest.mark.usefixtures("_small_pages")
@pytest.mark.at_once("about one round, which is over before the next begins by itself")
async def test_one_device_out_holds_up_only_the_tombstones_that_it_should_have(autojump_clock: MockClock) -> None:
    async with opened(media_of(6)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
            await node.store.delete(container, name)
        await trio.sleep(5)
        kept = {
            number: {key_of(node, container, name)[1] for name in NAMES if number in replicas_of(node, container, name)}
            for number in node.devices
        }
        out, left = next((number, some) for number, some in kept.items() if 0 < len(some) < len(NAMES))
        put_out(node, out)
        await node.replicator.tombstones.collect_tombstones()
        assert await all_tombstones(node) == left


async def test_one_tombstone_that_cannot_be_looked_at_does_not_end_the_walk(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)  # the round that begins with the start is over
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
            await node.store.delete(container, name)
        await trio.sleep(5)
        bad = min(key_of(node, container, name)[1] for name in NAMES)
        find_stamp = Device.find_stamp

        async def fails(self: Device, packed: bytes, **more: bool) -> bytes | None:
            if packed == bad:
                raise DamageError("not as it was written")
            return await find_stamp(self, packed, **more)

        monkeypatch.setattr(Device, "find_stamp", fails)
        await node.replicator.tombstones.collect_tombstones()
        assert await all_tombstones(node) == {bad}


async def test_a_tombstone_stays_while_any_replica_has_not_got_it(autojump_clock: MockClock) -> None:
    """Has an older version, or nothing at all, and whichever replica that is: it could bring the object back."""
    for lacks in range(3):
        for what in ("nothing", "older"):
            async with opened(media_of(3)) as (node, container):
                await node.store.put(container, "o", b"data", HEAD)
                await trio.sleep(5)
                packed = key_of(node, container, "o")[1]
                replica = node.devices[replicas_of(node, container, "o")[lacks]]
                row = await replica.find_row(packed)
                assert row is not None
                others = [device for device in node.devices.values() if device is not replica]
                node.store.rows.on_missed = lambda *_: None
                submit = replica.submit_row
                replica.submit_row = refuse  # type: ignore[method-assign]
                await node.store.delete(container, "o")
                await trio.sleep(5)
                replica.submit_row = submit  # type: ignore[method-assign]
                if what == "nothing":
                    replica.forget_row(packed, row.stamp)
                await node.replicator.tombstones.collect_tombstones()
                for device in others:
                    assert await device.find_stamp(packed) is not None, (lacks, what)
                assert not await exists(node.store, container, "o")


async def test_a_tombstone_stays_while_a_replica_is_not_to_be_believed(autojump_clock: MockClock) -> None:
    """What else it may have is not known."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)  # the round that begins with the start is over
        await node.store.put(container, "o", b"data", HEAD)
        await node.store.delete(container, "o")
        await trio.sleep(5)
        for replica in replicas_of(node, container, "o"):
            node.devices[replica].standing.in_sync = False
            await node.replicator.tombstones.collect_tombstones()
            node.devices[replica].standing.in_sync = True
            assert await all_tombstones(node) == {key_of(node, container, "o")[1]}
        await node.replicator.tombstones.collect_tombstones()
        await trio.sleep(1)
        assert await all_tombstones(node) == set()


async def test_a_retired_tombstone_is_released_once_that_is_durable_at_every_replica(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)  # the round that begins with the start is over
        await node.store.put(container, "o", b"data", HEAD)
        await node.store.delete(container, "o")
        await trio.sleep(5)
        packed = key_of(node, container, "o")[1]
        replicas = [node.devices[replica] for replica in replicas_of(node, container, "o")]
        flush = Device.flush
        for failing in replicas:

            async def fails(self: Device, failing: Device = failing) -> None:
                if self is failing:
                    raise DeviceError("no sync")
                await flush(self)

            monkeypatch.setattr(Device, "flush", fails)
            await node.replicator.tombstones.collect_tombstones()
            for replica in replicas:
                assert [key for key, _ in await replica.retired_tombstones(b"", 10)] == [packed]
        monkeypatch.undo()
        await node.replicator.tombstones.collect_tombstones()
        await trio.sleep(1)
        for replica in replicas:
            assert await replica.retired_tombstones(b"", 10) == []


@pytest.mark.at_once("who asks a third replica, since one is late, finds the newer version and brings it to a quorum")
async def test_data_that_a_quorum_still_names_are_not_dropped(autojump_clock: MockClock) -> None:
    """One replica has noted them as displaced, by a version that reached no other."""
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        rows = node.store.rows
        found = await rows.read(key, packed)
        assert found is not None
        row = await rows.load(key, packed, found)
        newer = row._replace(stamp=rows.stamps.next(row.stamp), flags=Flag.TOMBSTONE, data_id=b"", size=0)
        last = node.devices[replicas_of(node, container, "o")[-1]]
        written = WaitGroup()
        written.add()
        last.submit_row(rows.prepare(newer, packed), lambda _, error: written.done(error))
        await written.wait()
        assert [note.data_id for note in await last.garbage(b"", 10)] == [row.data_id]
        await node.replicator.collector.collect_data()
        assert await last.garbage(b"", 10) == []
        for device in node.devices.values():
            assert await device.has_blocks(row.data_id)


def refuse(*_: object, **_more: object) -> None:
    raise DeviceError("not now")
