"""What every form of the registry promises of watches; and how those of one process forget the past."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from store.core.errors import ConflictError
from store.registry import CompactedError, Delete, DeleteRange, Event, Item, Put, Registry, Span
from store.registry.single_key import delete, put
from store.wire.client import CREDITS
from tests.registry.conftest import HISTORY_EVENTS, Opener

ALL = Span.prefix(b"")


async def take(registry: Registry, span: Span, from_revision: int, count: int) -> list[Event]:
    async with registry.watch(span, from_revision) as events:
        return [await anext(events) for _ in range(count)]


async def test_events_come_in_order_and_whole(registry: Registry) -> None:
    await put(registry, b"b", b"1")
    await registry.transact([], [Put(b"c", b"2"), Put(b"a", b"3")])
    await delete(registry, b"b")
    assert await take(registry, ALL, 2, 4) == [
        Event(b"b", 2, Item(b"b", b"1", 2, 2, 1)),
        Event(b"a", 3, Item(b"a", b"3", 3, 3, 1)),
        Event(b"c", 3, Item(b"c", b"2", 3, 3, 1)),
        Event(b"b", 4, None),
    ]


async def test_only_the_span_is_told(registry: Registry) -> None:
    for key in (b"a/1", b"b/1", b"a/2", b"b/2"):
        await put(registry, key, b"")
    await registry.transact([], [DeleteRange(ALL)])
    found = await take(registry, Span.prefix(b"b/"), 2, 4)
    assert [(event.key, event.revision, event.item is None) for event in found] == [
        (b"b/1", 3, False),
        (b"b/2", 5, False),
        (b"b/1", 6, True),
        (b"b/2", 6, True),
    ]


async def test_waiting_for_what_is_to_come(registry: Registry, nursery: trio.Nursery) -> None:
    await put(registry, b"before", b"")
    seen, told = trio.open_memory_channel[tuple[str, bytes]](10)

    async def follow(name: str, from_revision: int, task_status: trio.TaskStatus[None]) -> None:
        async with registry.watch(ALL, from_revision) as events:
            task_status.started()
            async for event in events:
                await seen.send((name, event.key))

    await nursery.start(follow, "now", 0)
    await nursery.start(follow, "later", 4)
    await wait_all_tasks_blocked()
    for key in (b"3", b"4", b"5"):
        await put(registry, key, b"")
        await wait_all_tasks_blocked()
    assert {await told.receive() for _ in range(5)} == {
        ("later", b"4"),
        ("later", b"5"),
        ("now", b"3"),
        ("now", b"4"),
        ("now", b"5"),
    }
    nursery.cancel_scope.cancel()


async def test_what_a_watchers_block_raises_comes_out_as_it_is(registry: Registry) -> None:
    with pytest.raises(ConflictError, match="my own"):
        async with registry.watch(ALL):
            raise ConflictError("my own")


async def test_an_empty_span_is_silent(registry: Registry) -> None:
    async with registry.watch(Span(b"b", b"a")) as none, registry.watch(ALL) as events:
        await put(registry, b"a", b"")
        assert (await anext(events)).key == b"a"
        with trio.move_on_after(0):
            await anext(none)
            raise AssertionError("told of a key outside the span")


async def test_a_cancelled_wait_loses_nothing(registry: Registry) -> None:
    async with registry.watch(ALL) as events:
        with trio.move_on_after(0):
            await anext(events)
        await put(registry, b"a", b"")
        assert (await anext(events)).key == b"a"


async def test_too_old_is_refused(local: Registry) -> None:
    for number in range(HISTORY_EVENTS + 1):
        await put(local, b"k", b"%d" % number)
    with pytest.raises(CompactedError):
        await take(local, ALL, 2, 1)
    assert [event.revision for event in await take(local, ALL, 3, HISTORY_EVENTS)] == list(range(3, HISTORY_EVENTS + 3))


async def test_too_slow_is_refused_and_nothing_skipped(local: Registry) -> None:
    async with local.watch(ALL) as events:
        await put(local, b"k", b"")
        assert (await anext(events)).revision == 2
        for _ in range(HISTORY_EVENTS + CREDITS + 1):
            await put(local, b"k", b"")
        told: list[int] = []
        with suppress(CompactedError):
            while True:
                told.append((await anext(events)).revision)
        assert told == list(range(3, 3 + len(told)))
        assert len(told) <= CREDITS  # what was on its way to a watcher elsewhere
        with pytest.raises(CompactedError):
            await anext(events)


async def test_a_transaction_larger_than_the_history_is_not_told_in_part(local: Registry) -> None:
    async with local.watch(ALL) as events:
        await local.transact([], [Put(b"%d" % number, b"") for number in range(HISTORY_EVENTS + 1)])
        with pytest.raises(CompactedError):
            await anext(events)
    await local.transact([], [Delete(b"1")])
    assert (await take(local, ALL, 3, 1))[0] == Event(b"1", 3, None)


async def test_after_a_restart_old_events_are_refused(embedded: Opener) -> None:
    with embedded() as registry:
        await put(registry, b"a", b"")
    with embedded() as registry:
        with pytest.raises(CompactedError):
            await take(registry, ALL, 2, 1)
        await put(registry, b"b", b"")
        assert [event.key for event in await take(registry, ALL, 3, 1)] == [b"b"]
