"""The promise of `DevicePort`, for every form of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, cast

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import (
    BusyError,
    DamageError,
    DeviceError,
    DrystoneError,
    FencedError,
    FullError,
    NotFoundError,
    ReplacedError,
    StaleEpochError,
)
from store.core.stamp import Stamp
from store.device.block import BlockKey, encode_meta
from store.device.port import Applied, DevicePort, Fenced, Seen
from store.device.promise import Promise, prepare_promise
from store.device.record import Kind, seal
from store.device.row import STAMP_BYTES, UPLOAD, Flag, Origin, Row, RowKey, decode_value, index_key, verify_value
from store.objects.rows import prepare
from tests.device.forms import FORMS, Form
from tests.engine.devices import TABLE, row

T = TypeVar("T")
OWNER = RowKey(1, TABLE, 0, b"o")
NEWS_S = 1.0
"""So long it may take until it is known how a device is."""
DATA, OTHER = b"d" * 16, b"e" * 16


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest, autojump_clock: MockClock) -> Form:
    made: Form = FORMS[request.param]()
    return made


async def write(device: DevicePort, each: Row, epoch: int = 1, *, reserve: bool = False) -> Applied:
    answers: list[tuple[Applied | None, DrystoneError | None]] = []
    answered = trio.Event()

    def reply(applied: Applied | None, error: DrystoneError | None) -> None:
        answers.append((applied, error))
        answered.set()

    device.submit_row(prepare(each, epoch), reply, reserve=reserve)
    await answered.wait()
    ((applied, error),) = answers
    if error is not None:
        raise error
    assert applied is not None
    return applied


async def done(submit: Callable[[Callable[[DrystoneError | None], None]], None]) -> None:
    """Hand something over, and wait until it is done."""
    answers: list[DrystoneError | None] = []
    answered = trio.Event()

    def reply(error: DrystoneError | None) -> None:
        answers.append(error)
        answered.set()

    submit(reply)
    await answered.wait()
    (error,) = answers
    if error is not None:
        raise error


async def answer(submit: Callable[[Callable[[int, T | None, DrystoneError | None], None]], None]) -> T:
    """What a device answers that is one of several."""
    answers: list[tuple[int, T | None, DrystoneError | None]] = []
    answered = trio.Event()

    def reply(number: int, value: T | None, error: DrystoneError | None) -> None:
        answers.append((number, value, error))
        answered.set()

    submit(reply)
    await answered.wait()
    ((_, value, error),) = answers
    if error is not None:
        raise error
    return cast("T", value)


async def promise(
    device: DevicePort, name: bytes, time_us: int, epoch: int = 1, *, reserve: bool = False, writer: int = 1
) -> Seen:
    write = prepare_promise(Promise(row(name, 1).key, Stamp(time_us, writer)), epoch)
    return await answer(partial(device.submit_promise, write, reserve=reserve))


async def look(device: DevicePort, name: bytes, epoch: int = 1) -> Seen:
    return await answer(partial(device.submit_look, packed(name), epoch))


def at(time_us: int) -> bytes:
    return Stamp(time_us, 1).pack()


def conditional(name: bytes, time_us: int, root_us: int, base_us: int, flags: int = 0) -> Row:
    return row(name, time_us, flags=flags)._replace(origin=Origin(at(root_us), at(base_us), at(time_us)))


async def find(device: DevicePort, name: bytes, epoch: int = 1) -> bytes | None:
    """The version of a row, by the look-up of quorums."""
    answers: list[tuple[int, bytes | None, DrystoneError | None]] = []
    answered = trio.Event()

    def reply(number: int, value: bytes | None, error: DrystoneError | None) -> None:
        answers.append((number, value, error))
        answered.set()

    device.submit_find(packed(name), epoch, reply)
    await answered.wait()
    ((number, value, error),) = answers
    assert number == device.id
    if error is not None:
        raise error
    return None if value is None else value[:STAMP_BYTES]


def packed(name: bytes) -> bytes:
    return index_key(row(name, 1).key)


def with_data(name: bytes, time_us: int, data_id: bytes) -> Row:
    return row(name, time_us, flags=Flag.DATA)._replace(data_id=data_id, payload=b"", size=5)


async def put_block(device: DevicePort, key: BlockKey, payload: bytes) -> None:
    losses = device.data_losses
    await device.write_block(key, seal(Kind.BLOCK, encode_meta(key, OWNER), payload))
    await device.sync_data(losses)


async def fence(device: DevicePort, data_id: bytes, epoch: int) -> Fenced:
    return await answer(partial(device.submit_fence, data_id, epoch))


async def put_fenced(device: DevicePort, block: int, epoch: int, data_id: bytes = DATA) -> None:
    """A block of data that are fenced."""
    key, losses = BlockKey(data_id, block, 0), device.data_losses
    sealed = seal(Kind.BLOCK, encode_meta(key, OWNER), b"by %d" % epoch)
    await done(lambda reply: device.submit_block(key, sealed, reply, epoch=epoch))
    await device.sync_data(losses)


async def test_a_row_is_durable_when_its_reply_says_so(form: Form) -> None:
    async with form.opened() as device:
        assert (await write(device, row(b"a", 5, b"data"))).stamp == Stamp(5, 1).pack()
    async with form.opened() as device:
        found = await device.find_row(packed(b"a"))
        assert found is not None
        assert await find(device, b"a") == await device.find_stamp(packed(b"a")) == found.stamp == Stamp(5, 1).pack()
        assert (await device.load_row(packed(b"a"), found, payload=True)).payload == b"data"
        assert await find(device, b"b") is None
        assert await device.in_doubt(b"", 10) in ([], [packed(b"a")])


async def test_the_newest_version_wins_in_any_order_and_however_often(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5, b"new"))
        assert (await write(device, row(b"a", 3, b"old"))).stamp == Stamp(5, 1).pack()
        assert (await write(device, row(b"a", 5, b"new"))).stamp == Stamp(5, 1).pack()
        applied = await write(device, row(b"a", 7, flags=Flag.TOMBSTONE))
        assert applied.displaced is not None
        assert applied.displaced.stamp == Stamp(5, 1).pack()
        assert await find(device, b"a") == Stamp(7, 1).pack()
        assert await device.usage(1, TABLE, 0, epoch=1) == {}


async def test_quorums_of_older_rings_are_refused_after_a_restart_too(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 1), epoch=4)
        await device.enforce(4)
        await device.enforce(2)
    async with form.opened() as device:
        assert device.enforced == 4
        asks: list[Callable[[], Awaitable[object]]] = [
            lambda: write(device, row(b"a", 2), epoch=3),
            lambda: find(device, b"a", epoch=3),
            lambda: look(device, b"a", epoch=3),
            lambda: promise(device, b"a", 9, epoch=3),
            lambda: device.list_rows(1, TABLE, 0, b"", None, 10, epoch=3),
            lambda: device.usage(1, TABLE, 0, epoch=3),
        ]
        for ask in asks:
            with pytest.raises(StaleEpochError):
                await ask()
        assert await find(device, b"a", epoch=4) == Stamp(1, 1).pack()
        assert (await look(device, b"a", epoch=4)).floor == at(1), "what was refused has promised nothing"


async def test_a_full_device_takes_deletes_and_what_others_have_already(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 1, b"data"))
        form.fill(full=True)
        await trio.sleep(NEWS_S)
        assert device.full
        with pytest.raises(FullError):
            await write(device, row(b"b", 1))
        with pytest.raises(FullError):
            await put_block(device, BlockKey(DATA, 0, 0), b"block")
        with pytest.raises(FullError):
            await promise(device, b"a", 9)
        assert await fence(device, DATA, 5) == Fenced(5, []), "it may be what is needed to give room back"
        assert not (await promise(device, b"d", 9, reserve=True)).barred
        assert await find(device, b"b") is None
        await write(device, row(b"a", 2, flags=Flag.TOMBSTONE))
        await write(device, row(UPLOAD + DATA, 2, flags=Flag.ABORT))
        await write(device, row(b"b", 1), reserve=True)
        form.fill(full=False)
        await write(device, row(b"c", 1))


async def test_a_device_that_is_out_says_so_to_every_call(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 1))
        known = await device.find_row(packed(b"a"))
        assert known is not None
        key = BlockKey(DATA, 0, 0)
        form.take_away()
        await trio.sleep(NEWS_S)
        assert isinstance(device.failed, DeviceError)
        asks: list[Callable[[], Awaitable[object]]] = [
            lambda: write(device, row(b"a", 2)),
            lambda: find(device, b"a"),
            lambda: look(device, b"a"),
            lambda: promise(device, b"a", 2),
            lambda: device.find_row(packed(b"a")),
            lambda: device.find_stamp(packed(b"a")),
            lambda: device.list_rows(1, TABLE, 0, b"", None, 10, epoch=1),
            lambda: device.walk_rows(b"", 10),
            lambda: device.usage(1, TABLE, 0, epoch=1),
            lambda: device.garbage(b"", 10),
            lambda: device.tombstones(b"", 10),
            lambda: device.uploads(b"", 10),
            lambda: device.hints(1, b"", 10),
            lambda: put_block(device, key, b"block"),
            lambda: device.read_block(key),
            lambda: done(lambda reply: device.submit_drop(DATA, reply)),
            lambda: fence(device, DATA, 5),
            lambda: put_fenced(device, 0, 5),
            lambda: device.set_in_sync(in_sync=False),
            lambda: device.drain(),
        ]
        for ask in asks:
            with pytest.raises(DeviceError):
                await ask()
    async with form.opened() as device:
        assert device.failed is None
        assert await find(device, b"a") == Stamp(1, 1).pack()


async def test_listings_and_walks_are_in_order_and_in_pages(form: Form) -> None:
    names = [b"%02d" % number for number in range(10)]
    async with form.opened() as device:
        for name in reversed(names):
            await write(device, row(name, 1))
        await write(device, row(b"05", 2, flags=Flag.TOMBSTONE))
        for verified in (True, False):
            page = await device.list_rows(1, TABLE, 0, b"02", b"08", 4, epoch=1, verified=verified)
            assert [key for key, _ in page] == list(map(packed, names[2:6]))
            page = await device.list_rows(1, TABLE, 0, b"02", b"08", 4, epoch=1, reverse=True, verified=verified)
            assert [key for key, _ in page] == list(map(packed, reversed(names[4:8])))
        walked: list[bytes] = []
        after, more = b"", True
        while more:
            rows, after = await device.walk_rows(after, 3)
            assert [key for key, _ in rows] == (await device.walk_keys(walked[-1] if walked else b"", 3))[0]
            walked += [key for key, _ in rows]
            more = bool(after)
        assert walked == list(map(packed, names))
        assert await device.usage(1, TABLE, 0, epoch=1) == {0: (9, 0)}
        span = (1, TABLE, 0, b"02", b"08", 4)
        for reverse in (False, True):
            page = await answer(partial(device.submit_list, *span, epoch=1, reverse=reverse))
            assert page == await device.list_rows(*span, epoch=1, reverse=reverse)
        assert await answer(partial(device.submit_usage, 1, TABLE, 0, epoch=1)) == {0: (9, 0)}


async def test_what_is_forgotten_is_so_for_every_later_call_and_only_this_version(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5, flags=Flag.TOMBSTONE))
        device.forget_row(packed(b"a"), Stamp(4, 1).pack())
        assert await find(device, b"a") == Stamp(5, 1).pack()
        assert await device.tombstones(b"", 10) == [(packed(b"a"), Stamp(5, 1).pack())]
        for _ in range(2):
            device.forget_row(packed(b"a"), Stamp(5, 1).pack())
            assert await find(device, b"a") is None
        await write(device, row(b"a", 1))
        await device.discard_row(packed(b"a"))
        await device.discard_row(packed(b"a"))
        assert await find(device, b"a") is None


async def test_a_retired_tombstone_keeps_what_is_older_out_until_it_is_released(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5, flags=Flag.TOMBSTONE))
        device.retire_tombstone(packed(b"a"), Stamp(4, 1).pack())
        assert await device.retired_stamp(packed(b"a")) is None
        device.retire_tombstone(packed(b"a"), Stamp(5, 1).pack())
        assert await device.retired_stamp(packed(b"a")) == Stamp(5, 1).pack()
        assert await device.tombstones(b"", 10) == []
        await write(device, row(b"a", 3))
        assert await find(device, b"a") is None
        await device.flush()
    async with form.opened() as device:
        assert await device.retired_tombstones(b"", 10) == [(packed(b"a"), Stamp(5, 1).pack())]
        device.release_tombstone(packed(b"a"), Stamp(5, 1).pack())
        await device.flush()
        await write(device, row(b"a", 3))
        assert await find(device, b"a") == Stamp(3, 1).pack()


async def test_a_promise_keeps_out_what_is_below_it_until_the_version_reaches_it(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5, b"data"))
        seen = await promise(device, b"a", 8)
        assert seen.value is not None
        assert (seen.value[:STAMP_BYTES], seen.floor, seen.retired, seen.believed, seen.barred) == (
            at(5), at(8), False, True, False,
        )  # fmt: skip
        for below in (row(b"a", 7), row(b"a", 6, flags=Flag.TOMBSTONE), conditional(b"a", 7, 5, 5)):
            barred = await write(device, below)
            assert (barred.barred, barred.floor, barred.covers, barred.refused) == (True, at(8), False, "")
        assert (await write(device, row(b"a", 7), reserve=True)).barred, "whoever brings it"
        assert await find(device, b"a") == at(5)
        again = await write(device, row(b"a", 5, b"data"))
        assert (again.barred, again.stamp) == (False, at(5)), "what is here is not kept out"
        assert not (await write(device, row(b"b", 7))).barred, "another row"
        assert (await write(device, row(b"a", 8))).stamp == at(8)
        assert (await look(device, b"a")).floor == at(8)
        newer = await write(device, row(b"a", 7))
        assert (newer.barred, newer.stamp, newer.floor) == (False, at(8), at(8))
    async with form.opened() as device:
        assert (await look(device, b"a")).floor == at(8)


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_promise_outlives_the_loss_of_power(form: Form, flushed: bool) -> None:
    async with form.opened() as device:
        await promise(device, b"a", 8)
        await write(device, row(b"b", 5))
        await promise(device, b"b", 9)
        await promise(device, b"c", 7)
        await write(device, row(b"c", 7))
        if flushed:
            await device.flush()
    for _ in range(2):
        async with form.opened() as device:
            seen = await look(device, b"a")
            assert (seen.value, seen.floor, seen.retired) == (None, at(8), False)
            assert (await write(device, row(b"a", 7))).barred
            assert (await write(device, row(b"b", 8))).barred
            assert await find(device, b"b") == at(5)
            assert (await look(device, b"c")).floor == at(7)
            assert (await promise(device, b"a", 7)).barred
            assert not (await promise(device, b"a", 8)).barred
            await device.flush()


async def test_a_promise_is_barred_by_what_is_above_it_and_by_a_version_of_its_stamp(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5))
        for time_us, barred in ((4, True), (5, True), (8, False), (7, True), (8, False), (9, False)):
            seen = await promise(device, b"a", time_us)
            assert seen.barred == barred, time_us
            assert seen.value is not None
        assert seen.floor == at(9)
        assert (await promise(device, b"a", 9, writer=0)).barred, "of two with one time the writer decides"
        assert (await promise(device, b"a", 4)).floor == at(9)
        await write(device, row(b"t", 5, flags=Flag.TOMBSTONE))
        device.retire_tombstone(packed(b"t"), at(5))
        assert (await promise(device, b"t", 5)).barred
        assert not (await promise(device, b"t", 6)).barred


async def test_rows_and_promises_of_a_key_take_effect_in_the_order_in_which_they_are_submitted(form: Form) -> None:
    async with form.opened() as device:
        told: list[str] = []
        every = trio.Event()

        def tell(what: str) -> None:
            told.append(what)
            if len(told) == 3:
                every.set()

        def applied(result: Applied | None, error: DrystoneError | None) -> None:
            assert error is None
            assert result is not None
            tell("barred" if result.barred else "took")

        def seen(_device: int, result: Seen | None, error: DrystoneError | None) -> None:
            assert error is None
            assert result is not None
            tell("nothing" if result.value is None else f"saw {Stamp.unpack(result.value[:STAMP_BYTES]).time_us}")

        device.submit_row(prepare(row(b"a", 5), 1), applied)
        device.submit_promise(prepare_promise(Promise(row(b"a", 1).key, Stamp(8, 1)), 1), seen)
        device.submit_row(prepare(row(b"a", 7), 1), applied)
        await every.wait()
        assert sorted(told) == ["barred", "saw 5", "took"]


async def test_a_version_tells_what_it_came_of_wherever_it_is_read(form: Form) -> None:
    written = conditional(b"a", 9, 5, 7)._replace(payload=b"data", size=4)
    async with form.opened() as device:
        await write(device, written)
    async with form.opened() as device:
        found = await device.find_row(packed(b"a"))
        assert found is not None
        assert found.origin == written.origin
        assert found.flags & Flag.CONDITIONAL
        whole = await device.load_row(packed(b"a"), found, payload=True)
        assert whole._replace(payload=bytes(whole.payload)) == written
        seen = await look(device, b"a")
        assert seen.value is not None
        assert decode_value(packed(b"a"), seen.value) == found
        displaced = (await write(device, row(b"a", 10))).displaced
        assert displaced is not None
        assert (displaced.origin, displaced.root) == (written.origin, at(5))


@pytest.mark.parametrize("origin", [None, Origin(at(3), at(4), at(3))])
async def test_a_retired_tombstone_is_seen_as_the_tombstone_that_it_was(form: Form, origin: Origin | None) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5, flags=Flag.TOMBSTONE)._replace(origin=origin))
        device.retire_tombstone(packed(b"a"), at(5))
        await look(device, b"a")
        await device.flush()
    async with form.opened() as device:
        seen = await look(device, b"a")
        assert (seen.retired, seen.floor) == (True, at(5))
        assert seen.value is not None
        verify_value(packed(b"a"), seen.value)
        left = decode_value(packed(b"a"), seen.value)
        assert (left.live, left.stamp, left.origin) == (False, at(5), origin)
        assert await device.retired_stamp(packed(b"a")) == at(5)
        assert await device.retired_tombstones(b"", 10) == [(packed(b"a"), at(5))]
        assert await find(device, b"a") is None
        assert (await write(device, row(b"a", 4))).floor == at(5)
        assert not (await promise(device, b"a", 8)).barred
        assert (await write(device, row(b"a", 7))).barred
        device.release_tombstone(packed(b"a"), at(5))
        await device.flush()
        seen = await look(device, b"a")
        assert (seen.value, seen.retired, seen.floor) == (None, False, at(8)), "what was promised is kept"


async def test_a_newer_version_covers_what_it_came_after_if_nothing_was_promised_between(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 2))
        await write(device, row(b"a", 9))
        assert (await write(device, row(b"a", 5))).covers
        assert (await write(device, row(b"a", 2))).covers
        await write(device, conditional(b"a", 12, 9, 9))
        assert (await write(device, row(b"a", 5))).covers, "it came of a later plain write"
        newer = await write(device, row(b"a", 10))
        assert (newer.covers, newer.floor) == (False, at(12)), "it came of an earlier one"
        await promise(device, b"a", 14)
        await write(device, row(b"a", 15))
        assert not (await write(device, row(b"a", 13))).covers
        await write(device, row(b"a", 20))
        assert (await write(device, row(b"a", 17))).covers
        assert (await write(device, row(b"a", 14))).covers
    async with form.opened() as device:
        assert not (await write(device, row(b"a", 17))).covers, "what was promised before is not known"
        await write(device, row(b"a", 30))
        assert not (await write(device, row(b"a", 17))).covers
        assert (await write(device, row(b"a", 25))).covers


async def test_a_guard_is_looked_at_before_stamps_and_promises(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(UPLOAD + DATA, 2, flags=Flag.ABORT)._replace(summary=b"a"))
        await write(device, row(b"a", 9))
        await promise(device, b"a", 12)
        commit = row(b"a", 5)._replace(flags=Flag.DATA | Flag.GUARD, data_id=DATA)
        for time_us in (5, 10, 13):
            applied = await write(device, commit._replace(stamp=Stamp(time_us, 1)))
            assert (applied.refused, applied.barred) == ("aborted", False)
        intent = row(UPLOAD + OTHER, 2)._replace(summary=b"a")
        await write(device, intent)
        barred = await write(device, commit._replace(stamp=Stamp(10, 1), data_id=OTHER))
        assert (barred.refused, barred.barred) == ("", True)
        assert await device.uploads(b"", 10) == [(each, packed(UPLOAD + each)) for each in (DATA, OTHER)], (
            "an upload that was kept out is not ended"
        )


async def test_displaced_data_expiries_uploads_and_hints_are_noted_until_they_are_forgotten(form: Form) -> None:
    async with form.opened() as device:
        await write(device, with_data(b"a", 1, DATA))
        await write(device, with_data(b"a", 2, OTHER)._replace(flags=Flag.DATA | Flag.EXPIRES, expires=50))
        intent = row(UPLOAD + DATA, 1)._replace(summary=b"a")
        await write(device, intent)
        device.note_hint(9, packed(b"a"), 17)
        await device.flush()
    async with form.opened() as device:
        (note,) = await device.garbage(b"", 10)
        assert (note.data_id, note.owner) == (DATA, row(b"a", 1).key)
        assert await device.garbage(DATA, 10) == []
        assert await device.expired(51, 10) == [(50, packed(b"a"))]
        assert await device.expired(50, 10) == []
        assert await device.uploads(b"", 10) == [(DATA, index_key(intent.key))]
        assert await device.hinted() == [9]
        assert await device.hints(9, b"", 10) == [(packed(b"a"), 17)]
        device.forget_garbage(DATA)
        device.forget_hint(9, packed(b"a"), 16)  # it was noted again since
        assert await device.garbage(b"", 10) == []
        assert await device.hinted() == [9]
        device.forget_hint(9, packed(b"a"), 17)
        device.forget_expiry(50, packed(b"a"))
        assert (await device.hinted(), await device.expired(51, 10)) == ([], [])


async def test_what_several_devices_are_asked_for_is_the_same_as_what_one_is(form: Form) -> None:
    payload = bytes(range(256)) * 1000
    key = BlockKey(DATA, 2, 1)
    async with form.opened() as device:
        await put_block(device, key, payload)
        await write(device, row(b"a", 1, b"data"))
        found = await device.find_row(packed(b"a"))
        assert found is not None
        for wanted in (True, False):
            whole = await answer(partial(device.submit_load, packed(b"a"), found, payload=wanted))
            assert whole == await device.load_row(packed(b"a"), found, payload=wanted)
        assert device.payload_at_hand(found) in (None, b"data")
        for start, stop in ((0, None), (70_000, 70_001)):
            piece = await answer(partial(device.submit_read, key, start, stop))
            assert bytes(piece) == payload[start:stop]
        with pytest.raises(DamageError):
            await answer(partial(device.submit_read, BlockKey(DATA, 3, 1), 0, None))
        await write(device, row(b"a", 2, b"newer"))
        stale = found._replace(location=found.location._replace(offset=found.location.offset + 8))
        assert device.payload_at_hand(stale) is None
        with pytest.raises(ReplacedError):
            await answer(partial(device.submit_load, packed(b"a"), stale, payload=True))


async def test_blocks_are_durable_with_a_sync_and_verified_when_read(form: Form) -> None:
    payload = bytes(range(256)) * 1000
    key, missing = BlockKey(DATA, 2, 1), BlockKey(DATA, 3, 1)
    async with form.opened() as device:
        await put_block(device, key, payload)
    async with form.opened() as device:
        assert bytes(await device.read_block(key)) == payload
        assert bytes(await device.read_block(key, 1000, 70_000)) == payload[1000:70_000]
        assert await device.verify_block(key) == len(payload)
        assert await device.has_blocks(DATA) == [(2, 1)]
        assert await device.owners(b"", 10) == ([(DATA, OWNER)], b"")
        for read in (device.read_block, device.verify_block):
            with pytest.raises(DamageError):
                await read(missing)


async def test_what_was_begun_before_a_device_was_opened_anew_counts_as_lost(form: Form) -> None:
    async with form.opened() as device:
        losses = device.data_losses
    async with form.opened() as device:
        with pytest.raises(DrystoneError):
            await device.sync_data(losses)


async def test_a_reference_outlives_its_source_and_a_drop_is_for_good(form: Form) -> None:
    source, copy = BlockKey(DATA, 0, 0), BlockKey(OTHER, 0, 0)
    lost: list[DrystoneError | None] = []
    async with form.opened() as device:
        await put_block(device, source, b"payload")
        losses = device.data_losses
        await done(lambda reply: device.submit_reference(copy, source, OWNER, reply, lost.append))
        await device.sync_data(losses)
        await done(lambda reply: device.submit_drop(DATA, reply))
        with pytest.raises(DamageError):
            await done(lambda reply: device.submit_reference(copy, source, OWNER, reply, lost.append))
    async with form.opened() as device:
        assert await device.has_blocks(DATA) == []
        assert bytes(await device.read_block(copy)) == b"payload"
        assert lost == []
        await done(lambda reply: device.submit_drop(OTHER, reply))
        await done(lambda reply: device.submit_drop(OTHER, reply))
        assert await device.has_blocks(OTHER) == []


async def test_fenced_data_take_no_block_of_a_lower_epoch(form: Form) -> None:
    async with form.opened() as device:
        assert await fence(device, DATA, 5) == Fenced(5, [])
        await put_fenced(device, 3, 5)
        await put_fenced(device, 1, 6)
        assert await fence(device, DATA, 7) == Fenced(5, [1, 3])
        for epoch in (5, 6):
            with pytest.raises(FencedError):
                await put_fenced(device, 2, epoch)
            with pytest.raises(FencedError):
                await fence(device, DATA, epoch)
        await put_fenced(device, 2, 7)
        assert await fence(device, DATA, 7) == Fenced(5, [1, 2, 3]), "it may be asked for again"
        assert await fence(device, OTHER, 2) == Fenced(2, []), "other data have nothing to do with it"
        await put_fenced(device, 0, 2, OTHER)
        await put_block(device, BlockKey(DATA, 300, 0), b"brought by whoever repairs")
        assert await fence(device, DATA, 8) == Fenced(5, [1, 2, 3, 300])


async def test_data_without_a_fence_take_no_block_of_any_epoch(form: Form) -> None:
    """The device may have been made anew since their writer fenced it, and does not know who is the last one."""
    async with form.opened() as device:
        with pytest.raises(FencedError):
            await put_fenced(device, 0, 5)
        await put_block(device, BlockKey(DATA, 1, 0), b"ordinary")
        assert await fence(device, DATA, 6) == Fenced(6, [1])


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_fence_outlives_the_loss_of_power(form: Form, flushed: bool) -> None:
    async with form.opened() as device:
        await fence(device, DATA, 5)
        await put_fenced(device, 0, 5)
        await fence(device, DATA, 7)
        await fence(device, OTHER, 3)
        if flushed:
            await device.flush()
    for _ in range(2):
        async with form.opened() as device:
            with pytest.raises(FencedError):
                await put_fenced(device, 1, 6)
            with pytest.raises(FencedError):
                await fence(device, DATA, 6)
            await put_fenced(device, 2, 7)
            assert await fence(device, OTHER, 3) == Fenced(3, [])
            await device.flush()
    async with form.opened() as device:
        assert await fence(device, DATA, 9) == Fenced(5, [0, 2])


async def test_a_fence_counts_what_was_submitted_before_and_refuses_what_comes_behind(form: Form) -> None:
    sealed = {
        block: seal(Kind.BLOCK, encode_meta(BlockKey(DATA, block, 0), OWNER), bytes(10_000)) for block in range(9)
    }
    became: dict[int, DrystoneError | None] = {}

    def submit(block: int, epoch: int) -> None:
        def reply(error: DrystoneError | None) -> None:
            became[block] = error

        try:
            device.submit_block(BlockKey(DATA, block, 0), sealed[block], reply, epoch=epoch)
        except FencedError as error:
            reply(error)

    async with form.opened() as device:
        await fence(device, DATA, 5)
        for block in range(4):
            submit(block, 5)
        answers: list[tuple[Fenced | None, DrystoneError | None]] = []
        device.submit_fence(DATA, 7, lambda _device, fenced, error: answers.append((fenced, error)))
        submit(4, 5)
        submit(5, 6)
        await trio.sleep(NEWS_S)
        assert answers == [(Fenced(5, [0, 1, 2, 3]), None)]
        assert [type(became[block]) for block in range(6)] == [type(None)] * 4 + [FencedError] * 2
        submit(6, 7)
        await device.sync_data(device.data_losses)
        assert sorted(await device.has_blocks(DATA)) == [(0, 0), (1, 0), (2, 0), (3, 0), (6, 0)]


async def test_a_fence_that_is_forgotten_was_none(form: Form) -> None:
    async with form.opened() as device:
        await fence(device, DATA, 5)
        await put_fenced(device, 0, 5)
        for _ in range(2):
            device.forget_fence(DATA)
            with pytest.raises(FencedError):
                await put_fenced(device, 1, 5)
        await device.flush()
    async with form.opened() as device:
        with pytest.raises(FencedError):
            await put_fenced(device, 1, 9)
        assert await fence(device, DATA, 4) == Fenced(4, [0])
        device.submit_fence(DATA, 6, lambda *_: None)
        device.forget_fence(DATA)
        await trio.sleep(NEWS_S)
        with pytest.raises(FencedError):
            await put_fenced(device, 1, 6)


async def test_a_fence_goes_with_its_data(form: Form) -> None:
    async with form.opened() as device:
        await fence(device, DATA, 5)
        await put_fenced(device, 0, 5)
        await done(lambda reply: device.submit_drop(DATA, reply))
        with pytest.raises(FencedError):
            await put_fenced(device, 1, 5)
    async with form.opened() as device:
        with pytest.raises(FencedError):
            await put_fenced(device, 1, 5)
        assert await fence(device, DATA, 4) == Fenced(4, [])


async def test_a_device_that_is_not_in_sync_counts_for_no_quorum_but_gives_what_it_has(form: Form) -> None:
    stamp = Stamp(5, 1).pack()
    async with form.opened() as device:
        await write(device, row(b"a", 5, b"data"))
        device.note_hint(9, packed(b"a"), 17)
        await device.set_in_sync(in_sync=False)
        asks: list[Callable[[], Awaitable[object]]] = [
            lambda: find(device, b"a"),
            lambda: find(device, b"b"),
            lambda: look(device, b"a"),
            lambda: device.list_rows(1, TABLE, 0, b"", None, 10, epoch=1),
            lambda: device.usage(1, TABLE, 0, epoch=1),
            lambda: device.find_stamp(packed(b"a"), believed=True),
            lambda: device.retired_stamp(packed(b"a"), believed=True),
            lambda: device.hints(9, b"", 10),
        ]
        for ask in asks:
            with pytest.raises(BusyError):
                await ask()
        assert await device.find_stamp(packed(b"a")) == stamp
        whole = await answer(partial(device.submit_version, packed(b"a"), stamp, payload=True))
        assert whole.payload == b"data"
        await write(device, row(b"b", 1))
        seen = await promise(device, b"a", 9)
        assert (seen.believed, seen.barred, seen.floor) == (False, False, at(9))
        await write(device, row(b"a", 20))
        await write(device, row(b"a", 30))
        assert not (await write(device, row(b"a", 25))).covers
        await device.set_in_sync(in_sync=True)
        seen = await look(device, b"a")
        assert (seen.believed, seen.floor) == (True, at(30))
        assert not (await write(device, row(b"a", 25))).covers, (
            "what it promised before it lost its memory is not known"
        )
        stamp = at(30)
        assert await find(device, b"a") == stamp
        assert await device.hints(9, b"", 10) == [(packed(b"a"), 17)]


async def test_a_version_is_loaded_where_it_is_just_that(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5, b"data"))
        for wanted, payload in ((True, b"data"), (False, b"")):
            whole = await answer(partial(device.submit_version, packed(b"a"), Stamp(5, 1).pack(), payload=wanted))
            assert (whole.stamp, bytes(whole.payload)) == (Stamp(5, 1), payload)
        for stamp, error in ((Stamp(4, 1), ReplacedError), (Stamp(6, 1), NotFoundError)):
            with pytest.raises(error):
                await answer(partial(device.submit_version, packed(b"a"), stamp.pack(), payload=True))
        with pytest.raises(NotFoundError):
            await answer(partial(device.submit_version, packed(b"b"), Stamp(5, 1).pack(), payload=True))


async def test_what_is_noted_in_doubt_is_so_until_it_is_forgotten(form: Form) -> None:
    async with form.opened() as device:
        await write(device, row(b"a", 5))
        await device.flush()
        device.note_in_doubt(packed(b"a"))
        await device.flush()
    async with form.opened() as device:
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        device.forget_in_doubt(packed(b"a"))
        assert await device.in_doubt(b"", 10) == []


async def test_whether_it_is_in_sync_outlives_a_restart(form: Form) -> None:
    async with form.opened() as device:
        assert device.in_sync
        told: list[bool] = []
        device.on_in_sync = lambda: told.append(device.in_sync)
        await device.set_in_sync(in_sync=False)
        assert told == [False]
    async with form.opened() as device:
        assert not device.in_sync
        await device.set_in_sync(in_sync=True)
    async with form.opened() as device:
        assert device.in_sync
