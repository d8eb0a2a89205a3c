"""Pins of another process: what is asked is checked, and what is answered is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from store.core.errors import BusyError, InvalidError
from store.objects.pins import Need, Pins
from store.remote.pins import IDS_MAX, PINNED, PinService, RemotePins
from store.wire.client import WireClient
from store.wire.errors import ProtocolError, UnreachableError
from store.wire.message import Hello
from store.wire.server import Call, Peer, Service, serve_link

MINE = Hello(1, 1, "c", "n", "drystone 0")


def data_ids(count: int) -> list[bytes]:
    return [number.to_bytes(16) for number in range(count)]


@asynccontextmanager
async def linked(service: Service) -> AsyncIterator[WireClient]:
    """A link to a process that has this service."""

    async def dial() -> trio.abc.Stream:
        here, there = memory_stream_pair()
        nursery.start_soon(serve_link, there, MINE, [service])
        return here

    client = WireClient(dial, MINE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        await client.wait_up()
        yield client
        nursery.cancel_scope.cancel()


def answering(answer: Any) -> Service:
    """A process that answers with this, or not at all."""

    def pinned(call: Call) -> None:
        if answer is not None:
            call.answer(answer)

    def serve(peer: Peer) -> None:
        peer.handlers[PINNED] = pinned

    return serve


async def test_what_is_pinned_there_is_told(autojump_clock: MockClock) -> None:
    pins = Pins()
    first, second, third = data_ids(3)
    pins.add(first)
    pins.add(second, Need.END)
    async with linked(PinService(pins.held).serve) as client:
        remote = RemotePins(client)
        assert await remote.pinned([first, second, third], [Need.USE]) == {first}
        assert await remote.pinned([first, second, third], [Need.USE, Need.END]) == {first, second}
        assert await remote.pinned([first, second, third], [Need.DROP]) == set()


async def test_more_than_fit_into_one_request_are_asked_for_in_several(autojump_clock: MockClock) -> None:
    pins = Pins()
    some = data_ids(2 * IDS_MAX + 1)
    pins.add(some[0])
    pins.add(some[-1])
    async with linked(PinService(pins.held).serve) as client:
        assert await RemotePins(client).pinned(some, [Need.USE]) == {some[0], some[-1]}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [[b"a" * 16]],
        [b"a" * 16, [0]],
        [[b"a" * 15], [0]],
        [["a" * 16], [0]],
        [[b"a" * 16], 0],
        [[b"a" * 16], ["0"]],
        [[b"a" * 16], [-1]],
        [[b"a" * 16], [3]],
        [[b"a" * 16], [0] * 17],
        [data_ids(IDS_MAX + 1), [0]],
        [{}, [0]],
    ],
)
async def test_what_is_no_question_is_refused(autojump_clock: MockClock, arguments: Sequence[Any]) -> None:
    async with linked(PinService(Pins().held).serve) as client:
        with pytest.raises(InvalidError):
            await client.call(PINNED, arguments)
        assert (await client.call(PINNED, [[b"a" * 16], [0]])).result == []


@pytest.mark.parametrize("answer", [0, "none", [1], {"a": 1}, [["a"]]])
async def test_what_is_no_answer_is_an_error(autojump_clock: MockClock, answer: Any) -> None:
    async with linked(answering(answer)) as client:
        with pytest.raises(ProtocolError):
            await RemotePins(client).pinned(data_ids(1), [Need.USE])


async def test_who_does_not_answer_is_not_waited_for_without_end(autojump_clock: MockClock) -> None:
    async with linked(answering(None)) as client:
        with pytest.raises(BusyError):
            await RemotePins(client).pinned(data_ids(1), [Need.USE])


async def test_who_is_not_reached_does_not_answer() -> None:
    async def dial() -> trio.abc.Stream:
        raise OSError("nobody listens")

    with pytest.raises(UnreachableError):
        await RemotePins(WireClient(dial, MINE)).pinned(data_ids(1), [Need.USE])
