"""Between a look and what follows it other things happen: a look may wait for a disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import BusyError, DamageError, DeviceError, ReplacedError, StaleEpochError
from store.engine.device import Device
from store.objects.model import Container
from store.objects.quorum_read import ReadRow
from store.replicator.bringing import Bringing
from store.replicator.exchange import Exchange
from tests.replicator.clusters import (
    HEAD,
    close,
    exists,
    key_of,
    media_of,
    opened,
    put_out,
    replicas_of,
    slow_at,
    write,
)
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode
from tests.simulation.worker import Gate, SimWorker

LARGE = Random(1).randbytes(BLOCK_BYTES + 1)


def refuse(*_: object, **_more: object) -> None:
    raise DeviceError("not now")


async def delete_for_good(node: SimNode, container: Container, name: str) -> None:
    await node.store.delete(container, name)
    await trio.sleep(0.5)
    await node.replicator.tombstones.collect_tombstones()
    await trio.sleep(2)  # a release takes effect when the index says so


async def check_gone(node: SimNode, container: Container, name: str) -> None:
    await trio.sleep(5)
    assert not await exists(node.store, container, name)
    await node.replicator.tombstones.collect_tombstones()
    packed = key_of(node, container, name)[1]
    having = [d.id for d in node.devices.values() if await d.find_stamp(packed) is not None]
    shown = await exists(node.store, container, name)
    assert (having, shown) == ([], False)


@pytest.mark.parametrize("how", ["repair", "resolve", "read", "hints", "take"])
async def test_what_is_deleted_for_good_while_it_is_looked_at_stays_so(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        replicas = [node.devices[replica] for replica in replicas_of(node, container, "o")]
        lagging = replicas[1]
        if how in ("read", "hints", "take"):  # one replica does not have the row, as after a missed write
            row = await lagging.find_row(packed)
            assert row is not None
            lagging.forget_row(packed, row.stamp)

        async def meanwhile() -> None:
            await delete_for_good(node, container, "o")

        loops = node.replicator
        if how == "repair":
            calls = slow_at(monkeypatch, lambda device: device is replicas[1], packed, meanwhile)
            with suppress(ReplacedError, StaleEpochError):  # the repairer looks again later
                await loops.restorer.whole(key)
        elif how == "resolve":
            calls = slow_at(monkeypatch, lambda device: device is replicas[1], packed, meanwhile)
            await node.store.rows.resolve(key, packed)
        elif how == "read":
            calls = slow_at(monkeypatch, lambda device: device is replicas[1], packed, meanwhile)
            await node.store.rows.read(key, packed)
        elif how == "hints":
            calls = slow_at(monkeypatch, lambda device: device is lagging, packed, meanwhile)
            replicas[0].note_hint(lagging.id, packed, 1)
            await loops.hints.replay()
        else:
            calls = slow_at(monkeypatch, lambda device: device is lagging, packed, meanwhile)
            await loops.rejoiner._exchange.take(lagging, lambda _place: True)
        assert calls
        monkeypatch.undo()
        await check_gone(node, container, "o")


async def test_what_is_deleted_for_good_between_two_answers_of_a_read_stays_so(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicas disagree, so the read asks again, and brings what it found to all."""
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        replicas = [node.devices[replica] for replica in replicas_of(node, container, "o")]
        row = await replicas[1].find_row(packed)
        assert row is not None
        replicas[1].forget_row(packed, row.stamp)

        async def meanwhile() -> None:
            await delete_for_good(node, container, "o")

        calls = slow_at(monkeypatch, lambda device: device is replicas[1], packed, meanwhile)
        await node.store.rows.read(key, packed)
        assert calls
        monkeypatch.undo()
        await check_gone(node, container, "o")


async def test_an_older_version_on_its_way_does_not_come_in_the_place_of_a_collected_tombstone(
    autojump_clock: MockClock,
) -> None:
    """One replica missed the deletion and learns of it when its version is on its way to another, whose log is slow."""
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        rows = node.store.rows
        key, packed = key_of(node, container, "o")
        first, missed, slow = (node.devices[replica] for replica in replicas_of(node, container, "o"))
        before = await missed.find_row(packed)
        assert before is not None
        rows.on_missed = lambda *_: None
        submit, missed.submit_row = missed.submit_row, refuse  # type: ignore[method-assign]
        await node.store.delete(container, "o")
        missed.submit_row = submit  # type: ignore[method-assign]
        await trio.sleep(1)
        worker = slow._log_worker.inner
        assert isinstance(worker, SimWorker)
        gate = worker._gate = Gate()
        gate.shut = True
        waiting = Bringing(node.store.rows)
        older = ReadRow(before, (missed.id,), rows.ring.epoch)
        await node.replicator.restorer.bring(key, packed, older, [slow], waiting)
        tombstone = await first.find_row(packed)
        assert tombstone is not None
        told = Bringing(node.store.rows)
        found = ReadRow(tombstone, (first.id,), rows.ring.epoch)
        await node.replicator.restorer.bring(key, packed, found, [missed], told)
        await told.wait()
        await node.replicator.tombstones.collect_tombstones()
        await trio.sleep(2)
        gate.open()
        await waiting.wait()
        await check_gone(node, container, "o")


async def test_what_is_brought_to_a_device_is_settled(autojump_clock: MockClock) -> None:
    """Else its process would keep all that is ever brought to it, as what a writer may leave behind."""
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        first, lagging, _ = (node.devices[replica] for replica in replicas_of(node, container, "o"))
        row = await first.find_row(packed)
        assert row is not None
        lagging.forget_row(packed, row.stamp)
        settled: list[tuple[bytes, bytes]] = []
        lagging.settled = lambda *version: settled.append(version)  # type: ignore[method-assign]
        waiting = Bringing(node.store.rows)
        found = ReadRow(row, (first.id,), node.store.rows.ring.epoch)
        await node.replicator.restorer.bring(key, packed, found, [lagging], waiting)
        await waiting.wait()
        assert settled == [(packed, row.stamp)]


async def test_one_device_whose_disk_hangs_does_not_keep_the_hints_of_all_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(4)) as (node, container):
        names = [f"o{n}" for n in range(20)]
        for name in names:
            await node.store.put(container, name, b"before", HEAD)
        await trio.sleep(5)
        node.take_away(0)
        for name in names:
            await node.store.put(container, name, b"after", HEAD)
        await trio.sleep(5)
        hinted = Device.hinted

        async def busy(self: Device) -> object:
            if self.id == 3:
                raise BusyError("it was not read within 5 s")
            return await hinted(self)

        monkeypatch.setattr(Device, "hinted", busy)
        await node.bring_back(0)
        await trio.sleep(60)
        left = [n for n in (1, 2) for _ in await node.devices[n].hints(0, b"", 100)]
        assert left == []


async def test_what_a_device_that_is_not_believed_hints_is_not_brought(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(node, container, "o")[1]
        replicas = [node.devices[h] for h in replicas_of(node, container, "o")]
        row = await replicas[0].find_row(packed)
        assert row is not None
        for other in replicas[:2]:  # deleted for good while replicas[2] was away and replaced
            other.forget_row(packed, row.stamp)
        replicas[2].standing.in_sync = False
        replicas[2].note_hint(replicas[0].id, packed, 1)
        await node.replicator.hints.replay()
        assert await replicas[0].find_stamp(packed) is None


async def test_the_note_in_doubt_of_a_device_that_did_not_answer_is_kept(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        replicas = [node.devices[replica] for replica in replicas_of(node, container, "o")]
        row = await replicas[2].find_row(packed)
        assert row is not None
        for other in replicas[:2]:  # as a crash leaves it: one replica has it, and says so
            other.forget_row(packed, row.stamp)
        replicas[2].row_table.note_in_doubt(packed)
        replicas[1].row_table.note_in_doubt(packed)  # and another lost it, but looked at it
        find_row = Device.find_row

        async def busy(self: Device, key: bytes) -> object:
            if self is replicas[2]:
                raise BusyError("it was not read within 5 s")
            return await find_row(self, key)

        monkeypatch.setattr(Device, "find_row", busy)
        await node.replicator.in_doubt._resolve([key])
        monkeypatch.undo()
        assert await replicas[2].in_doubt(b"", 10) == [packed]


async def test_notes_are_forgotten_while_a_device_is_out_whose_index_is_closed(autojump_clock: MockClock) -> None:
    """As `DeviceWatch` leaves one that it cannot open anew: LMDB raises for what is asked of it then."""
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        first = next(iter(node.devices))
        put_out(node, first)
        node.running[first].cancel()

        def closed(_key: bytes) -> bytes | None:
            raise DamageError("index: Attempt to operate on closed/deleted/dropped object.")

        node.devices[first]._index.get = closed  # type: ignore[assignment,method-assign]
        await write(node.store, container, "o", LARGE)
        await trio.sleep(60)
        left = [n for n, d in node.devices.items() if n != first and await d.garbage(b"", 10)]
        assert left == []


async def test_a_device_is_not_believed_where_another_went_out_before_it_was_asked(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = media_of(3)
    async with opened(media) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(node, container, "o")[1]
        lost, lagging, other = replicas_of(node, container, "o")
        await close(node)
    take_from = Exchange._take_from
    async with opened(media) as (node, container):
        for number in (lost, lagging):  # acknowledged by two of three, one of which has lost it
            row = await node.devices[number].find_row(packed)
            assert row is not None
            node.devices[number].forget_row(packed, row.stamp)
        order = {number: node.devices[number] for number in (lost, lagging, other)}
        node.devices.clear()
        node.devices.update(order)
        device = node.devices[lost]
        device.standing.in_sync = False

        async def interrupted(self: Exchange, device: Device, one: Device, concerned: Callable[[int], bool]) -> int:
            put_out(node, other)
            return await take_from(self, device, one, concerned)

        monkeypatch.setattr(Exchange, "_take_from", interrupted)
        with pytest.raises(DeviceError, match=f"device {other} is out"):
            await node.replicator.rejoiner.rejoin(device)
        assert not device.in_sync


async def test_a_stale_disk_that_keeps_a_stamp_which_all_others_released_takes_what_came_since(
    autojump_clock: MockClock,
) -> None:
    """The clock that gave the tombstone its stamp was ahead."""
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(node, container, "o")[1]
        stale = node.devices[replicas_of(node, container, "o")[0]]
        row = await stale.find_row(packed)
        assert row is not None
        stale.forget_row(packed, row.stamp)
        ahead = row.stamp[:-1] + bytes([255])
        stale.row_table._forgotten[packed] = ahead
        stale.merged_index.put(b"f" + packed, ahead)
        stale.standing.in_sync = False
        await node.replicator.rejoiner.rejoin(stale)
        assert await stale.find_stamp(packed) == row.stamp


async def test_nothing_is_brought_to_a_device_that_is_no_replica_any_more(autojump_clock: MockClock) -> None:
    """It was one when the look began; nobody would forget there what came after the layout has retired."""
    async with opened(media_of(4)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        replicas = replicas_of(node, container, "o")
        (misplaced,) = (device for number, device in node.devices.items() if number not in replicas)
        row = await node.devices[replicas[0]].find_row(packed)
        assert row is not None
        waiting = Bringing(node.store.rows)
        with pytest.raises(StaleEpochError):
            await node.replicator.restorer.bring(
                key, packed, ReadRow(row, replicas, node.store.rows.ring.epoch), [misplaced], waiting
            )
        assert await misplaced.find_stamp(packed) is None
