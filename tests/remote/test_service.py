"""What only happens with devices of other processes: writers that go away, answers that nobody hears, wrong calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random
from typing import Any

import msgpack
import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, DrystoneError, InvalidError
from store.core.stamp import Stamp
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.device.row import Flag
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from store.objects.rows import prepare
from store.remote import methods
from store.remote.process import RemoteProcess
from store.wire.client import WireClient
from tests.device.over_wire import OverWire, hello
from tests.device.test_contract import DATA, OWNER, find, packed, promise, put_block, write
from tests.engine.devices import CLUSTER, disk_of, row
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium, SimIndex


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Device, OverWire]]:
    medium, index = SimMedium(Random(1)), SimIndex(IndexMedium())
    device = await open_device(3, CLUSTER, disk_of(medium), lambda: index, Options(64 * 1024, 0))
    async with trio.open_nursery() as nursery:
        await nursery.start(device.run)
        over_wire = OverWire(device)
        nursery.start_soon(over_wire.run)
        await over_wire.reached()
        yield device, over_wire
        nursery.cancel_scope.cancel()


def client_of(over_wire: OverWire) -> WireClient:
    return over_wire.process._rows


async def test_a_row_is_in_doubt_while_its_writer_has_not_settled_it(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        remote = over_wire.remote
        await write(remote, row(b"a", 5))
        await write(remote, row(b"b", 5))
        assert await device.in_doubt(b"", 10) == [], "it is not in the index yet"
        remote.settled(packed(b"b"), Stamp(5, 1).pack())
        remote.tell_settled()
        await trio.sleep(0.05)
        await device.flush()
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        remote.settled(packed(b"a"), Stamp(5, 1).pack())
        await trio.sleep(1)
        await device.flush()
        assert await device.in_doubt(b"", 10) == []


async def test_a_row_that_a_promise_kept_out_is_not_in_doubt(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        remote = over_wire.remote
        await write(remote, row(b"a", 5))
        remote.settled(packed(b"a"), Stamp(5, 1).pack())
        await promise(remote, b"a", 9)
        assert (await write(remote, row(b"a", 7))).barred
        await trio.sleep(1)
        await device.flush()
        assert await device.in_doubt(b"", 10) == []


async def test_an_older_version_that_is_settled_does_not_settle_a_newer_one(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        remote = over_wire.remote
        await write(remote, row(b"a", 5))
        await write(remote, row(b"a", 7))
        remote.settled(packed(b"a"), Stamp(5, 1).pack())
        remote.tell_settled()
        await trio.sleep(0.05)
        await device.flush()
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        remote.settled(packed(b"a"), Stamp(5, 1).pack())
        await trio.sleep(1)
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        remote.settled(packed(b"a"), Stamp(7, 1).pack())
        await trio.sleep(1)
        assert await device.in_doubt(b"", 10) == []


@pytest.mark.parametrize("flushed", [False, True])
async def test_what_a_writer_leaves_behind_comes_to_be_in_doubt(autojump_clock: MockClock, flushed: bool) -> None:
    async with served() as (device, over_wire):
        told: list[None] = []
        over_wire.service._on_in_doubt = lambda: told.append(None)
        await write(over_wire.remote, row(b"a", 5))
        await write(over_wire.remote, row(b"b", 5))
        over_wire.remote.settled(packed(b"b"), Stamp(5, 1).pack())
        over_wire.remote.tell_settled()
        await trio.sleep(2 if flushed else 0.01)
        assert await device.in_doubt(b"", 10) == ([packed(b"a")] if flushed else [])
        for link in over_wire.links:
            await trio.aclose_forcefully(link)
        await trio.sleep(0.1)
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        assert told


async def test_a_device_whose_process_is_gone_is_out_and_comes_back(autojump_clock: MockClock) -> None:
    async with served() as (_, over_wire):
        remote = over_wire.remote
        await write(remote, row(b"a", 5))
        over_wire.refuses = True
        for link in over_wire.links:
            await trio.aclose_forcefully(link)
        await trio.sleep(0.5)
        assert "cannot be reached" in str(remote.failed)
        for _ in range(2):
            with pytest.raises(DeviceError):
                await write(remote, row(b"a", 6))
        over_wire.refuses = False
        await trio.sleep(10)
        assert not remote.failed
        assert await find(remote, b"a") == Stamp(5, 1).pack()


async def test_a_write_whose_answer_is_not_heard_fails_though_it_may_have_taken_effect(
    autojump_clock: MockClock,
) -> None:
    async with served() as (device, over_wire):
        answers: list[DrystoneError | None] = []
        over_wire.remote.submit_row(prepare(row(b"a", 5), 1), lambda _applied, error: answers.append(error))
        while await device.find_stamp(packed(b"a")) is None:
            await trio.lowlevel.checkpoint()
        for link in over_wire.links:
            await trio.aclose_forcefully(link)
        await trio.sleep(0.5)
        assert answers == [] or isinstance(answers[0], DeviceError) or answers == [None]
        assert len(answers) == 1


async def test_how_long_a_write_has_not_been_answered_is_known(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        assert over_wire.remote.slow == 0

        class Hanging:
            def submit(self, *_: object) -> None:
                return

            def close(self) -> None:
                return

        device._committer._worker = Hanging()
        over_wire.remote.submit_row(prepare(row(b"a", 5), 1), lambda _applied, _error: None)
        await trio.sleep(12)
        assert over_wire.remote.slow == pytest.approx(12, abs=1)


async def test_a_reference_that_has_nothing_to_share_says_so_before_its_sync(autojump_clock: MockClock) -> None:
    source, copy = BlockKey(DATA, 0, 0), BlockKey(b"e" * 16, 0, 0)
    async with served() as (device, over_wire):
        remote = over_wire.remote
        await put_block(remote, source, b"payload")
        told: list[str] = []
        synced = trio.Event()
        losses = remote.data_losses
        remote.submit_reference(
            copy, source, OWNER, lambda error: told.append(f"done {error}"), lambda _: told.append("lost")
        )
        drop = device.submit_drop
        drop(DATA, lambda _error: None)

        def done(error: DrystoneError | None) -> None:
            told.append("synced")
            synced.set()

        remote.submit_sync(losses, done)
        await synced.wait()
        assert told[-1] == "synced"
        if "lost" not in told:  # it was shared before the source went
            assert bytes(await remote.read_block(copy)) == b"payload"


WRONG: dict[str, list[Any]] = {
    methods.ROW: [3, 1, False, b"", b"not msgpack"],
    methods.FIND: [3, 5, 1],
    methods.LOAD: [3, packed(b"a"), [b"a"], True],
    methods.VERSION: [3, packed(b"a"), None, True],
    methods.LIST: [3, 1, b"table", b"0", b"", None, 10, 1, False, True],
    methods.WALK_ROWS: [3, 7, 10],
    methods.BLOCK: [3, [DATA], False, b"", b""],
    methods.FENCED_BLOCK: [3, [DATA, 0, 0], False, None, b"", b""],
    methods.FENCE: [3, DATA, "5"],
    methods.REFERENCE: [3, [DATA, 0, 0], 5, 6],
    methods.SYNC: [3, b"x"],
    methods.READ: [3, [DATA, 0, 0], "0", None],
    methods.NEWS: [[b"x"]],
    methods.ENFORCE: [3, None],
    methods.HINTS: [3, b"x", b"", 10],
}


@pytest.mark.parametrize("method", sorted(WRONG))
async def test_a_wrong_call_is_refused_and_harms_nothing(autojump_clock: MockClock, method: str) -> None:
    async with served() as (device, over_wire):
        await write(over_wire.remote, row(b"a", 5))
        for arguments in (WRONG[method], [], [3], [4, *WRONG[method][1:]], [None] * 12):
            with pytest.raises(DrystoneError):
                await client_of(over_wire).call(method, arguments, seconds=1)
        assert device.failed is None
        assert await find(over_wire.remote, b"a") == Stamp(5, 1).pack()


@pytest.mark.parametrize(
    "method",
    [methods.NOTE_HINT, methods.FORGET_ROW, methods.SETTLED, methods.FORGET_GARBAGE, methods.FORGET_FENCE],
)
async def test_a_wrong_note_harms_nothing(autojump_clock: MockClock, method: str) -> None:
    async with served() as (device, over_wire):
        await write(over_wire.remote, row(b"a", 5))
        for arguments in ([], [3], [3, None], [3, None, None], [3, 1, 2, 3], ["x", b"", b""]):
            client_of(over_wire).note(method, arguments)
        await trio.sleep(1)
        await device.flush()
        assert device.failed is None
        assert await find(over_wire.remote, b"a") == Stamp(5, 1).pack()


async def test_a_payload_that_was_damaged_on_its_way_is_not_written(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        sealed = prepare(row(b"a", 5, b"data"), 1).sealed
        at = len(sealed.body) - sealed.meta_bytes
        arguments = [3, 1, False, sealed.body[:at], sealed.body[at:]]
        with pytest.raises(DrystoneError, match="damaged"):
            await client_of(over_wire).call(methods.ROW, arguments, b"dbta")
        assert await device.find_row(packed(b"a")) is None
        block = seal(Kind.BLOCK, encode_meta(BlockKey(DATA, 0, 0), OWNER), b"block")
        at = len(block.body) - block.meta_bytes
        with pytest.raises(DrystoneError, match="damaged"):
            await client_of(over_wire).call(
                methods.BLOCK, [3, [DATA, 0, 0], False, block.body[:at], block.body[at:]], b"clock"
            )
        assert await device.has_blocks(DATA) == []


async def test_a_device_that_is_not_here_says_so(autojump_clock: MockClock) -> None:
    async with served() as (_, over_wire):
        with pytest.raises(DeviceError, match="not open here"):
            await client_of(over_wire).call(methods.FIND, [9, b"x", 1])
        with pytest.raises(InvalidError):
            await client_of(over_wire).call("device.format", [3])


async def links_cut(over_wire: OverWire) -> None:
    for link in over_wire.links:
        await trio.aclose_forcefully(link)
    await trio.sleep(0.5)


async def test_a_row_that_takes_effect_after_its_writer_has_gone_comes_to_be_in_doubt(
    autojump_clock: MockClock,
) -> None:
    async with served() as (device, over_wire):
        told: list[None] = []
        over_wire.service._on_in_doubt = lambda: told.append(None)
        held: list[partial[None]] = []
        submit = device.submit_row
        device.submit_row = (  # type: ignore[method-assign]
            lambda write, reply, *, reserve=False: submit(
                write, lambda applied, error: held.append(partial(reply, applied, error)), reserve=reserve
            )
        )
        over_wire.remote.submit_row(prepare(row(b"a", 5), 1), lambda _applied, _error: None)
        await trio.sleep(1)
        over_wire.refuses = True
        await links_cut(over_wire)
        (answer,) = held
        answer()
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        assert told


async def second_writer(over_wire: OverWire, nursery: trio.Nursery) -> RemoteProcess:
    process = RemoteProcess([3], over_wire._dial, hello("x"))
    nursery.start_soon(process.run)
    while process.devices[3].failed is not None:
        await trio.sleep(0.1)
    return process


async def test_a_process_may_come_to_have_other_devices(autojump_clock: MockClock) -> None:
    async with served() as (_, over_wire), trio.open_nursery() as nursery:
        process = RemoteProcess((), over_wire._dial, hello("x"))
        nursery.start_soon(process.run)
        await process.wait_reached()
        back: list[int] = []
        process.on_back = lambda device: back.append(device.id)
        process.have({3, 4})
        await trio.sleep(1)
        first = process.devices[3]
        assert (first.failed, back) == (None, [3])
        assert "not open" in str(process.devices[4].failed)
        process.have({3})
        for _ in range(10):
            assert first.failed is None, "it was there all the while"
            await trio.sleep(0.05)
        assert list(process.devices) == [3]
        assert process.devices[3] is first
        assert first.failed is None
        process.have(())
        assert "not there any more" in str(first.failed)
        nursery.cancel_scope.cancel()


async def test_who_settles_an_older_version_does_not_settle_that_of_another_writer(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire), trio.open_nursery() as nursery:
        other = (await second_writer(over_wire, nursery)).devices[3]
        await write(over_wire.remote, row(b"a", 5))
        await write(other, row(b"a", 7))
        await device.flush()
        over_wire.remote.settled(packed(b"a"), Stamp(5, 1).pack())
        await trio.sleep(1)
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        other.settled(packed(b"a"), Stamp(7, 1).pack())
        await trio.sleep(1)
        assert await device.in_doubt(b"", 10) == []
        nursery.cancel_scope.cancel()


async def test_who_settles_an_older_version_does_not_settle_that_of_a_writer_that_has_gone(
    autojump_clock: MockClock,
) -> None:
    async with served() as (device, over_wire), trio.open_nursery() as nursery:
        async with trio.open_nursery() as gone:
            other = (await second_writer(over_wire, gone)).devices[3]
            await write(over_wire.remote, row(b"a", 5))
            await write(other, row(b"a", 7))
            gone.cancel_scope.cancel()
        await trio.sleep(1)
        await device.flush()
        over_wire.remote.settled(packed(b"a"), Stamp(5, 1).pack())
        await trio.sleep(1)
        assert await device.in_doubt(b"", 10) == [packed(b"a")]
        nursery.cancel_scope.cancel()


async def test_a_version_that_does_not_take_effect_settles_nothing(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        await write(device, row(b"a", 7))
        device.note_in_doubt(packed(b"a"))
        await write(over_wire.remote, row(b"a", 5))
        await device.flush()
        over_wire.remote.settled(packed(b"a"), Stamp(5, 1).pack())
        await trio.sleep(1)
        assert await device.in_doubt(b"", 10) == [packed(b"a")]


def sealed_row(*changes: tuple[int, Any], payload: bytes = b"data") -> list[Any]:
    """Arguments of ROW whose meta differs from that of a row in some fields."""
    sealed = prepare(row(b"a", 5, payload), 1).sealed
    at = len(sealed.body) - sealed.meta_bytes
    fields = msgpack.unpackb(sealed.body[at:])
    for field, value in changes:
        fields[field] = value
    return [3, 1, False, sealed.body[:at], msgpack.packb(fields)]


def sealed_block(key: list[Any], meta_key: list[Any] | None = None) -> list[Any]:
    meta = msgpack.packb((1, *(meta_key or key), *OWNER))
    return [3, key, False, seal(Kind.BLOCK, meta, b"data").body[: -len(meta)], meta]


def fenced_block(key: list[Any], epoch: int) -> list[Any]:
    device, named, cached, sums, meta = sealed_block(key)
    return [device, named, cached, epoch, sums, meta]


POISON: dict[str, tuple[str, list[Any]]] = {
    "a table of two bytes": (methods.ROW, sealed_row((2, b"tt"))),
    "no name": (methods.ROW, sealed_row((4, b""))),
    "a name that is too long": (methods.ROW, sealed_row((4, bytes(70_000)))),
    "a name that is a text": (methods.ROW, sealed_row((4, "a"))),
    "a time below zero": (methods.ROW, sealed_row((5, -1))),
    "a data id of five bytes": (methods.ROW, sealed_row((7, Flag.DATA), (11, b"x" * 5))),
    "a data id that is a number": (methods.ROW, sealed_row((7, Flag.DATA), (11, 5))),
    "an end below zero": (methods.ROW, sealed_row((7, Flag.EXPIRES), (10, -1))),
    "a policy of too high a number": (methods.ROW, sealed_row((8, 300))),
    "a size without end": (methods.ROW, sealed_row((9, (1 << 64) - 1))),
    "a size below zero": (methods.ROW, sealed_row((9, -1))),
    "a summary that is none": (methods.ROW, sealed_row((12, None))),
    "a detail that is a text": (methods.ROW, sealed_row((13, "x"))),
    "a block of too high a number": (methods.BLOCK, sealed_block([DATA, 1 << 40, 0])),
    "a block below zero": (methods.BLOCK, sealed_block([DATA, -1, 0])),
    "a fragment of too high a number": (methods.BLOCK, sealed_block([DATA, 0, 1 << 40])),
    "data of five bytes": (methods.BLOCK, sealed_block([b"x" * 5, 0, 0])),
    "the meta of another block": (methods.BLOCK, sealed_block([DATA, 0, 0], [DATA, 1, 0])),
    "a fenced block below zero": (methods.FENCED_BLOCK, fenced_block([DATA, -1, 0], 5)),
    "a fenced block of an epoch below zero": (methods.FENCED_BLOCK, fenced_block([DATA, 1, 0], -1)),
    "a fence of data of no id": (methods.FENCE, [3, b"", 5]),
    "a fence of an epoch without end": (methods.FENCE, [3, DATA, (1 << 64) - 1]),
    "a fence of an epoch below zero": (methods.FENCE, [3, DATA, -1]),
    "a fence of data of no id forgotten": (methods.FORGET_FENCE, [3, b""]),
    "no meta": (methods.BLOCK, [*sealed_block([DATA, 0, 0])[:-1], b"\xc1"]),
    "read before the beginning": (methods.READ, [3, [DATA, 0, 0], -5, 3]),
    "read what ends before it begins": (methods.READ, [3, [DATA, 0, 0], 5, 3]),
    "drop data of no id": (methods.DROP, [3, b""]),
    "a reference of too high a number": (methods.REFERENCE, [3, [DATA, 1 << 40, 0], [DATA, 0, 0], list(OWNER)]),
    "a long key in doubt": (methods.NOTE_IN_DOUBT, [3, bytes(600)]),
    "an empty key in doubt": (methods.NOTE_IN_DOUBT, [3, b""]),
    "a hint for a device below zero": (methods.NOTE_HINT, [3, -1, packed(b"a"), 1]),
    "a hint of a long key": (methods.NOTE_HINT, [3, 1, bytes(600), 1]),
    "a hint of a time below zero": (methods.NOTE_HINT, [3, 1, packed(b"a"), -1]),
    "a long key retired": (methods.RETIRE_TOMBSTONE, [3, bytes(600), bytes(12)]),
    "a long key released": (methods.RELEASE_TOMBSTONE, [3, bytes(600), bytes(12)]),
    "a long key found": (methods.FIND_ROW, [3, bytes(600)]),
    "an empty key found": (methods.FIND_ROW, [3, b""]),
    "a long key discarded": (methods.DISCARD_ROW, [3, bytes(600)]),
    "an expiry below zero": (methods.FORGET_EXPIRY, [3, -1, packed(b"a")]),
    "an epoch below zero": (methods.ENFORCE, [3, -1]),
    "an epoch without end": (methods.ENFORCE, [3, (1 << 64) - 1]),
}


@pytest.mark.parametrize("poison", sorted(POISON))
async def test_what_cannot_be_does_not_put_a_device_out(autojump_clock: MockClock, poison: str) -> None:
    async with served() as (device, over_wire):
        await write(over_wire.remote, row(b"a", 5))
        await put_block(over_wire.remote, BlockKey(DATA, 0, 0), b"block")
        method, arguments = POISON[poison]
        payload = b"data" if method in (methods.ROW, methods.BLOCK, methods.FENCED_BLOCK) else b""
        with suppress(DrystoneError):
            await client_of(over_wire).call(method, arguments, payload, seconds=5)
        with suppress(DrystoneError):
            await device.sync_data(device.data_losses)
        await device.flush()
        assert device.failed is None
        keys, _ = await device.walk_keys(b"", 10)
        assert keys == [packed(b"a")]
        assert bytes(await over_wire.remote.read_block(BlockKey(DATA, 0, 0))) == b"block"
