"""Tombstones are released behind a step of the ring: what is under way by the ring before brings nothing back."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import BusyError, DeviceError, NotFoundError, RetryableError, StaleEpochError
from store.core.wait_group import WaitGroup
from store.device.port import Applied, DevicePort, RowWrite
from store.device.row import NAME_KEY_BYTES, Row, RowKey
from store.engine.device import Device
from store.objects.model import Condition, Container
from store.objects.quorum_read import ReadRow
from store.objects.rows import Rows, tombstone
from store.replicator import tombstones
from store.ring import Ring
from tests.replicator.clusters import HEAD, another, close, exists, key_of, media_of, opened, stamps_of
from tests.simulation.node import SimNode, engine_of

HOUR_US = 3600 * 1_000_000
NAMES = [f"o{number}" for number in range(12)]
STEP_SECONDS = 600.0


@pytest.fixture(autouse=True)
def _seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring takes a step every ten minutes, as it does."""
    monkeypatch.setattr("tests.simulation.limits.STEP_SECONDS", STEP_SECONDS)


async def deleted(node: SimNode, container: Container, names: list[str]) -> None:
    """Put and deleted, with the round over that begins with the start."""
    await trio.sleep(5)
    for name in names:
        await node.store.put(container, name, b"data", HEAD)
        await node.store.delete(container, name)
    await trio.sleep(1)


async def retired(node: SimNode) -> int:
    """On all devices."""
    return sum([len(await device.retired_tombstones(b"", 1000)) for device in node.devices.values()])


async def collect(node: SimNode) -> None:
    await node.replicator.tombstones.collect_tombstones()
    await trio.sleep(2)  # a release takes effect when the index says so


async def submitted(device: DevicePort, write: RowWrite) -> None:
    told = WaitGroup()
    told.add()
    device.submit_row(write, lambda _, error: told.done(error))
    await told.wait()


async def test_one_step_serves_all(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await deleted(node, container, NAMES)
        before = node.store.rows.ring
        await collect(node)
        ring = node.store.rows.ring
        assert (ring.epoch, ring.collected) == (before.epoch + 1, before.epoch + 1)
        assert ring is node.media.ring
        assert ring.places_as(before)
        assert await retired(node) == 0
        for device in node.devices.values():
            assert device.enforced == ring.epoch
            assert await device.tombstones(b"", 10) == []


async def test_nothing_is_stepped_for_nothing(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(3 * STEP_SECONDS)
        assert node.store.rows.ring.epoch == 1


async def test_steps_are_ten_minutes_apart(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await deleted(node, container, NAMES)
        await collect(node)
        assert node.store.rows.ring.epoch == 2
        await deleted(node, container, NAMES)
        await collect(node)
        assert node.store.rows.ring.epoch == 2
        assert await retired(node) == 3 * len(NAMES)
        for device in node.devices.values():
            assert await device.tombstones(b"", 10) == []
        await trio.sleep(STEP_SECONDS + 70)
        assert node.store.rows.ring.epoch == 3
        assert await retired(node) == 0


async def test_a_step_comes_sooner_where_too_many_wait_for_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "RETIRED_MAX", 5)
    async with opened(media_of(3)) as (node, container):
        await deleted(node, container, NAMES)
        await collect(node)
        assert await retired(node) == 0
        assert node.store.rows.ring.epoch == 1 + -(-len(NAMES) // 5)


async def test_without_the_registry_nothing_is_released_and_it_is_said(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        await deleted(node, container, NAMES)
        collector = node.replicator.tombstones
        step = collector._step._step

        async def away(_change: Callable[[Ring], Ring]) -> Ring:
            raise BusyError("the registry is away")

        monkeypatch.setattr(collector._step, "_step", away)
        await collect(node)
        assert await retired(node) == 3 * len(NAMES)
        assert collector._daemon.progress.trouble == "the registry is away"
        assert not await exists(node.store, container, NAMES[0])
        monkeypatch.setattr(collector._step, "_step", step)
        await collect(node)
        assert await retired(node) == 0


async def test_nothing_is_released_before_all_refuse_what_is_older(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        await deleted(node, container, NAMES)
        enforce = Device.enforce

        async def fails(self: Device, epoch: int) -> None:
            if self.id == 2:
                raise DeviceError("no sync")
            await enforce(self, epoch)

        monkeypatch.setattr(Device, "enforce", fails)
        await collect(node)
        assert await retired(node) == 3 * len(NAMES)
        monkeypatch.undo()
        await trio.sleep(STEP_SECONDS + 70)
        assert await retired(node) == 0


async def test_a_version_that_was_sent_by_an_older_ring_does_not_come_back(autojump_clock: MockClock) -> None:
    """A writer that looked before the object was deleted, and slept: the device has no memory of it, and refuses."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        await node.store.put(container, "o", b"data", HEAD)
        key, packed = key_of(node, container, "o")
        rows = node.store.rows
        found = await rows.read(key, packed)
        assert found is not None
        late = rows.prepare(await rows.load(key, packed, found), packed)
        await node.store.delete(container, "o")
        await trio.sleep(1)
        await collect(node)
        assert await retired(node) == 0
        for device in node.store.devices.values():
            with pytest.raises(StaleEpochError):
                await submitted(device, late)
            assert await device.find_stamp(packed) is None


async def test_what_is_queued_while_all_come_to_refuse_it_is_older_still(autojump_clock: MockClock) -> None:
    """It was sent before, and its device writes slowly: the stamp waits for it."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        await node.store.put(container, "o", b"data", HEAD)
        key, packed = key_of(node, container, "o")
        rows = node.store.rows
        found = await rows.read(key, packed)
        assert found is not None
        late = rows.prepare(await rows.load(key, packed, found), packed)
        await node.store.delete(container, "o")
        await trio.sleep(1)
        slow = node.devices[2]
        drained: list[int] = []
        release, drain = slow.release_tombstone, slow.drain

        async def draining() -> None:
            await drain()
            drained.append(slow.enforced)

        def released(packed_key: bytes, stamp: bytes) -> None:
            assert drained == [node.store.rows.ring.epoch]
            release(packed_key, stamp)

        slow.drain, slow.release_tombstone = draining, released  # type: ignore[method-assign]
        engine_of(slow).submit_row(late, lambda *_: None)
        await collect(node)
        assert drained
        assert await slow.find_stamp(packed) is None


async def test_rows_are_taken_over_though_the_ring_takes_a_step_meanwhile(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked for by the ring before is looked for again, and not all of it from the beginning."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        for name in NAMES:
            await node.store.put(container, name, b"data", HEAD)
        await deleted(node, container, ["gone"])
        lagging = node.devices[1]
        keys = [key_of(node, container, name)[1] for name in NAMES]
        for packed in keys:
            await lagging.discard_row(packed)
        load = Rows.load
        loads: list[bytes] = []

        async def meanwhile(self: Rows, key: RowKey, packed: bytes, found: ReadRow, *, payload: bool = True) -> Row:
            loads.append(packed)
            if len(loads) == 3:
                await collect(node)
            return await load(self, key, packed, found, payload=payload)

        monkeypatch.setattr(Rows, "load", meanwhile)
        await node.replicator.rejoiner._exchange.take(node.store.devices[1], lambda _hash: True)
        assert node.store.rows.ring.epoch == 2
        for packed in keys:
            assert await lagging.find_stamp(packed) is not None


async def test_a_device_that_was_lost_refuses_older_rings_from_its_return_on(autojump_clock: MockClock) -> None:
    """It remembers no tombstone: what deleted an object for good is not there to keep it out."""
    media = media_of(3)
    async with opened(media) as (node, container):
        await deleted(node, container, NAMES)
        await collect(node)
        await close(node)
    media.wipe(1)
    async with opened(media) as (node, container):
        await trio.sleep(60)
        assert node.devices[1].in_sync
        assert node.devices[1].enforced == node.store.rows.ring.epoch == 2


@pytest.mark.own_devices("a device loses what it has retired")
@pytest.mark.parametrize("name", ["o", "o" * NAME_KEY_BYTES, "o" * (NAME_KEY_BYTES + 1)], ids=["short", "full", "long"])
async def test_a_tombstone_that_comes_back_to_some_replicas_is_not_released_at_the_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Two have rejoined since it was retired, and have nothing. While the ring takes its step, whoever has looked
    brings it to one of them."""
    async with opened(media_of(3)) as (node, container):
        collector = node.replicator.tombstones
        await deleted(node, container, ["first"])
        await collect(node)
        await deleted(node, container, [name])
        key, packed = key_of(node, container, name)
        tombstone = await node.devices[0].find_row(packed)
        assert tombstone is not None
        await collect(node)  # no step is due: it is retired
        for number in (1, 2):
            node.devices[number].release_tombstone(packed, tombstone.stamp)
        await trio.sleep(2)
        take = collector._step.take

        async def meanwhile(needed: Iterable[DevicePort]) -> None:
            row = await node.store.rows.whole(key, packed, ReadRow(tombstone, (0,), node.store.rows.ring.epoch))
            await submitted(node.devices[2], node.store.rows.prepare(row))
            await take(needed)

        monkeypatch.setattr(collector._step, "take", meanwhile)
        await trio.sleep(STEP_SECONDS)
        await collect(node)
        monkeypatch.undo()
        devices = node.devices.values()
        live = [await device.find_stamp(packed) for device in devices]
        kept = [await device.retired_stamp(packed, believed=True) for device in devices]
        known = [stamp or note for stamp, note in zip(live, kept, strict=True)]
        assert None not in known or not any(live), "one has the tombstone, and another knows nothing of it"
        for _ in range(2):
            await trio.sleep(STEP_SECONDS + 70)
            await collect(node)
        assert await retired(node) == 0
        for device in node.devices.values():
            assert await device.tombstones(b"", 10) == []


@pytest.mark.own_devices("a device is told nothing of a release")
class TestReleasedAtSome:
    """Two replicas have released a tombstone, and one has not, be it that it was cut off, or that it died before it had
    written so. Its clock was ahead, and that of who writes next is not."""

    NAME = "o"

    async def _left_at(self, node: SimNode, container: Container, left: int) -> None:
        await deleted(node, container, ["first"])
        await collect(node)
        await node.store.put(container, self.NAME, b"old", HEAD)
        key, packed = key_of(node, container, self.NAME)
        await another(node, 6, skew_us=HOUR_US).rows.put(tombstone(key, container.policy), packed)
        await trio.sleep(1)
        await collect(node)  # no step is due: it is retired
        stamp = await node.devices[left].retired_stamp(packed)
        assert stamp is not None
        for number, device in node.devices.items():
            if number != left:
                device.release_tombstone(packed, stamp)
        await trio.sleep(2)
        kept = [await device.retired_stamp(packed) for device in node.devices.values()]
        assert [stamp for stamp in kept if stamp is not None] == [stamp]

    @pytest.mark.parametrize("asked", [*itertools.permutations(range(3), 2)])
    async def test_what_is_written_then_can_be_read_and_deleted(
        self, autojump_clock: MockClock, asked: tuple[int, int]
    ) -> None:
        async with opened(media_of(3)) as (node, container):
            left, away = asked
            await self._left_at(node, container, left)
            writer = another(node, 7, without=[left])  # it asks the two that know nothing any more
            await writer.put(container, self.NAME, b"new", HEAD)
            others = another(node, 8, without=[away])
            info = await others.head(container, self.NAME)
            assert info.size == 3
            await others.delete(container, self.NAME, Condition(match=frozenset([info.etag])))
            assert not await exists(writer, container, self.NAME)

    async def test_what_was_written_at_two_comes_to_all_and_stays(self, autojump_clock: MockClock) -> None:
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 2)
            await another(node, 7, without=[2]).put(container, self.NAME, b"new", HEAD)
            for _ in range(2):
                await trio.sleep(STEP_SECONDS + 70)
                await collect(node)
            stamps = set(await stamps_of(node, container, self.NAME))
            assert len(stamps) == 1
            assert None not in stamps
            assert await retired(node) == 0
            assert await exists(node.store, container, self.NAME)

    async def test_who_looks_for_it_does_not_bring_it_back(self, autojump_clock: MockClock) -> None:
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 2)
            with pytest.raises(NotFoundError):
                await another(node, 7, without=[0]).delete(container, self.NAME)
            assert await stamps_of(node, container, self.NAME) == [None] * 3

    async def test_it_stands_for_no_write_that_it_keeps_out(self, autojump_clock: MockClock) -> None:
        """One replica takes the write, and the other would answer that it has been overwritten."""
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 2)
            writer = another(node, 7, without=[2])
            rows, place = writer.rows, writer.rows.place

            async def cut_off(row: Row, packed: bytes, ring: Ring, **how: bool) -> Applied | None:
                rows.devices = {number: node.store.devices[number] for number in (1, 2)}
                return await place(row, packed, ring, **how)

            with mock.patch.object(rows, "place", cut_off), suppress(RetryableError):
                await writer.put(container, self.NAME, b"new", HEAD)
                assert await exists(another(node, 8, without=[1]), container, self.NAME)

    async def _contested(self, node: SimNode, container: Container, meanwhile: Callable[[], Awaitable[object]]) -> bool:
        """Whether a writer is told that it has written, whose first round reaches one that takes it, and the one that
        refuses it; something is done before its next round, at the latter and a third one."""
        writer = another(node, 7, without=[0])
        rows, place, everyone = writer.rows, writer.rows.place, dict(node.store.devices)
        rounds = []

        async def late(row: Row, packed: bytes, ring: Ring, **how: bool) -> Applied | None:
            rounds.append(row)
            rows.devices = everyone if len(rounds) > 1 else {number: everyone[number] for number in (0, 2)}
            applied = await place(row, packed, ring, **how)
            if len(rounds) == 1:
                assert applied is None
                await meanwhile()
                rows.devices = everyone
            return applied

        with mock.patch.object(rows, "place", late):
            try:
                await writer.put(container, self.NAME, b"new", HEAD)
            except RetryableError:
                return False
        return True

    async def test_a_write_is_not_taken_for_one_from_before_it_where_it_is_settled(
        self, autojump_clock: MockClock
    ) -> None:
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 0)
            key, packed = key_of(node, container, self.NAME)
            settling = another(node, 8, without=[2])
            written = await self._contested(node, container, lambda: settling.rows.settle(key, packed))
            assert not written or await exists(another(node, 9), container, self.NAME)

    async def test_a_write_is_not_taken_for_one_from_before_it_where_another_is_made(
        self, autojump_clock: MockClock
    ) -> None:
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 0)
            making, nothing = another(node, 8, without=[2]), Condition(none_match=frozenset("*"))
            written = await self._contested(
                node, container, lambda: making.put(container, self.NAME, b"made", HEAD, nothing)
            )
            assert not written or (await another(node, 9).head(container, self.NAME)).size == 3

    async def test_who_gains_the_row_takes_what_came_after_it(self, autojump_clock: MockClock) -> None:
        """It was a replica, and is one again."""
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 0)
            await another(node, 7, without=[0]).put(container, self.NAME, b"new", HEAD)
            key, packed = key_of(node, container, self.NAME)
            exchange, device = node.replicator.rebalancer._exchange, node.store.devices[0]
            await exchange.release_retired(device, lambda ring_hash: ring_hash != key.ring_hash)
            await device.flush()
            assert await device.retired_stamp(packed) is not None
            await exchange.release_retired(device, lambda ring_hash: ring_hash == key.ring_hash)
            await device.flush()
            await exchange.take(device, lambda ring_hash: ring_hash == key.ring_hash)
            assert len(set(await stamps_of(node, container, self.NAME))) == 1

    async def test_a_write_under_a_condition_is_above_it(self, autojump_clock: MockClock) -> None:
        async with opened(media_of(3)) as (node, container):
            await self._left_at(node, container, 2)
            nothing = Condition(none_match=frozenset("*"))
            await another(node, 7, without=[2]).put(container, self.NAME, b"new", HEAD, nothing)
            changed = await another(node, 8, without=[0]).update(container, self.NAME, lambda _: HEAD)
            assert await another(node, 9, without=[1]).head(container, self.NAME) == changed


@pytest.mark.own_devices("a device loses what it has retired, and has notes of an earlier program")
async def test_a_long_name_that_an_earlier_program_did_not_keep_is_not_guessed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key has a part of it and a hash: taken for the name, that would be another row's."""
    monkeypatch.setattr("store.engine.row_table.retired_note", lambda row: row.stamp)
    name = "o" * (NAME_KEY_BYTES + 1)
    async with opened(media_of(3)) as (node, container):
        await deleted(node, container, ["first"])
        await collect(node)
        await deleted(node, container, [name])
        packed = key_of(node, container, name)[1]
        await collect(node)  # no step is due: it is retired
        stamp = await node.devices[0].retired_stamp(packed)
        assert stamp is not None
        for number in (1, 2):
            node.devices[number].release_tombstone(packed, stamp)
        await trio.sleep(STEP_SECONDS + 70)
        await collect(node)
        assert await retired(node) == 1
        for device in node.devices.values():
            assert not engine_of(device).row_table.promises.by_row
