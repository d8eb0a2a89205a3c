"""The scrubber drops data that nobody claims, and never what is being written, moved or ended at that moment."""

from __future__ import annotations

from random import Random

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from store.core.wait_group import WaitGroup
from store.device.block import BlockKey
from store.device.record import Sealed
from store.device.row import index_key
from store.engine.device import Device
from store.objects.model import Container, ObjectHead, Policy
from store.objects.upload import intent_row
from store.replicator.restore import seal_block
from store.ring import Builder
from tests.replicator.clusters import key_of, media_of, opened, replicas_of
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import read_value

POLICIES = (Policy(0, "copies", replicas=2, default=True),)
HEAD = ObjectHead("t", {"mark": "m"})
DATA = Random(0).randbytes(5 * BLOCK_BYTES)


async def _container(node: SimNode) -> Container:
    await node.store.put_account("a", {})
    return (await node.store.put_container("a", "c", {}))[0]


def _swap_devices(media: SimMedia) -> None:
    """A layout under which all replicas are others: three new devices, and the old ones are to be emptied."""

    def change(builder: Builder) -> None:
        for number in list(media.ring.devices):
            builder.set_weight(number, 0.0)
        for number in range(3, 6):
            builder.add(1, 1, f"m{number}", 1.0, f"disk{number}")

    media.change_ring(change)


async def _rebalanced(node: SimNode) -> None:
    await node.replicator.rejoiner.rejoin_all()
    await node.follow_ring()
    await node.replicator.rejoiner.rejoin_all()
    await node.replicator.rebalancer.rebalance()
    assert len(node.media.ring.live) == 1


async def test_an_upload_under_way_keeps_its_blocks_through_a_change_of_all_replicas(autojump_clock: MockClock) -> None:
    media = SimMedia(Random(1), 3, POLICIES)
    with small_limits():
        async with open_node(media, CrashPoint()) as node:
            container = await _container(node)
            async with node.store.upload(container, "o") as upload:
                await upload.write(DATA[: 3 * BLOCK_BYTES])
                _swap_devices(media)
                await _rebalanced(node)
                for device in node.devices.values():
                    await device.sync_data(device.data_losses)
                await node.replicator.scrubber.scrub()
                await upload.write(DATA[3 * BLOCK_BYTES :])
                await upload.commit(HEAD)
            assert await read_value(node.store, container, "o") == ("m", DATA)
            await node.run_daemons()
            assert await read_value(node.store, container, "o") == ("m", DATA)
            assert not any(device.row_table.uploads(b"", 10) for device in node.devices.values()), "an intent stayed"


async def test_copies_on_their_way_to_a_new_replica_are_no_orphans(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = SimMedia(Random(1), 3, POLICIES)
    write_block = Device.write_block

    async def scrub_first(self: Device, key: BlockKey, sealed: Sealed) -> None:
        await write_block(self, key, sealed)
        await self.sync_data(self.data_losses)
        nursery.start_soon(node.replicator.scrubber.scrub)
        await wait_all_tasks_blocked()

    with small_limits():
        async with open_node(media, CrashPoint()) as node:
            nursery = node.nursery
            container = await _container(node)
            async with node.store.upload(container, "o") as upload:
                await upload.write(DATA)
                await upload.commit(HEAD)
            before = await node.store.head(container, "o")
            with monkeypatch.context() as patch:
                patch.setattr(Device, "write_block", scrub_first)
                _swap_devices(media)
                await _rebalanced(node)
            after = await node.store.head(container, "o")
            assert after.changed.time_us == before.changed.time_us, "to a tenant a move is no change"
            for number in range(3):
                media.disks[number].broken = True
            assert await read_value(node.store, container, "o") == ("m", DATA)


async def test_data_that_nobody_claims_are_dropped(autojump_clock: MockClock) -> None:
    media = SimMedia(Random(1), 3, POLICIES)
    with small_limits():
        async with open_node(media, CrashPoint()) as node:
            container = await _container(node)
            async with node.store.upload(container, "o") as upload:
                await upload.write(DATA)
                await upload.commit(HEAD)
            key = node.store.rows.key(container.id, container.shards, b"o")
            misplaced = BlockKey(b"s" * 16, 0, 0)
            device = node.devices[0]
            await device.write_block(misplaced, seal_block(misplaced, key, b"data"))
            await device.sync_data(device.data_losses)
            assert await device.has_blocks(misplaced.data_id)
            await node.replicator.scrubber.scrub()
            assert not await device.has_blocks(misplaced.data_id)
            assert await read_value(node.store, container, "o") == ("m", DATA)


async def test_a_damaged_intent_that_no_other_replica_has_is_discarded(autojump_clock: MockClock) -> None:
    media = media_of(3)
    async with opened(media) as (node, container):
        key = key_of(node, container, "o")[0]
        intent = intent_row(key, b"D" * 16, b"")
        packed = index_key(intent.key)
        device = node.devices[replicas_of(node, container, "o")[0]]
        written = WaitGroup()
        written.add()
        stamped = intent._replace(stamp=node.store.rows.stamps.next())
        device.submit_row(node.store.rows.prepare(stamped), lambda _, error: written.done(error))
        await written.wait()
        await device.flush()
        entries = media.indexes[device.id].entries
        entries[packed] = b"?" + entries[packed][1:]
        await node.replicator.scrubber._orphans.drop_intents(node.store.devices[device.id])
        assert packed not in (await device.walk_keys(b"", 100))[0]
