"""Streams that break at the worst place, from members that are made up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from store.core.beside import beside
from store.core.errors import DamageError
from store.registry import Span, UnavailableError
from store.registry.etcd.endpoint import Endpoint
from store.registry.etcd.keyspace import Json, Keyspace, encode_bytes
from store.registry.etcd.watch import SILENCE_SECONDS, Follower

KEYSPACE = Keyspace(b"p/")


class Scripted(Endpoint):
    """Gives the next of its scripts to each stream, and breaks off; after the last one it is silent."""

    def __init__(self, *scripts: Sequence[Json]) -> None:
        super().__init__(httpx.AsyncClient(), "http://made-up")
        self.scripts = list(scripts)
        self.starts: list[int] = []

    async def listen(self, path: str, body: Json, take: Callable[[Json], Awaitable[None]]) -> None:
        self.starts.append(int(body.get("create_request", {}).get("start_revision", 0)))
        if not self.scripts:
            await trio.sleep_forever()
        for answer in self.scripts.pop(0):
            with trio.CancelScope(shield=True):
                await take(answer)
        raise UnavailableError("broke off")


def event(key: bytes, revision: int) -> dict[str, Any]:
    told = {"mod_revision": str(revision), "create_revision": str(revision), "version": "1"}
    return {"kv": {"key": encode_bytes(b"p/items/" + key), **told}}


def answer(*events: Json, **fields: object) -> dict[str, Any]:
    return {"header": {"revision": "99"}, "events": list(events), **fields}


async def serves(endpoint: Endpoint) -> None:
    pass


async def take(endpoints: list[Endpoint], count: int) -> list[tuple[int, bytes]]:
    follower = Follower(endpoints, KEYSPACE, Span.prefix(b""), 5, serves)
    async with beside(follower.run):
        try:
            found = [await anext(follower.events) for _ in range(count)]
        finally:
            follower.events.close()
    return [(event.revision, event.key) for event in found]


async def test_a_revision_that_broke_off_in_its_fragments_is_told_once_and_whole(autojump_clock: MockClock) -> None:
    first = Scripted([answer(event(b"a", 5), event(b"b", 6), fragment=True)])
    second = Scripted([answer(event(b"b", 6), event(b"c", 6)), answer(event(b"d", 8))])
    assert await take([first, second], 4) == [(5, b"a"), (6, b"b"), (6, b"c"), (8, b"d")]
    assert first.starts[0] == 5
    assert second.starts[0] == 6


async def test_a_progress_note_is_where_the_next_stream_begins(autojump_clock: MockClock) -> None:
    first = Scripted([{"header": {"revision": "40"}, "created": True}, {"header": {"revision": "50"}}])
    second = Scripted([answer(event(b"a", 51))])
    assert await take([first, second], 1) == [(51, b"a")]
    assert second.starts[0] == 51


async def test_a_member_that_never_begins_is_left_though_it_serves(autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    assert await take([Scripted(), Scripted([answer(event(b"a", 5))])], 1) == [(5, b"a")]
    assert trio.current_time() - begun == SILENCE_SECONDS


async def test_progress_notes_do_not_hide_that_a_member_does_not_serve(autojump_clock: MockClock) -> None:
    class Cut(Scripted):
        async def listen(self, path: str, body: Json, take: Callable[[Json], Awaitable[None]]) -> None:
            while True:
                await take({"header": {"revision": "40"}})
                await trio.sleep(SILENCE_SECONDS / 3)

    cut, other = Cut(), Scripted([answer(event(b"a", 41))])

    async def serves_if_it_is_not_cut(endpoint: Endpoint) -> None:
        if endpoint is cut:
            raise UnavailableError("no leader")

    follower = Follower([cut, other], KEYSPACE, Span.prefix(b""), 5, serves_if_it_is_not_cut)
    async with beside(follower.run):
        assert (await anext(follower.events)).revision == 41
        follower.events.close()


async def test_an_etcd_that_went_back_ends_the_watch(autojump_clock: MockClock) -> None:
    async def went_back(endpoint: Endpoint) -> None:
        raise DamageError("older state")

    follower = Follower([Scripted()], KEYSPACE, Span.prefix(b""), 5, went_back)
    follower_created = Scripted([{"header": {"revision": "4"}, "created": True}])
    for each in (follower, Follower([follower_created], KEYSPACE, Span.prefix(b""), 5, went_back)):
        async with beside(each.run):
            for _ in range(2):
                with pytest.raises(DamageError):
                    await anext(each.events)
            each.events.close()


async def test_a_reader_that_waits_long_gets_every_revision(autojump_clock: MockClock) -> None:
    """The stream is not given up in the middle of what it hands on, whatever its member says meanwhile."""

    async def refuses(endpoint: Endpoint) -> None:
        raise UnavailableError("gone")

    revisions = range(5, 12)
    told = [answer(*(event(b"k", revision) for revision in revisions))]
    follower = Follower([Scripted(told)], KEYSPACE, Span.prefix(b""), 5, refuses)
    async with beside(follower.run):
        found = []
        for _ in revisions:
            await trio.sleep(5 * SILENCE_SECONDS)
            found.append((await anext(follower.events)).revision)
        follower.events.close()
    assert found == list(revisions)
