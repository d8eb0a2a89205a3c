"""Layout changes that meet faults: what was deleted stays so, and what is out and removed is not waited for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, DrystoneError, StaleEpochError
from store.core.wait_group import WaitGroup
from store.device.port import DevicePort, Done
from store.device.row import index_key
from store.engine.device import Device
from store.objects.model import Container, ListingQuery, Policy
from store.objects.rows import tombstone
from store.replicator.daemon import Outcome
from store.replicator.exchange import Exchange
from store.replicator.rebalance import Rebalancer
from store.ring import ROWS, Builder, Ring
from tests.replicator.clusters import (
    HEAD,
    close,
    exists,
    key_of,
    media_of,
    opened,
    put_out,
    replicas_of,
    stamps_of,
    write,
)
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode

NAMES = [f"o{number}" for number in range(33)]
NEW = 3
"""The device that a ring of three gets next."""
Change = Callable[[Builder], object]


async def publish(node: SimNode, change: Change) -> None:
    node.media.change_ring(change)
    await node.follow_ring()


async def change_layout(node: SimNode, change: Change) -> None:
    await publish(node, change)
    await completed(node)


async def completed(node: SimNode) -> None:
    for _ in range(100):
        await trio.sleep(5)
        if len(node.store.rows.ring.live) == 1:
            return
    pytest.fail("the change did not complete")


def weigh(number: int, weight: float) -> Change:
    return lambda builder: builder.set_weight(number, weight)


async def delete_all(node: SimNode, container: Container) -> None:
    for name in NAMES:
        await node.store.delete(container, name)
    await trio.sleep(5)
    await node.replicator.tombstones.collect_tombstones()
    await trio.sleep(5)


async def test_rows_that_a_device_kept_of_a_lost_partition_do_not_come_back(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device loses partitions, and is interrupted before it has forgotten their rows. What is deleted meanwhile has
    gone everywhere else when it gets the partitions back."""
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)

        async def interrupted(_self: Exchange, _device: Device) -> None:
            raise DeviceError("no sync")

        monkeypatch.setattr(Exchange, "forget_misplaced", interrupted)
        await change_layout(node, weigh(3, 0.0))
        stale = [name for name in NAMES if await node.devices[3].find_stamp(key_of(node, container, name)[1])]
        assert stale
        await delete_all(node, container)
        assert await node.devices[0].tombstones(b"", 100), "tombstones went while a device was not clean"
        # The mechanism below: even were they gone, what the device kept is not believed.
        await forget_tombstones(node)
        await change_layout(node, weigh(3, 1.0))
        await node.run_daemons()
        assert [name for name in NAMES if await exists(node.store, container, name)] == []
        monkeypatch.undo()
        await node.replicator.rebalancer.rebalance()
        assert not node.store.rows.ring.unclean


async def forget_tombstones(node: SimNode) -> None:
    for device in node.devices.values():
        for packed, stamp in await device.tombstones(b"", 1000):
            device.forget_row(packed, stamp)


@pytest.mark.parametrize("look", ["scrub", "repair", "resolve", "read"])
async def test_nobody_believes_a_device_that_has_yet_to_sync(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """Whatever looks at all replicas in the middle of a change: the rows that it kept are newer than nothing."""
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        loops = node.replicator

        async def nothing(*_: object) -> None:
            """It never comes to it."""

        monkeypatch.setattr(Exchange, "forget_misplaced", nothing)
        await change_layout(node, weigh(3, 0.0))
        await delete_all(node, container)
        await forget_tombstones(node)
        monkeypatch.setattr(Rebalancer, "_sync_layouts", nothing_done)
        await publish(node, weigh(3, 1.0))
        for name in NAMES:
            key, packed = key_of(node, container, name)
            if look == "repair":
                await loops.restorer.whole(key)
            elif look == "resolve":
                assert (await node.store.rows.resolve(key, packed))[0] is None
            elif look == "read":
                assert not await exists(node.store, container, name)
        if look == "scrub":
            await loops.scrubber.scrub(None)
            await loops.repairer.repair_all()
        for name in NAMES:
            for device in node.devices.values():
                assert device.id == 3 or await device.find_stamp(key_of(node, container, name)[1]) is None


async def nothing_done(*_: object) -> int:
    return 0


async def test_a_newer_version_that_was_deleted_for_good_gives_way_to_an_older_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock was ahead when the object was made first: what a device kept of it is newer than what was made since."""
    async with opened(media_of(4)) as (node, container):
        monkeypatch.setattr(Exchange, "forget_misplaced", nothing_done)
        rows = node.store.rows
        far = 3600 * 1_000_000
        for name in NAMES:
            key, packed = key_of(node, container, name)
            await node.store.put(container, name, b"ahead", HEAD)
            found = await rows.read(key, packed)
            assert found is not None
            row = await rows.load(key, packed, found)
            await rows.place(row._replace(stamp=row.stamp._replace(time_us=row.stamp.time_us + far)), packed, rows.ring)
        await change_layout(node, weigh(3, 0.0))
        await delete_all(node, container)
        await forget_tombstones(node)
        for name in NAMES:
            await node.store.put(container, name, b"new", HEAD)
        await change_layout(node, weigh(3, 1.0))
        await node.run_daemons()
        for name in NAMES:
            async with node.store.open(container, name) as found_now:
                assert found_now.inline == b"new"
            assert len(set(await stamps_of(node, container, name))) == 1


async def test_a_device_that_is_out_and_removed_holds_no_change_up(autojump_clock: MockClock) -> None:
    async with opened(media_of(5)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        put_out(node, 2)
        await change_layout(node, lambda builder: builder.remove(2))
        for name in NAMES:
            stamps = await stamps_of(node, container, name)
            assert len(stamps) == 3
            assert len(set(stamps)) == 1


async def test_a_layout_that_a_step_of_another_daemon_brings_is_not_overlooked(autojump_clock: MockClock) -> None:
    """Rows use it before the rebalancer has heard of it."""
    async with opened(media_of(4)) as (node, container):
        await write(node.store, container, "o", b"here")
        await trio.sleep(5)
        node.media.change_ring(weigh(3, 0.5))
        await node.replicator.tombstones._step.take(())
        assert len(node.store.rows.ring.live) == 2
        await node.follow_ring()
        await completed(node)


@pytest.mark.at_once("about which of several processes has what to do")
async def test_what_others_have_to_do_is_not_left_to_this_process(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would say so, and walk all rows for it after longer and longer waits, long after they have done it."""
    async with opened(media_of(4)) as (node, container):
        await write(node.store, container, "o", b"here")
        await trio.sleep(5)
        rebalancer, everyones = node.replicator.rebalancer, dict(node.store.own)
        monkeypatch.setattr(Rebalancer, "_clean", nothing_done)
        await change_layout(node, weigh(3, 0.5))
        monkeypatch.undo()
        unclean = node.store.rows.ring.unclean
        assert len(unclean) > 1
        mine = min(unclean)
        node.store.own = {mine: everyones[mine]}
        assert (await rebalancer.rebalance()).left == 0
        assert node.store.rows.ring.unclean == unclean - {mine}
        node.store.own = everyones


async def test_what_devices_of_other_processes_say_is_heard_though_the_epoch_is_the_same(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no tombstone would be collected before the ring takes another step, and nobody might have one to take."""
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        monkeypatch.setattr(Rebalancer, "_clean", nothing_done)
        await change_layout(node, weigh(3, 0.5))
        unclean = node.store.rows.ring.unclean
        assert unclean
        ring = node.media.ring
        for device in unclean:
            ring = ring.mark_clean(device)
        node.media.ring = ring
        await node.follow_ring()
        assert node.store.rows.ring.epoch == ring.epoch
        assert not node.store.rows.ring.unclean
        await delete_all(node, container)
        assert not any([await device.tombstones(b"", 100) for device in node.devices.values()])


@pytest.mark.parametrize("call", ["submit_find", "submit_list", "submit_usage"])
async def test_a_ring_that_changes_while_a_quorum_is_asked_is_nobodys_trouble(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Devices refuse the one before; then they are asked by the new one."""
    async with opened(media_of(4)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        rows, before = node.store.rows, node.store.rows.ring.epoch
        ask = getattr(Device, call)

        def refused(self: Device, *args: object, **more: object) -> object:
            epoch = args[1] if call == "submit_find" else more["epoch"]
            if epoch == before:
                node.media.ring = rows.ring = node.media.ring if rows.ring.epoch > before else changed()
                raise StaleEpochError("the ring is newer")
            return ask(self, *args, **more)

        def changed() -> Ring:
            node.media.change_ring(lambda builder: builder.set_weight(3, 2))
            return node.media.ring

        monkeypatch.setattr(Device, call, refused)
        assert (await node.store.head(container, "o")).size == 4
        assert len(await node.store.list_objects(container, ListingQuery(10))) == 1
        assert (await node.store.container_usage(container)).objects == 1
        assert rows.ring.epoch > before


async def test_a_quorum_that_is_given_up_for_lost_holds_no_change_up(autojump_clock: MockClock) -> None:
    """Some rows had two of their replicas there: what these acknowledged alone is gone, and waited for by nobody."""
    async with opened(media_of(6)) as (node, _):
        await trio.sleep(5)
        put_out(node, 2)
        put_out(node, 3)

        def remove(builder: Builder) -> None:
            builder.remove(2)
            builder.remove(3)

        await change_layout(node, remove)
        assert len(node.store.rows.ring.live) == 1


async def test_a_device_that_fails_does_not_keep_others_from_syncing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        sync = Rebalancer._sync

        async def fails(self: Rebalancer, layout: object, device: Device) -> int:
            if device.id == 0:
                raise DeviceError("no sync")
            return await sync(self, layout, device)  # type: ignore[arg-type]

        monkeypatch.setattr(Rebalancer, "_sync", fails)
        await publish(node, lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        await trio.sleep(60)
        assert node.store.rows.ring.unsynced(2) == {0}
        monkeypatch.undo()
        await trio.sleep(200)
        assert len(node.store.rows.ring.live) == 1


async def test_a_device_that_is_out_does_not_count_as_refusing_old_rings(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not: it comes back and answers by what it knew. The old layout waits for it."""
    async with opened(media_of(4)) as (node, _):
        monkeypatch.setattr(Rebalancer, "_retire_layouts", nothing_done)
        await publish(node, lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        await trio.sleep(20)
        assert node.store.rows.ring.progress.reads == 2
        node.take_away(1)
        monkeypatch.undo()
        await trio.sleep(100)
        assert node.store.rows.ring.unenforced() == {1}
        await node.bring_back(1)
        await trio.sleep(20)
        assert len(node.store.rows.ring.live) == 1


async def test_a_device_refuses_what_was_chosen_by_an_older_ring(autojump_clock: MockClock) -> None:
    media = media_of(4)
    async with opened(media) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await change_layout(node, lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        epoch = node.store.rows.ring.epoch
        key, packed = key_of(node, container, "o")
        found = await node.store.rows.read(key, packed)
        assert found is not None
        row = await node.store.rows.load(key, packed, found)
        for device in node.devices.values():
            assert 1 < device.enforced <= epoch
            older = node.store.rows.prepare(row, packed)._replace(epoch=device.enforced - 1)
            with pytest.raises(DrystoneError, match="refuses epoch"):
                device.submit_row(older, lambda _applied, _error: None)
        enforced = {number: device.enforced for number, device in node.devices.items()}
        await close(node)
    async with opened(media) as (node, _):
        assert {number: device.enforced for number, device in node.devices.items()} == enforced


async def test_rows_are_forgotten_for_good_before_a_device_is_clean(autojump_clock: MockClock) -> None:
    media = media_of(4)
    async with opened(media) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        await change_layout(node, weigh(3, 0.0))
        await node.replicator.rebalancer.rebalance()
        assert not media.ring.unclean
    media.lose_power()
    async with opened(media) as (node, container):
        for name in NAMES:
            key = key_of(node, container, name)[0]
            assert 3 not in node.store.rows.ring.replicas_all(ROWS, key.ring_hash)
            assert await node.devices[3].find_stamp(index_key(key)) is None


async def test_a_device_that_is_clean_takes_nothing_more_by_the_layout_that_it_was_of(
    autojump_clock: MockClock,
) -> None:
    """Whoever has not heard that this is over writes to it still: what it took would stay there, and be of no use."""
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        rings = []
        clean = Rebalancer._clean

        async def cleaned(self: Rebalancer) -> None:
            rings.append(node.store.rows.ring)
            await clean(self)

        with mock.patch.object(Rebalancer, "_clean", cleaned):
            await change_layout(node, weigh(3, 0.0))
        assert rings[0].unclean
        assert not node.store.rows.ring.unclean
        key, packed = key_of(node, container, "new")
        row = node.store.rows.prepare(tombstone(key, 0), packed)._replace(epoch=rings[0].epoch - 1)
        for device in node.devices.values():
            with pytest.raises(StaleEpochError):
                device.submit_row(row, lambda _applied, _error: None)


async def test_a_device_is_not_clean_by_a_layout_that_retires_while_it_forgets(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a replica by that one when it looked at its rows."""
    async with opened(media_of(4)) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        monkeypatch.setattr(Rebalancer, "_clean", nothing_done)
        await change_layout(node, weigh(3, 0.5))
        monkeypatch.undo()
        forget = Exchange.forget_misplaced

        async def meanwhile(self: Exchange, device: DevicePort) -> None:
            await forget(self, device)
            builder = Builder(node.media.ring.newest)
            builder.set_weight(3, 0.0)
            ring = node.media.ring.publish(builder.rebalance(0))
            for number in sorted(ring.unsynced(ring.newest.version)):
                ring = ring.mark_synced(ring.newest.version, number)
            for number in sorted(ring.unenforced()):
                ring = ring.mark_enforced(number, ring.epoch)
            assert len(ring.live) == 1
            assert ring.unclean == set(range(4))
            node.media.ring = ring

        unclean = min(node.store.rows.ring.unclean)
        node.store.own = {unclean: node.store.own[unclean]}
        with mock.patch.object(Exchange, "forget_misplaced", meanwhile):
            await node.replicator.rebalancer._clean()
        assert node.media.ring.unclean == set(range(4))
        await node.replicator.rebalancer._clean()
        assert node.media.ring.unclean == set(range(4)) - {unclean}


async def test_what_a_device_lost_before_it_synced_is_not_back_after_a_power_loss(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had kept rows that were deleted for good meanwhile, and its index lags behind. One of three: each has all."""

    async def interrupted(_self: Exchange, _device: Device) -> None:
        raise DeviceError("no sync")

    media = media_of(3, [Policy(0, "copies", default=True, replicas=2)])
    async with opened(media) as (node, container):
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await trio.sleep(5)
        monkeypatch.setattr(Exchange, "forget_misplaced", interrupted)
        await change_layout(node, weigh(2, 0.0))
        await delete_all(node, container)
        await forget_tombstones(node)
        await trio.sleep(5)
        for device in node.devices.values():
            device._options.flush_seconds = 1000.0
        for name in NAMES:
            assert await node.devices[2].find_stamp(key_of(node, container, name)[1])
        await publish(node, weigh(2, 1.0))
        with trio.fail_after(500):
            while media.ring.unsynced(media.ring.newest.version):
                await trio.sleep(0.1)
    media.lose_power()
    async with opened(media) as (node, container):
        for name in NAMES:
            assert 2 in replicas_of(node, container, name)
            assert await node.devices[2].find_stamp(key_of(node, container, name)[1]) is None
            assert not await exists(node.store, container, name)


async def test_a_move_whose_copies_were_lost_before_they_were_durable_is_made_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new replica takes every block, and then cannot say that it has them: the row goes on naming the old one."""
    data = Random(2).randbytes(3 * BLOCK_BYTES)
    submit_sync = Device.submit_sync
    refused: list[int] = []
    durable = trio.Event()

    def lost(self: Device, losses: int, done: Done) -> None:
        if not durable.is_set() and self.id == NEW:
            refused.append(self.id)
            raise DeviceError("what it was given is not durable")
        submit_sync(self, losses, done)

    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", data)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        before = await node.store.rows.read(key, packed)
        assert before is not None

        def replace_one(builder: Builder) -> None:
            builder.remove(0)
            builder.add(1, 1, "new", 1.0, "disk")

        monkeypatch.setattr(Device, "submit_sync", lost)
        await publish(node, replace_one)
        await trio.sleep(60)
        assert refused
        assert len(node.store.rows.ring.live) == 2, "a start still has to open the device that has the data"
        after = await node.store.rows.read(key, packed)
        assert after is not None
        assert after.row.stamp == before.row.stamp
        durable.set()
        await completed(node)
        found = await node.store.rows.read(key, packed)
        assert found is not None
        assert found.row.stamp > before.row.stamp, "it has moved"
        async with node.store.open(container, "o") as opened_row:
            assert b"".join([bytes(piece) async for piece in opened_row.read()]) == data


async def test_what_was_read_of_a_write_that_reached_no_quorum_of_the_new_layout_stays(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new layout is nearly done: its devices have synced but for one. Then a write reaches a quorum of the old one
    alone, is answered to a reader, and the new layout takes over."""
    async with opened(media_of(5)) as (node, container):
        store = node.store
        await store.put(container, "o", b"old", HEAD)
        await trio.sleep(5)
        monkeypatch.setattr(Rebalancer, "rebalance", nothing)
        key, packed = key_of(node, container, "o")
        before = replicas_of(node, container, "o")

        def move_away(builder: Builder) -> None:
            for number in before[1:]:
                builder.set_weight(number, 0.0)

        node.media.change_ring(move_away)
        await store.rows.follow(node.media.ring)
        old, new = store.rows.ring.write_sets(ROWS, key.ring_hash)
        (leaving,) = set(old) - set(new)
        found = await store.rows.read(key, packed)
        assert found is not None
        row = await store.rows.load(key, packed, found)
        newer = row._replace(stamp=store.rows.stamps.next(row.stamp), payload=b"new")
        reached = (leaving, next(number for number in old if number in new))
        written = WaitGroup()
        for number in reached:
            written.add()
            node.devices[number].submit_row(store.rows.prepare(newer, packed), lambda _, error: written.done(error))
        await written.wait()
        monkeypatch.setattr(Ring, "read_set", lambda self, _width, _hash: reached)
        async with store.open(container, "o") as opened_row:
            assert opened_row.inline == b"new"
        monkeypatch.setattr(Ring, "read_set", lambda self, _width, _hash: new)
        having = [await node.devices[number].find_stamp(packed) == newer.stamp.pack() for number in new]
        assert sum(having) >= 2


async def nothing(*_: object) -> Outcome:
    return Outcome()
