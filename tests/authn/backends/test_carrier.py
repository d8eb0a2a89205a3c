"""A carrier that is called off has lost nothing."""

from __future__ import annotations

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_one_way_pair, wait_all_tasks_blocked

from authn.backends.carrier import Carrier


class Slow(trio.abc.SendStream):
    """Takes what it is given only when it is let."""

    def __init__(self) -> None:
        self.let = trio.Event()
        self.taken = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.let.wait()
        self.taken += bytes(data)

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


def source() -> tuple[MemorySendStream, MemoryReceiveStream]:
    return memory_stream_one_way_pair()


async def test_what_was_taken_is_delivered_first() -> None:
    ours, theirs = source()
    target = Slow()
    carrier = Carrier(theirs, target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(carrier.run)
        await ours.send_all(b"first")
        await wait_all_tasks_blocked()
        carrier.call_off()
        await wait_all_tasks_blocked()
        await ours.send_all(b"second")
        target.let.set()
    assert target.taken == b"first"
    assert await theirs.receive_some() == b"second", "what was not taken is still there"


async def test_one_that_waits_is_called_off_at_once() -> None:
    ours, theirs = source()
    target = Slow()
    target.let.set()
    first = Carrier(theirs, target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.run)
        await wait_all_tasks_blocked()
        first.call_off()
    await ours.send_all(b"more")
    second = Carrier(theirs, target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second.run)
        await wait_all_tasks_blocked()
        await ours.aclose()
    assert target.taken == b"more"
    assert not second.called_off


async def test_an_end_without_a_word() -> None:
    ours, theirs = source()
    await ours.send_all(b"x")
    carrier = Carrier(theirs, Broken())
    await carrier.run()
    assert not carrier.called_off


class Broken(Slow):
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise trio.BrokenResourceError
