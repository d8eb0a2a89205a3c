"""What only happens with devices of other processes: writers that go away, answers that nobody hears, wrong calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, DrystoneError, InvalidError
from store.core.stamp import Stamp
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from store.objects.rows import prepare
from store.remote import methods
from store.wire.client import WireClient
from tests.device.over_wire import OverWire
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


@pytest.mark.parametrize("method", [methods.NOTE_HINT, methods.FORGET_ROW, methods.SETTLED, methods.FORGET_GARBAGE])
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
