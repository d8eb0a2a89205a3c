"""A process that answers what is no answer: of a newer program, broken, or with ill intent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from store.core.errors import DeviceError, DrystoneError
from store.device.block import BlockKey
from store.device.row import IndexRow, Location, RowKey
from store.objects.rows import prepare
from store.remote import methods
from store.remote.device import RemoteDevice
from store.remote.process import RemoteProcess
from store.remote.state import State
from store.wire.server import Call, Peer, serve_link
from tests.device.over_wire import hello
from tests.engine.devices import row

STATE = State(3, "", True, 1, False, False, 0.0, 0)
KEY, OTHER = BlockKey(b"d" * 16, 0, 0), BlockKey(b"e" * 16, 0, 0)
ROW = IndexRow(b"a", b"s" * 12, 0, 0, Location(0, 0, 0), 0, 0, b"", b"", b"")
OWNER = RowKey(1, b"t" * 16, 0, b"o")
WRONG: list[Any] = [None, 5, "x", b"x", [], [1], [[1]], [[[1]]], [None, None], ["", 5, None], [[1, 2], b""], {"": 1}]


@asynccontextmanager
async def lying(answer: Any, states: list[Any] | None = None) -> AsyncIterator[tuple[RemoteProcess, list[Call]]]:
    """A process whose device answers all with the same. What it was asked."""
    calls: list[Call] = []

    def service(peer: Peer) -> None:
        def news(call: Call) -> None:
            async def work() -> None:
                for state in [STATE] if states is None else states:
                    await call.send(state)
                await trio.sleep_forever()

            calls.append(call)
            call.begin(work)

        def lie(call: Call) -> None:
            calls.append(call)
            call.answer(answer, b"x")

        peer.handlers.update(dict.fromkeys(methods.ARGUMENTS, lie))
        peer.handlers[methods.NEWS] = news

    async def dial() -> trio.abc.Stream:
        here, there = memory_stream_pair()
        trio.lowlevel.spawn_system_task(serve_link, there, hello("b"), [service])
        return here

    process = RemoteProcess([3], dial, hello("a"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.run)
        await trio.sleep(1)
        yield process, calls
        nursery.cancel_scope.cancel()


SUBMITS: dict[str, Callable[[RemoteDevice, Callable[..., None]], None]] = {
    methods.ROW: lambda device, reply: device.submit_row(prepare(row(b"a", 5), 1), reply),
    methods.FIND: lambda device, reply: device.submit_find(b"k", 1, reply),
    methods.LOAD: lambda device, reply: device.submit_load(b"k", ROW, reply, payload=True),
    methods.VERSION: lambda device, reply: device.submit_version(b"k", b"s" * 12, reply, payload=True),
    methods.LIST: lambda device, reply: device.submit_list(1, b"t", 0, b"", None, 10, reply, epoch=1),
    methods.FENCE: lambda device, reply: device.submit_fence(b"d" * 16, 5, reply),
    methods.USAGE: lambda device, reply: device.submit_usage(1, b"t", 0, reply, epoch=1),
}
AWAITED: dict[str, Callable[[RemoteDevice], Awaitable[Any]]] = {
    methods.FIND_ROW: lambda device: device.find_row(b"k"),
    methods.FIND_STAMP: lambda device: device.find_stamp(b"k"),
    methods.LOAD: lambda device: device.load_row(b"k", ROW, payload=True),
    methods.LIST: lambda device: device.list_rows(1, b"t", 0, b"", None, 10, epoch=1),
    methods.WALK_ROWS: lambda device: device.walk_rows(b"", 10),
    methods.WALK_KEYS: lambda device: device.walk_keys(b"", 10),
    methods.USAGE: lambda device: device.usage(1, b"t", 0, epoch=1),
    methods.EXPIRED: lambda device: device.expired(5, 10),
    methods.GARBAGE: lambda device: device.garbage(b"", 10),
    methods.TOMBSTONES: lambda device: device.tombstones(b"", 10),
    methods.RETIRED_STAMP: lambda device: device.retired_stamp(b"k"),
    methods.IN_DOUBT: lambda device: device.in_doubt(b"", 10),
    methods.HINTS: lambda device: device.hints(4, b"", 10),
    methods.HINTED: lambda device: device.hinted(),
    methods.VERIFY_BLOCK: lambda device: device.verify_block(KEY),
    methods.HAS_BLOCKS: lambda device: device.has_blocks(KEY.data_id),
    methods.OWNERS: lambda device: device.owners(b"", 10),
    methods.SET_IN_SYNC: lambda device: device.set_in_sync(in_sync=True),
    methods.ENFORCE: lambda device: device.enforce(5),
    methods.SYNC: lambda device: device.sync_data(0),
}
FINE: dict[str, list[Any]] = {
    methods.FIND: [None, b"x"],
    methods.FIND_ROW: [None],
    methods.FIND_STAMP: [None, b"x"],
    methods.RETIRED_STAMP: [None, b"x"],
    methods.LIST: [[]],
    methods.USAGE: [[]],
    methods.EXPIRED: [[]],
    methods.GARBAGE: [[]],
    methods.TOMBSTONES: [[]],
    methods.IN_DOUBT: [[]],
    methods.HINTS: [[]],
    methods.HINTED: [[], [1]],
    methods.HAS_BLOCKS: [[]],
    methods.VERIFY_BLOCK: [5],
    methods.SYNC: [[], [1]],
}
"""What is an answer after all."""


@pytest.mark.parametrize("method", sorted(SUBMITS))
async def test_what_is_handed_over_is_answered_once_with_an_error(autojump_clock: MockClock, method: str) -> None:
    for wrong in WRONG:
        if wrong in FINE.get(method, []):
            continue
        async with lying(wrong) as (process, _):
            answers: list[Any] = []
            SUBMITS[method](process.devices[3], lambda *answer, into=answers: into.append(answer[-1]))
            await trio.sleep(0.1)
            assert len(answers) == 1, wrong
            assert isinstance(answers[0], DrystoneError), wrong


@pytest.mark.parametrize("method", sorted(AWAITED))
async def test_what_is_awaited_raises_an_error_of_ours(autojump_clock: MockClock, method: str) -> None:
    for wrong in WRONG:
        if wrong in FINE.get(method, []):
            continue
        async with lying(wrong) as (process, _):
            with pytest.raises(DrystoneError):
                await AWAITED[method](process.devices[3])


WRONG_STATES: list[Any] = [
    None, [], [3], [4, *STATE[1:]], [[3], *STATE[1:]], [3, 5, *STATE[2:]], [3, "", 1, *STATE[3:]],
    [3, "", True, "1", *STATE[4:]], [*STATE[:6], "0", 0], [*STATE[:7], None],
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_STATES, ids=str)
async def test_news_that_are_none_leave_the_device_out_and_are_not_asked_for_without_end(
    autojump_clock: MockClock, wrong: Any
) -> None:
    async with lying(None, [STATE, wrong]) as (process, calls):
        device = process.devices[3]
        assert isinstance(device.failed, DeviceError)
        assert "not how a device can be" in str(device.failed)
        before = len(calls)
        await trio.sleep(60)
        assert len(calls) - before <= 60 / 5 + 5
        with pytest.raises(DeviceError):
            await device.find_stamp(b"k")


async def test_what_a_newer_program_says_besides_is_left_to_it(autojump_clock: MockClock) -> None:
    async with lying([*STATE, "more"], [[*STATE, "more"]]) as (process, _):
        device = process.devices[3]
        assert device.failed is None
        await device.set_in_sync(in_sync=True)
