"""The scrubber drops data that nobody claims, and never what is being written, moved or settled at that moment."""

from __future__ import annotations

from random import Random

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from store.core.countdown import Countdown
from store.engine.block import BlockKey
from store.engine.device import Device
from store.engine.record import Sealed
from store.engine.row import index_key
from store.objects.model import Container, ObjectHead, Policy
from store.objects.upload import mark_row
from store.replicator.restore import seal_block
from store.ring import Builder
from tests.replicator.clusters import homes_of, key_of, machine_of, opened
from tests.simulation.house import House, Machine, open_house
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.object_checks import read_value
from tests.simulation.supply import Supply

POLICIES = (Policy(0, "copies", replicas=2, default=True),)
HEAD = ObjectHead("t", {"mark": "m"})
DATA = Random(0).randbytes(5 * BLOCK_BYTES)


async def _container(house: House) -> Container:
    await house.store.put_account("a", {})
    return (await house.store.put_container("a", "c", {}))[0]


def _swap_devices(machine: Machine) -> None:
    """A layout under which all homes are others: three new devices, and the old ones are to be emptied."""

    def change(builder: Builder) -> None:
        for number in list(machine.ring.devices):
            builder.set_weight(number, 0.0)
        for number in range(3, 6):
            builder.add(1, 1, f"m{number}", 1.0, f"disk{number}")

    machine.change_ring(change)


async def _rebalanced(house: House) -> None:
    await house.replicator.reconciler.reconcile_all()
    await house.follow_ring()
    await house.replicator.reconciler.reconcile_all()
    await house.replicator.rebalancer.rebalance()
    assert len(house.machine.ring.live) == 1


async def test_an_upload_under_way_keeps_its_blocks_through_a_change_of_all_homes(autojump_clock: MockClock) -> None:
    machine = Machine(Random(1), 3, POLICIES)
    with small_limits():
        async with open_house(machine, Supply()) as house:
            container = await _container(house)
            async with house.store.upload(container, "o") as upload:
                await upload.write(DATA[: 3 * BLOCK_BYTES])
                _swap_devices(machine)
                await _rebalanced(house)
                for device in house.devices.values():
                    await device.sync_data(device.data_losses)
                await house.replicator.scrubber.scrub()
                await upload.write(DATA[3 * BLOCK_BYTES :])
                await upload.commit(HEAD)
            assert await read_value(house.store, container, "o") == ("m", DATA)
            await house.settle()
            assert await read_value(house.store, container, "o") == ("m", DATA)
            assert not any(device.view.uploads(b"", 10) for device in house.devices.values()), "a mark stayed"


async def test_copies_on_their_way_to_a_new_home_are_no_orphans(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(Random(1), 3, POLICIES)
    write_block = Device.write_block

    async def scrub_first(self: Device, key: BlockKey, sealed: Sealed) -> None:
        await write_block(self, key, sealed)
        await self.sync_data(self.data_losses)
        nursery.start_soon(house.replicator.scrubber.scrub)
        await wait_all_tasks_blocked()

    with small_limits():
        async with open_house(machine, Supply()) as house:
            nursery = house.nursery
            container = await _container(house)
            async with house.store.upload(container, "o") as upload:
                await upload.write(DATA)
                await upload.commit(HEAD)
            before = await house.store.head(container, "o")
            with monkeypatch.context() as patch:
                patch.setattr(Device, "write_block", scrub_first)
                _swap_devices(machine)
                await _rebalanced(house)
            after = await house.store.head(container, "o")
            assert after.changed.time_us == before.changed.time_us, "to a tenant a move is no change"
            for number in range(3):
                machine.media[number].broken = True
            assert await read_value(house.store, container, "o") == ("m", DATA)


async def test_data_that_nobody_claims_are_dropped(autojump_clock: MockClock) -> None:
    machine = Machine(Random(1), 3, POLICIES)
    with small_limits():
        async with open_house(machine, Supply()) as house:
            container = await _container(house)
            async with house.store.upload(container, "o") as upload:
                await upload.write(DATA)
                await upload.commit(HEAD)
            key = house.store.rows.key(container.id, container.shards, b"o")
            stranger = BlockKey(b"s" * 16, 0, 0)
            device = house.devices[0]
            await device.write_block(stranger, seal_block(stranger, key, b"data"))
            await device.sync_data(device.data_losses)
            assert await device.has_blocks(stranger.data_id)
            await house.replicator.scrubber.scrub()
            assert not await device.has_blocks(stranger.data_id)
            assert await read_value(house.store, container, "o") == ("m", DATA)


async def test_a_damaged_mark_that_no_other_replica_has_is_discarded(autojump_clock: MockClock) -> None:
    machine = machine_of(3)
    async with opened(machine) as (house, container):
        key = key_of(house, container, "o")[0]
        mark = mark_row(key, b"D" * 16)
        packed = index_key(mark.key)
        device = house.devices[homes_of(house, container, "o")[0]]
        written = Countdown()
        written.add()
        stamped = mark._replace(stamp=house.store.rows.stamps.next())
        device.submit_row(house.store.rows.prepare(stamped), lambda _, error: written.done(error))
        await written.wait()
        await device.flush()
        entries = machine.indexes[device.id].entries
        entries[packed] = b"?" + entries[packed][1:]
        await house.replicator.scrubber._orphans.drop_marks(device)
        assert packed not in (await device.walk_keys(b"", 100))[0]
