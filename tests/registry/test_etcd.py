"""What the form in etcd promises beyond the contract: others in the same etcd, its own time, watches that break."""

from __future__ import annotations

import os
from base64 import b64encode

import pytest
import trio

from store.core.errors import NotFoundError
from store.registry import CompactedError, DeleteRange, Event, Item, Put, Registry, Span
from store.registry.etcd import EtcdRegistry, endpoint, open_client, watch
from store.registry.etcd.maintenance import compact, status
from store.registry.single_key import delete, put
from tests.registry.etcd_server import post
from tests.registry.relay import relay

ALL = Span.prefix(b"")


def raw_put(url: str, key: bytes) -> None:
    post(url, "/v3/kv/put", {"key": b64encode(key).decode(), "value": ""})


def raw_keys(url: str, start: bytes) -> int:
    request = {"key": b64encode(start).decode(), "range_end": b64encode(start + b"\xff").decode(), "count_only": True}
    return int(post(url, "/v3/kv/range", request).get("count", 0))


async def forget(url: str) -> None:
    """Compacts all but the present state."""
    async with open_client([url]) as client:
        await compact(client, (await status(client.endpoints[0])).revision)


async def take(registry: Registry, span: Span, from_revision: int, count: int) -> list[Event]:
    async with registry.watch(span, from_revision) as events:
        return [await anext(events) for _ in range(count)]


async def test_others_in_the_same_etcd(etcd: EtcdRegistry, etcd_url: str) -> None:
    """They raise revisions, and are neither seen nor touched."""
    prefix = etcd.prefix
    beside = [prefix + b"items", prefix + b"items0", prefix[:-1] + b"0", b"test", prefix + b"other/items/k"]
    await put(etcd, b"a", b"1")
    for key in beside:
        raw_put(etcd_url, key)
    second = await put(etcd, b"a", b"2")
    assert second > 3
    assert await etcd.get(b"a") == Item(b"a", b"2", 2, second, 2)
    assert [item.key for item in await etcd.range(ALL)] == [b"a"]
    assert [item.key for item in await etcd.range(Span(b"", None), reverse=True)] == [b"a"]
    assert (await etcd.transact([], [DeleteRange(ALL)])).answers == (1,)
    assert [event.revision for event in await take(etcd, ALL, 1, 3)] == [2, second, second + 1]
    assert all(raw_keys(etcd_url, key) for key in beside)


async def test_a_lease_ends_in_etcds_own_time(etcd: EtcdRegistry) -> None:
    lease = await etcd.lease(1)
    await etcd.transact([], [Put(b"a", b"", lease.id), Put(b"b", b"", lease.id), Put(b"c", b"")])
    assert [(event.key, event.revision) for event in await take(etcd, ALL, 3, 2)] == [(b"a", 3), (b"b", 3)]
    with pytest.raises(NotFoundError):
        await lease.keep_alive()
    with pytest.raises(NotFoundError):
        await etcd.transact([], [Put(b"d", b""), Put(b"a", b"", lease.id)])
    await lease.revoke()
    assert [item.key for item in await etcd.range(ALL)] == [b"c"]


async def test_a_watch_from_what_is_compacted_is_refused(etcd: EtcdRegistry, etcd_url: str) -> None:
    for number in range(5):
        await put(etcd, b"k", b"%d" % number)
    await forget(etcd_url)
    async with etcd.watch(ALL, 2) as events:
        for _ in range(2):
            with pytest.raises(CompactedError):
                await anext(events)
    assert [event.revision for event in await take(etcd, ALL, 6, 1)] == [6]


async def test_a_watch_lives_through_a_compaction(etcd: EtcdRegistry, etcd_url: str) -> None:
    async with etcd.watch(ALL) as events:
        for number in range(3):
            await put(etcd, b"k", b"%d" % number)
            await forget(etcd_url)
            assert (await anext(events)).revision == number + 2


async def test_a_broken_watch_goes_on_without_gap_or_repetition(etcd: EtcdRegistry, etcd_url: str) -> None:
    rounds, writes = 5, 12

    async def write() -> None:
        for number in range(writes):
            await etcd.transact([], [Put(b"b", b"%d" % number), Put(b"a", b"")])

    seen = []
    async with (
        relay(etcd_url) as way,
        open_client([way.url]) as client,
        EtcdRegistry(client, etcd.prefix).watch(ALL) as events,
    ):
        for turn in range(rounds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write)
                for number in range(2 * writes):
                    event = await anext(events)
                    seen.append((event.revision, event.key))
                    if number == 3 * turn:
                        way.cut()
        assert way.opened >= rounds
    assert seen == [(revision, key) for revision in range(2, rounds * writes + 2) for key in (b"a", b"b")]


async def test_what_was_compacted_while_a_watch_was_broken_is_told(etcd: EtcdRegistry, etcd_url: str) -> None:
    async with (
        relay(etcd_url) as way,
        open_client([way.url]) as client,
        EtcdRegistry(client, etcd.prefix).watch(ALL) as events,
    ):
        await put(etcd, b"k", b"1")
        assert (await anext(events)).revision == 2
        way.refuses = True
        way.cut()
        await put(etcd, b"k", b"2")
        await put(etcd, b"k", b"3")
        await forget(etcd_url)
        way.refuses = False
        with pytest.raises(CompactedError):
            await anext(events)


async def test_a_member_that_goes_silent_is_left(
    etcd: EtcdRegistry, etcd_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(endpoint, "PING_SECONDS", 1.0)
    async with (
        relay(etcd_url) as way,
        open_client([way.url, etcd_url]) as client,
        EtcdRegistry(client, etcd.prefix).watch(ALL) as events,
    ):
        await put(etcd, b"k", b"1")
        assert (await anext(events)).revision == 2
        way.silent = True
        await put(etcd, b"k", b"2")
        assert (await anext(events)).revision == 3


async def test_catching_up_with_more_than_one_answer_holds(etcd: EtcdRegistry) -> None:
    """etcd puts as many revisions into an answer as it has, and cuts that in fragments of 2 MiB, within revisions."""
    value = os.urandom(400_000)
    for _ in range(8):
        await etcd.transact([], [Put(b"c", value), Put(b"b", value), Put(b"a", value)])
    events = await take(etcd, ALL, 2, 24)
    assert [(event.revision, event.key) for event in events] == [
        (revision, key) for revision in range(2, 10) for key in (b"a", b"b", b"c")
    ]
    assert all(event.item is not None and event.item.value == value for event in events)


async def test_a_watch_is_left_while_events_wait(etcd: EtcdRegistry) -> None:
    for number in range(50):
        await put(etcd, b"%d" % number, b"v" * 10_000)
    for _ in range(3):
        async with etcd.watch(ALL, 2) as events:
            assert (await anext(events)).revision == 2
            await trio.testing.wait_all_tasks_blocked()


async def test_a_reader_that_is_slow_misses_nothing(etcd: EtcdRegistry) -> None:
    async with etcd.watch(ALL) as events:
        for number in range(30):
            await put(etcd, b"k", os.urandom(200_000))
            await delete(etcd, b"%d" % number)
        assert [(await anext(events)).revision for _ in range(30)] == list(range(2, 32))
