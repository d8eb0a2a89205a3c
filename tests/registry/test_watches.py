"""What every form of the registry promises of watches."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from store.registry import CompactedError, Delete, DeleteRange, Event, Item, Put, Registry, Span
from store.registry.single_key import delete, put
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
    seen: set[tuple[str, bytes]] = set()

    async def follow(name: str, from_revision: int) -> None:
        async with registry.watch(ALL, from_revision) as events:
            async for event in events:
                seen.add((name, event.key))

    nursery.start_soon(follow, "now", 0)
    nursery.start_soon(follow, "later", 4)
    await wait_all_tasks_blocked()
    for key in (b"3", b"4"):
        await put(registry, key, b"")
        await wait_all_tasks_blocked()
    assert seen == {("later", b"4"), ("now", b"3"), ("now", b"4")}


async def test_a_cancelled_wait_loses_nothing(registry: Registry) -> None:
    async with registry.watch(ALL) as events:
        with trio.move_on_after(0):
            await anext(events)
        await put(registry, b"a", b"")
        assert (await anext(events)).key == b"a"


async def test_too_old_is_refused(registry: Registry) -> None:
    for number in range(HISTORY_EVENTS + 1):
        await put(registry, b"k", b"%d" % number)
    with pytest.raises(CompactedError):
        await take(registry, ALL, 2, 1)
    assert [event.revision for event in await take(registry, ALL, 3, HISTORY_EVENTS)] == list(
        range(3, HISTORY_EVENTS + 3)
    )


async def test_too_slow_is_refused_and_nothing_skipped(registry: Registry) -> None:
    async with registry.watch(ALL) as events:
        await put(registry, b"k", b"")
        assert (await anext(events)).revision == 2
        for _ in range(HISTORY_EVENTS + 1):
            await put(registry, b"k", b"")
        with pytest.raises(CompactedError):
            await anext(events)


async def test_a_transaction_larger_than_the_history_is_not_told_in_part(registry: Registry) -> None:
    async with registry.watch(ALL) as events:
        await registry.transact([], [Put(b"%d" % number, b"") for number in range(HISTORY_EVENTS + 1)])
        with pytest.raises(CompactedError):
            await anext(events)
    await registry.transact([], [Delete(b"1")])
    assert (await take(registry, ALL, 3, 1))[0] == Event(b"1", 3, None)


async def test_after_a_restart_old_events_are_refused(embedded: Opener) -> None:
    with embedded() as registry:
        await put(registry, b"a", b"")
    with embedded() as registry:
        with pytest.raises(CompactedError):
            await take(registry, ALL, 2, 1)
        await put(registry, b"b", b"")
        assert [event.key for event in await take(registry, ALL, 3, 1)] == [b"b"]
