"""What a coordinator does when others get in its way, at each moment where they can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from store.core.stamp import ZERO, StampSource
from store.device.port import Applied, FindReply
from store.device.promise import Promise, prepare_promise
from store.device.row import Row, RowKey, index_key
from store.engine.device import Device
from store.objects.quorum_read import ReadRow
from store.objects.rows import Rows, tombstone
from store.ring import ROWS, Ring
from tests.replicator.clusters import media_of, opened, put_out
from tests.simulation.node import SimNode
from tests.simulation.world import SimClock

Meanwhile = Callable[[], Awaitable[object]]


def rows_of(node: SimNode, writer: int) -> Rows:
    """Those of a process that is not alone."""
    return Rows(node.store.rows.ring, node.store.devices, StampSource(SimClock(), writer), alone=False)


def key_of(rows: Rows) -> tuple[RowKey, bytes]:
    key = rows.key(bytes(16), 1, b"one")
    return key, index_key(key)


def row_of(rows: Rows, value: bytes) -> Row:
    return Row(key_of(rows)[0], ZERO, 0, 0, 0, 0, b"", value, b"", b"")


async def value_of(rows: Rows) -> bytes | None:
    found = await rows.read(*key_of(rows))
    return found.row.summary if found is not None and found.row.live else None


def before_placing(monkeypatch: pytest.MonkeyPatch, rows: Rows, meanwhile: Meanwhile) -> None:
    """Something happens between the look or promise of the next write, and the write itself."""
    place = rows.place

    async def late(row: Row, packed: bytes, ring: Ring, **how: bool) -> Applied | None:
        monkeypatch.setattr(rows, "place", place)
        await meanwhile()
        return await place(row, packed, ring, **how)

    monkeypatch.setattr(rows, "place", late)


async def promise_above(rows: Rows, seconds: int) -> None:
    """A writer that had all replicas promise, and died."""
    key, packed = key_of(rows)
    ahead = rows.stamps.next()._replace(time_us=rows.stamps.next().time_us + seconds * 1_000_000)
    answered = trio.Event()
    answers = 0

    def reply(*_: object) -> None:
        nonlocal answers
        answers += 1
        if answers == len(replicas):
            answered.set()

    replicas = rows.ring.replicas_all(ROWS, key.ring_hash)
    for replica in replicas:
        rows.devices[replica].submit_promise(prepare_promise(Promise(key, ahead), rows.ring.epoch), reply)
    await answered.wait()
    assert packed


@pytest.mark.at_once("about which replicas are asked")
@pytest.mark.parametrize("own", range(3))
async def test_what_is_near_is_asked_first(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, own: int
) -> None:
    async with opened(media_of(3)) as (node, _):
        stamps = StampSource(SimClock(), 7)
        far, near = (device for device in range(3) if device != own)
        distances = {far: 2, near: 1}
        rows = Rows(node.store.rows.ring, node.store.devices, stamps, alone=False, distances=distances)
        asked: list[int] = []
        find = Device.submit_find

        def noted(device: Device, packed_key: bytes, epoch: int, reply: FindReply) -> None:
            asked.append(device.id)
            find(device, packed_key, epoch, reply)

        monkeypatch.setattr(Device, "submit_find", noted)
        await rows.read(*key_of(rows))
        assert asked == [own, near]


async def test_a_plain_write_that_a_promise_bars_is_written_anew_above_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, _):
        rows = rows_of(node, 7)
        _, packed = key_of(rows)
        await rows.put(row_of(rows, b"old"), packed)
        before_placing(monkeypatch, rows, lambda: promise_above(rows, 5))
        written, _ = await rows.put(row_of(rows, b"new"), packed)
        assert await value_of(rows) == b"new"
        assert written.origin is None
        found = await rows.read(*key_of(rows))
        assert found is not None
        assert found.row.stamp == written.stamp.pack()


async def test_a_plain_write_that_another_has_overtaken_is_not_written_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands just before the other one: nobody may see it behind that."""
    async with opened(media_of(3)) as (node, _):
        rows, other = rows_of(node, 7), rows_of(node, 8)
        _, packed = key_of(rows)

        async def overtake() -> None:
            await other.put(row_of(other, b"other"), packed)
            await promise_above(rows, 5)  # no replica counts any more as if the first had been there

        before_placing(monkeypatch, rows, overtake)
        await rows.put(row_of(rows, b"mine"), packed)
        assert await value_of(rows) == b"other"


async def test_a_plain_write_is_above_a_conditional_one_that_has_not_seen_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, _):
        rows, other = rows_of(node, 7), rows_of(node, 8)
        key, packed = key_of(rows)
        await rows.put(row_of(rows, b"old"), packed)

        async def appended(found: ReadRow | None) -> Row:
            assert found is not None
            return row_of(other, found.row.summary + b"+")

        before_placing(monkeypatch, rows, lambda: other.change(key, packed, appended))
        await rows.put(row_of(rows, b"new"), packed)
        assert await value_of(rows) == b"new"


async def test_a_conditional_write_begins_anew_where_another_came_between(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, _):
        rows, other = rows_of(node, 7), rows_of(node, 8)
        key, packed = key_of(rows)
        await rows.put(row_of(rows, b"old"), packed)
        seen: list[bytes] = []

        async def appended(found: ReadRow | None) -> Row:
            assert found is not None
            seen.append(found.row.summary)
            if len(seen) == 1:
                await other.put(row_of(other, b"other"), packed)
            return row_of(rows, found.row.summary + b"+")

        await rows.change(key, packed, appended)
        assert seen == [b"old", b"other"]
        assert await value_of(rows) == b"other+"


@pytest.mark.parametrize("how", ["plain", "conditional"])
async def test_a_conditional_write_that_was_overtaken_counts_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Between its promise and its write another comes: either that has seen it, or it is made again of the other."""
    async with opened(media_of(3)) as (node, _):
        rows, other = rows_of(node, 7), rows_of(node, 8)
        key, packed = key_of(rows)
        await rows.put(row_of(rows, b"old"), packed)

        async def appended(found: ReadRow | None) -> Row:
            assert found is not None
            return row_of(rows, found.row.summary + b"+")

        async def overtake() -> None:
            if how == "plain":
                await other.put(row_of(other, b"other"), packed)
            else:
                await other.change(key, packed, appended)

        before_placing(monkeypatch, rows, overtake)
        await rows.change(key, packed, appended)
        assert await value_of(rows) in ((b"other", b"other+") if how == "plain" else (b"old++",))


@pytest.mark.at_once("about which replicas are asked")
async def test_a_row_that_is_settled_shows_the_time_of_its_change(
    autojump_clock: MockClock,
) -> None:
    """Read while replicas differ, and a promise keeps the newer version from those that lack it."""
    async with opened(media_of(3)) as (node, _):
        rows = rows_of(node, 7)
        key, packed = key_of(rows)
        await rows.put(row_of(rows, b"old"), packed)
        await trio.sleep(5)
        written = row_of(rows, b"new")._replace(stamp=rows.stamps.next())
        first = rows.ring.read_set(ROWS, key.ring_hash)[0]
        done = trio.Event()
        rows.devices[first].submit_row(rows.prepare(written, packed), lambda *_: done.set())
        await done.wait()
        await promise_above(rows, 5)
        put_out(node, rows.ring.read_set(ROWS, key.ring_hash)[2])  # so the one that has it is of every quorum
        found = await rows.read(key, packed)
        assert found is not None
        assert found.row.summary == b"new"
        assert found.row.stamp > written.stamp.pack() == found.row.shown == found.row.root


@pytest.mark.parametrize("how", ["plain", "conditional", "new"])
async def test_a_ring_that_all_refuse_by_now_is_nothing_to_the_client(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Tombstones are released behind such a step: what some replica had might not be sent again, but none has it."""
    async with opened(media_of(3)) as (node, _):
        rows = rows_of(node, 7)
        key, packed = key_of(rows)
        if how != "new":
            await rows.put(row_of(rows, b"old"), packed)
        ring = rows.ring.collect()

        async def step() -> None:
            for device in node.devices.values():
                await device.enforce(ring.epoch)

            async def hear() -> None:
                await trio.sleep(1)
                await rows.follow(ring)

            node.nursery.start_soon(hear)

        async def appended(found: ReadRow | None) -> Row:
            assert found is not None
            return row_of(rows, found.row.summary + b"+")

        before_placing(monkeypatch, rows, step)
        if how == "plain":
            await rows.put(row_of(rows, b"new"), packed)
        elif how == "new":
            await rows.put_new(row_of(rows, b"new"), packed)
        else:
            await rows.change(key, packed, appended)
        assert await value_of(rows) == (b"old+" if how == "conditional" else b"new")


@pytest.mark.at_once("about a moment of the collector")
async def test_what_was_retired_is_replaced_like_any_version(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        rows = rows_of(node, 7)
        key, packed = key_of(rows)
        await rows.put(row_of(rows, b"old"), packed)
        await rows.put(tombstone(key, 0), packed)
        await trio.sleep(5)
        found = await rows.read(key, packed)
        assert found is not None
        for replica in rows.ring.replicas_all(ROWS, key.ring_hash)[:2]:
            rows.devices[replica].retire_tombstone(packed, found.row.stamp)

        async def made(found: ReadRow | None) -> Row:
            assert found is not None
            assert not found.row.live
            return row_of(rows, b"new")

        await rows.change(key, packed, made)
        assert await value_of(rows) == b"new"
