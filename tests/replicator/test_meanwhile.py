"""Between a look and what follows it other things happen: a look may wait for a disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.countdown import Countdown
from store.core.errors import BusyError, DamageError, DeviceError, ReplacedError, StaleEpochError
from store.engine.device import Device
from store.objects.model import Container
from store.objects.rows import ReadRow
from store.replicator import doubts
from store.replicator.exchange import Exchange
from tests.replicator.clusters import HEAD, close, exists, homes_of, key_of, machine_of, opened, put_out, write
from tests.simulation.house import House
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.worker import Gate, SimWorker

LARGE = Random(1).randbytes(BLOCK_BYTES + 1)


def refuse(*_: object) -> None:
    raise DeviceError("not now")


def slow_at(
    monkeypatch: pytest.MonkeyPatch, slow: Device, packed: bytes, meanwhile: Callable[[], Awaitable[None]]
) -> list[int]:
    """The first look at a row on one device takes so long that something else is done from its beginning to its end."""
    calls: list[int] = []

    def wrapped(name: str) -> None:
        look = getattr(Device, name)

        async def slowly(self: Device, key: bytes) -> object:
            if self is slow and key == packed and not calls:
                calls.append(self.id)
                await meanwhile()
            return await look(self, key)

        monkeypatch.setattr(Device, name, slowly)

    wrapped("find_row")
    wrapped("find_stamp")
    return calls


async def delete_for_good(house: House, container: Container, name: str) -> None:
    await house.store.delete(container, name)
    await trio.sleep(0.5)
    await house.replicator.tombstones.collect_tombstones()


async def check_gone(house: House, container: Container, name: str) -> None:
    await trio.sleep(5)
    assert not await exists(house.store, container, name)
    await house.replicator.tombstones.collect_tombstones()
    packed = key_of(house, container, name)[1]
    having = [d.id for d in house.devices.values() if await d.find_stamp(packed) is not None]
    shown = await exists(house.store, container, name)
    assert (having, shown) == ([], False)


@pytest.mark.parametrize("how", ["repair", "decide", "read", "hints", "take"])
async def test_what_is_deleted_for_good_while_it_is_looked_at_stays_so(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(house, container, "o")
        homes = [house.devices[home] for home in homes_of(house, container, "o")]
        lagging = homes[1]
        if how in ("read", "hints", "take"):  # one replica does not have the row, as after a missed write
            row = await lagging.find_row(packed)
            assert row is not None
            lagging.forget_row(packed, row.stamp)

        async def meanwhile() -> None:
            await delete_for_good(house, container, "o")

        loops = house.replicator
        if how == "repair":
            calls = slow_at(monkeypatch, homes[1], packed, meanwhile)
            with suppress(ReplacedError):  # the repairer looks again later
                await loops.restorer.whole(key)
        elif how == "decide":
            calls = slow_at(monkeypatch, homes[1], packed, meanwhile)
            await house.store.rows.decide(key, packed)
        elif how == "read":
            calls = slow_at(monkeypatch, homes[1], packed, meanwhile)
            await house.store.rows.read(key, packed)
        elif how == "hints":
            calls = slow_at(monkeypatch, lagging, packed, meanwhile)
            homes[0].note_hint(lagging.id, packed, 1)
            await loops.hints.replay()
        else:
            calls = slow_at(monkeypatch, lagging, packed, meanwhile)
            await loops.reconciler._exchange.take(lagging, lambda _place: True)
        assert calls
        monkeypatch.undo()
        await check_gone(house, container, "o")


async def test_what_is_deleted_for_good_between_two_answers_of_a_read_stays_so(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicas disagree, so the read asks again, and brings what it found to all."""
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(house, container, "o")
        homes = [house.devices[home] for home in homes_of(house, container, "o")]
        row = await homes[1].find_row(packed)
        assert row is not None
        homes[1].forget_row(packed, row.stamp)

        async def meanwhile() -> None:
            await delete_for_good(house, container, "o")

        find_row = Device.find_row
        calls: list[int] = []

        async def slowly(self: Device, key: bytes) -> object:
            if self is homes[1] and key == packed and not calls:  # only the second look asks for the row here
                calls.append(1)
                await meanwhile()
            return await find_row(self, key)

        monkeypatch.setattr(Device, "find_row", slowly)
        await house.store.rows.read(key, packed)
        assert calls
        monkeypatch.undo()
        await check_gone(house, container, "o")


async def test_an_older_version_on_its_way_does_not_come_in_the_place_of_a_collected_tombstone(
    autojump_clock: MockClock,
) -> None:
    """One replica missed the deletion and learns of it when its version is on its way to another, whose log is slow."""
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        rows = house.store.rows
        key, packed = key_of(house, container, "o")
        first, missed, slow = (house.devices[home] for home in homes_of(house, container, "o"))
        before = await missed.find_row(packed)
        assert before is not None
        rows.on_missed = lambda *_: None
        submit, missed.submit_row = missed.submit_row, refuse  # type: ignore[assignment,method-assign]
        await house.store.delete(container, "o")
        missed.submit_row = submit  # type: ignore[method-assign]
        await trio.sleep(1)
        worker = slow._log_worker.inner
        assert isinstance(worker, SimWorker)
        gate = worker._gate = Gate()
        gate.shut = True
        waiting = Countdown()
        await house.replicator.restorer.bring(key, packed, ReadRow(before, (missed.id,)), [slow], waiting)
        tombstone = await first.find_row(packed)
        assert tombstone is not None
        told = Countdown()
        found = ReadRow(tombstone, (first.id,))
        await house.replicator.restorer.bring(key, packed, found, [missed], told)
        await told.wait()
        await house.replicator.tombstones.collect_tombstones()
        gate.open()
        await waiting.wait()
        await check_gone(house, container, "o")


async def test_one_device_whose_disk_hangs_does_not_keep_the_hints_of_all_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(machine_of(4)) as (house, container):
        names = [f"o{n}" for n in range(20)]
        for name in names:
            await house.store.put(container, name, b"before", HEAD)
        await trio.sleep(5)
        house.take_away(0)
        for name in names:
            await house.store.put(container, name, b"after", HEAD)
        await trio.sleep(5)
        hinted = Device.hinted

        async def busy(self: Device) -> object:
            if self.id == 3:
                raise BusyError("it was not read within 5 s")
            return await hinted(self)

        monkeypatch.setattr(Device, "hinted", busy)
        await house.bring_back(0)
        await trio.sleep(60)
        left = [n for n in (1, 2) for _ in await house.devices[n].hints(0, b"", 100)]
        assert left == []


async def test_what_a_device_that_is_not_believed_hints_is_not_brought(autojump_clock: MockClock) -> None:
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(house, container, "o")[1]
        homes = [house.devices[h] for h in homes_of(house, container, "o")]
        row = await homes[0].find_row(packed)
        assert row is not None
        for other in homes[:2]:  # deleted for good while homes[2] was away and replaced
            other.forget_row(packed, row.stamp)
        homes[2].trusted = False
        homes[2].note_hint(homes[0].id, packed, 1)
        await house.replicator.hints.replay()
        assert await homes[0].find_stamp(packed) is None


async def test_the_doubt_of_a_device_that_did_not_answer_is_kept(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(house, container, "o")
        homes = [house.devices[home] for home in homes_of(house, container, "o")]
        row = await homes[2].find_row(packed)
        assert row is not None
        for other in homes[:2]:  # as a crash leaves it: one home has it, and says so
            other.forget_row(packed, row.stamp)
        homes[2].view.doubt(packed)
        homes[1].view.doubt(packed)  # and another lost it, but looked at it
        find_row = Device.find_row

        async def busy(self: Device, key: bytes) -> object:
            if self is homes[2]:
                raise BusyError("it was not read within 5 s")
            return await find_row(self, key)

        monkeypatch.setattr(Device, "find_row", busy)
        await doubts._decide(house.store, key, house.replicator.repairer)
        monkeypatch.undo()
        assert await homes[2].doubts(b"", 10) == [packed]


async def test_notes_are_forgotten_while_a_device_is_out_whose_index_is_closed(autojump_clock: MockClock) -> None:
    """As `DeviceWatch` leaves one that it cannot open anew: LMDB raises for what is asked of it then."""
    async with opened(machine_of(3)) as (house, container):
        await write(house.store, container, "o", LARGE)
        await trio.sleep(5)
        first = next(iter(house.devices))
        put_out(house, first)
        house.running[first].cancel()

        def closed(_key: bytes) -> bytes | None:
            raise DamageError("index: Attempt to operate on closed/deleted/dropped object.")

        house.devices[first]._index.get = closed  # type: ignore[assignment,method-assign]
        await write(house.store, container, "o", LARGE)
        await trio.sleep(60)
        left = [n for n, d in house.devices.items() if n != first and await d.garbage(b"", 10)]
        assert left == []


async def test_a_device_is_not_believed_where_another_went_out_before_it_was_asked(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_of(3)
    async with opened(machine) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(house, container, "o")[1]
        lost, lagging, other = homes_of(house, container, "o")
        await close(house)
    take_from = Exchange._take_from
    async with opened(machine) as (house, container):
        for number in (lost, lagging):  # acknowledged by two of three, one of which has lost it
            row = await house.devices[number].find_row(packed)
            assert row is not None
            house.devices[number].forget_row(packed, row.stamp)
        order = {number: house.devices[number] for number in (lost, lagging, other)}
        house.devices.clear()
        house.devices.update(order)
        device = house.devices[lost]
        device.trusted = False

        async def interrupted(self: Exchange, device: Device, one: Device, concerned: Callable[[int], bool]) -> int:
            put_out(house, other)
            return await take_from(self, device, one, concerned)

        monkeypatch.setattr(Exchange, "_take_from", interrupted)
        with pytest.raises(DeviceError, match=f"device {other} is out"):
            await house.replicator.reconciler.reconcile(device)
        assert not device.trusted


async def test_a_stale_disk_that_keeps_a_stamp_which_all_others_released_takes_what_came_since(
    autojump_clock: MockClock,
) -> None:
    """The clock that gave the tombstone its stamp was ahead."""
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(house, container, "o")[1]
        stale = house.devices[homes_of(house, container, "o")[0]]
        row = await stale.find_row(packed)
        assert row is not None
        stale.forget_row(packed, row.stamp)
        ahead = row.stamp[:-1] + bytes([255])
        stale.view._forgotten[packed] = ahead
        stale.entries.put(b"f" + packed, ahead)
        stale.trusted = False
        await house.replicator.reconciler.reconcile(stale)
        assert await stale.find_stamp(packed) == row.stamp


async def test_nothing_is_brought_to_a_device_that_is_no_home_any_more(autojump_clock: MockClock) -> None:
    """It was one when the look began; nobody would forget there what came after the layout has retired."""
    async with opened(machine_of(4)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        key, packed = key_of(house, container, "o")
        homes = homes_of(house, container, "o")
        (stranger,) = (device for number, device in house.devices.items() if number not in homes)
        row = await house.devices[homes[0]].find_row(packed)
        assert row is not None
        waiting = Countdown()
        with pytest.raises(StaleEpochError):
            await house.replicator.restorer.bring(key, packed, ReadRow(row, homes), [stranger], waiting)
        assert await stranger.find_stamp(packed) is None
