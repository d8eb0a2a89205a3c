"""Moves of data to where a new layout wants them: durable there before a row says so, and before the old ones go."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError
from store.device.port import Done
from store.device.row import IndexRow, RowKey
from store.engine.device import Device
from store.objects.model import Container, Policy
from store.objects.rowcodec import DataLocation
from store.objects.store import OpenRow
from store.replicator.move import Mover
from store.replicator.rebalance import MOVES_AT_ONCE, SCHEDULE, Rebalancer
from store.replicator.restore import Restorer
from store.ring import ROWS
from tests.replicator.clusters import HEAD, key_of, media_of, opened, put_out, write
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode
from tests.simulation.object_checks import read_value

LARGE = Random(1).randbytes(3 * BLOCK_BYTES + 1)
NAMES = [f"o{number}" for number in range(12)]
COPIES = Policy(0, "copies", default=True)
CODE = Policy(0, "code", k=2, m=1, codec="zfec", default=True)


async def places_of(node: SimNode, container: Container) -> dict[str, tuple[int, ...]]:
    """The devices that each object's row names."""
    found = {}
    for name in NAMES:
        row = await node.store.rows.read(*key_of(node, container, name))
        assert row is not None
        data_location = Restorer.data_location(row.row)
        assert data_location is not None
        found[name] = data_location.devices
    return found


@pytest.mark.parametrize("policy", [COPIES, CODE], ids=["copies", "code"])
async def test_no_row_names_a_device_before_the_data_are_durable_there(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    async with opened(media_of(4, [policy])) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        before = await places_of(node, container)
        submit_sync = Device.submit_sync

        def fails(self: Device, losses: int, done: Done) -> None:
            if self.id == 4:
                raise DeviceError("no sync")
            submit_sync(self, losses, done)

        monkeypatch.setattr(Device, "submit_sync", fails)
        node.media.change_ring(lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        await node.follow_ring()
        await trio.sleep(60)
        during = await places_of(node, container)
        assert [name for name, devices in during.items() if 4 in devices] == []
        for name, devices in before.items():
            assert len(set(devices) & set(during[name])) >= 2
        monkeypatch.undo()
        await node.run_daemons()
        assert any(4 in devices for devices in (await places_of(node, container)).values())
        for name in NAMES:
            assert await read_value(node.store, container, name) == ("m", LARGE)


async def test_copies_that_are_read_while_their_object_moves_stay(autojump_clock: MockClock) -> None:
    async with opened(media_of(4)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        async with node.store.open(container, "o") as opened_row:
            assert isinstance(opened_row, OpenRow)
            data_id, before = opened_row._data_id, opened_row._data_location
            assert before is not None
            old = node.devices[before.devices[0]]
            node.media.change_ring(lambda builder: builder.set_weight(old.id, 0.0))
            await node.follow_ring()
            await trio.sleep(60)
            row = await node.store.rows.read(*key_of(node, container, "o"))
            assert row is not None
            data_location = Restorer.data_location(row.row)
            assert data_location is not None
            assert old.id not in data_location.devices
            assert await old.has_blocks(data_id)
            assert b"".join([bytes(piece) async for piece in opened_row.read()]) == LARGE
        await node.run_daemons()
        assert not await old.has_blocks(data_id)
        assert await read_value(node.store, container, "o") == ("m", LARGE)


async def test_who_writes_an_object_does_not_wait_for_its_move_and_its_copies_go_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Mover.copy
    late: list[bytes] = []

    async def slowly(self: Mover, key: RowKey, row: IndexRow, before: DataLocation, wanted: DataLocation) -> None:
        await copy(self, key, row, before, wanted)
        late.append(row.data_id)
        await trio.sleep(1000)

    async with opened(media_of(4)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        row = await node.store.rows.read(*key_of(node, container, "o"))
        assert row is not None
        data_location = Restorer.data_location(row.row)
        assert data_location is not None
        monkeypatch.setattr(Mover, "copy", slowly)
        node.media.change_ring(lambda builder: builder.set_weight(data_location.devices[0], 0.0))
        await node.follow_ring()
        while not late:
            await trio.sleep(1)
        began = trio.current_time()
        await node.store.put(container, "o", b"new", HEAD)
        assert trio.current_time() - began < 20
        await trio.sleep(2000)
        await node.run_daemons()
        assert await read_value(node.store, container, "o") == ("m", b"new")
        assert [device.id for device in node.devices.values() if await device.has_blocks(late[0])] == []


async def test_several_objects_are_moved_at_a_time_and_each_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Mover.copy
    moved: list[bytes] = []
    most = running = 0

    async def counted(self: Mover, key: RowKey, row: IndexRow, before: DataLocation, wanted: DataLocation) -> None:
        nonlocal most, running
        moved.append(row.data_id)
        running += 1
        most = max(most, running)
        await trio.sleep(10)
        await copy(self, key, row, before, wanted)
        running -= 1

    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        monkeypatch.setattr(Mover, "copy", counted)
        node.media.change_ring(lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        await node.follow_ring()
        await trio.sleep(200)
        assert (
            len(moved)
            == len(set(moved))
            == sum(4 in devices for devices in (await places_of(node, container)).values())
        )
        assert 2 <= most <= MOVES_AT_ONCE


@pytest.mark.at_once("about which of several processes moves what")
async def test_the_process_of_the_first_replica_that_is_there_moves_an_object(autojump_clock: MockClock) -> None:
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        rebalancer, everyones = node.replicator.rebalancer, dict(node.store.own)
        mine: dict[str, list[int]] = {name: [] for name in NAMES}
        for number, device in everyones.items():  # as if each device had a process of its own
            node.store.own = {number: device}
            for name in NAMES:
                if rebalancer._moves_here(key_of(node, container, name)[1]):
                    mine[name].append(number)
        for name in NAMES:
            key, packed = key_of(node, container, name)
            replicas = node.store.rows.ring.in_sync(ROWS, key.ring_hash)
            assert mine[name] == [replicas[0]]
            put_out(node, replicas[0])
            node.store.own = {replicas[1]: everyones[replicas[1]]}
            assert rebalancer._moves_here(packed)
            break
        node.store.own = everyones


@pytest.mark.at_once("about rounds of one process")
async def test_what_another_process_was_to_move_and_does_not_is_taken_over(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        before = await places_of(node, container)
        monkeypatch.setattr(Rebalancer, "_moves_here", lambda _self, _packed: False)
        node.media.change_ring(lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        await node.follow_ring()
        await trio.sleep(SCHEDULE.retry / 2)
        assert await places_of(node, container) == before
        await trio.sleep(8 * SCHEDULE.retry)
        assert any(4 in devices for devices in (await places_of(node, container)).values())
