"""Following goes on whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from store.core.errors import RetryableError
from store.registry import Put, Registry, Span, memory_registry
from store.registry.follow import AGAIN_SECONDS, follow
from store.registry.items import Event
from tests.simulation.world import SimClock

SPAN = Span.prefix(b"a/")


class Followed:
    """What is seen of a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.known: dict[bytes, bytes] = {}
        self.read = 0
        self.hold = trio.Event()
        self.hold.set()
        self.fails = 0

    async def anew(self) -> None:
        self.read += 1
        if self.fails:
            self.fails -= 1
            raise RetryableError("not now")
        self.known = {item.key: item.value for item in await self.registry.range(SPAN)}

    async def each(self, event: Event) -> None:
        await self.hold.wait()
        if event.item is None:
            self.known.pop(event.key, None)
        else:
            self.known[event.key] = event.item.value


@asynccontextmanager
async def followed(registry: Registry) -> AsyncIterator[Followed]:
    seen = Followed(registry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, registry, SPAN, seen.anew, seen.each)
        yield seen
        nursery.cancel_scope.cancel()


async def put(registry: Registry, key: bytes, value: bytes) -> None:
    await registry.transact([], [Put(key, value)])


async def test_what_is_there_is_read_and_what_changes_is_followed(autojump_clock: MockClock) -> None:
    registry = memory_registry(SimClock())
    await put(registry, b"a/1", b"x")
    async with followed(registry) as seen:
        await trio.sleep(0.1)
        assert seen.known == {b"a/1": b"x"}
        await put(registry, b"a/2", b"y")
        await put(registry, b"b/1", b"z")
        await trio.sleep(0.1)
        assert seen.known == {b"a/1": b"x", b"a/2": b"y"}
        assert seen.read == 1


async def test_who_is_too_slow_for_the_history_reads_anew(autojump_clock: MockClock) -> None:
    registry = memory_registry(SimClock(), history_events=16)
    async with followed(registry) as seen:
        await trio.sleep(0.1)
        seen.hold = trio.Event()
        for number in range(100):
            await put(registry, b"a/1", b"%d" % number)
        seen.hold.set()
        await trio.sleep(0.1)
        assert seen.known == {b"a/1": b"99"}
        assert seen.read == 2


async def test_an_error_that_passes_is_waited_for(autojump_clock: MockClock) -> None:
    registry = memory_registry(SimClock())
    async with followed(registry) as seen:
        seen.fails = 3
        await put(registry, b"a/1", b"x")
        await trio.sleep(3 * AGAIN_SECONDS + 0.1)
        assert seen.known == {b"a/1": b"x"}
        assert seen.read == 4
