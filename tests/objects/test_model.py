"""The store over devices does what the twin in memory does, whatever is asked of it, through restarts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from store.core.errors import DrystoneError
from store.objects.interface import ObjectStore
from store.objects.model import ALWAYS, Condition, Container, ListingQuery, ObjectEntry, ObjectHead, ObjectInfo
from tests.objects.conftest import POLICIES
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, INLINE_BYTES, small_limits
from tests.simulation.node import SimMedia, open_node
from tests.simulation.world import SimClock, now, run
from tests.twins.objects import MemoryStore

Step = Callable[[ObjectStore, Container], Awaitable[object]]
"""Something to ask of a store; what it answers is compared."""

LONG = "n" * 399
names = st.one_of(
    st.sampled_from(["a", "a/b", "a/b/c", "a/c", "b", "é/x", "é/y", LONG, LONG + "1", LONG + "11", LONG + "12/x", "ÿ"]),
    st.text(st.sampled_from("ab/éÿ😀"), min_size=1, max_size=4),
)
sizes = st.sampled_from([0, 1, INLINE_BYTES, INLINE_BYTES + 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 5])
etags = st.sampled_from(["*", "d41d8cd98f00b204e9800998ecf8427e", "no such"])
conditions = st.one_of(
    st.just(ALWAYS),
    st.builds(lambda etag: Condition(match=frozenset({etag})), etags),
    st.builds(lambda etag: Condition(none_match=frozenset({etag})), etags),
)
queries = st.builds(
    ListingQuery,
    limit=st.integers(0, 6),
    prefix=st.one_of(st.just(""), names),
    marker=st.one_of(st.just(""), names),
    end_marker=st.one_of(st.just(""), names),
    delimiter=st.sampled_from(["", "", "/", "b", "é"]),
    reverse=st.booleans(),
)


def _plain(info: ObjectInfo) -> object:
    """All but the stamps, which differ."""
    return info.name, info.size, info.etag, info.head, info.policy


def _put(name: str, size: int, condition: Condition, expires_in: int | None) -> Step:
    async def step(store: ObjectStore, container: Container) -> object:
        ends = None if expires_in is None else int(now()) + expires_in
        head = ObjectHead("t", {"n": name}, {}, ends)
        if size <= INLINE_BYTES:
            return _plain(await store.put(container, name, b"x" * size, head, condition))
        async with store.upload(container, name) as upload:
            await upload.write(b"y" * size)
            return _plain(await upload.commit(head, condition))

    return step


def _delete(name: str, condition: Condition) -> Step:
    async def step(store: ObjectStore, container: Container) -> object:
        return _plain(await store.delete(container, name, condition))

    return step


def _update(name: str, condition: Condition) -> Step:
    async def step(store: ObjectStore, container: Container) -> object:
        head = ObjectHead("u", {}, {"l": "1"})
        return _plain(await store.update(container, name, lambda _: head, condition))

    return step


def _read(name: str, start: int, stop: int | None) -> Step:
    async def step(store: ObjectStore, container: Container) -> object:
        async with store.open(container, name) as opened:
            return _plain(opened.info), b"".join([bytes(piece) async for piece in opened.read(start, stop)])

    return step


def _list(query: ListingQuery) -> Step:
    async def step(store: ObjectStore, container: Container) -> object:
        page = await store.list_objects(container, query)
        assert await store.list_names(container, query) == [entry.name for entry in page]
        return [(e.name, e.size, e.etag, e.listing) if isinstance(e, ObjectEntry) else e.name for e in page]

    return step


def _wait(seconds: float) -> Step:
    async def step(_store: ObjectStore, _container: Container) -> object:
        await trio.sleep(seconds / 2)  # asked of both
        return None

    return step


steps = st.one_of(
    st.builds(_put, names, sizes, conditions, st.one_of(st.none(), st.none(), st.integers(1, 4))),
    st.builds(_put, names, sizes, st.just(ALWAYS), st.none()),
    st.builds(_delete, names, conditions),
    st.builds(_update, names, conditions),
    st.builds(_read, names, st.sampled_from([0, 1, BLOCK_BYTES - 1]), st.sampled_from([None, 0, 5, BLOCK_BYTES + 1])),
    st.builds(_list, queries),
    st.builds(_list, queries),
    st.builds(_wait, st.sampled_from([0.1, 3.0])),
)


async def _answer(step: Step, store: ObjectStore, container: Container) -> object:
    try:
        return await step(store, container)
    except DrystoneError as error:
        return type(error)


@pytest.mark.timeout(1200)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.lists(steps, max_size=25), min_size=1, max_size=3), st.integers(0, 1))
def test_devices_do_what_the_twin_does(lives: list[list[Step]], policy: int) -> None:
    random = Random(1)
    media = SimMedia(random, 4, POLICIES)
    twin = MemoryStore(SimClock(), POLICIES)
    passed = 0.0

    async def life(life: list[Step]) -> None:
        nonlocal passed
        async with open_node(media, CrashPoint()) as node:
            containers = []
            stores: tuple[ObjectStore, ObjectStore] = (twin, node.store)
            for store in stores:
                await store.put_account("a", {})
                containers.append((await store.put_container("a", "c", {}, policy))[0])
            for step in life:
                expected = await _answer(step, twin, containers[0])
                assert await _answer(step, node.store, containers[1]) == expected
            passed = trio.current_time()

    with small_limits():
        for each in lives:
            run(lambda each=each: life(each), random, passed)  # type: ignore[misc]
