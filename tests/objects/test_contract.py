"""One contract, two stores: the twin in memory and the store over devices."""

from __future__ import annotations

import hashlib
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import ConflictError, InvalidError, NotFoundError, PreconditionError
from store.core.limits import BLOCK_BYTES, INLINE_BYTES_MAX, NAME_BYTES_MAX
from store.objects.interface import ObjectStore
from store.objects.model import (
    ALWAYS,
    Condition,
    Container,
    ContainerEntry,
    ListingQuery,
    ObjectEntry,
    ObjectHead,
    ObjectInfo,
    Subdir,
)
from tests.simulation.world import now

HEAD = ObjectHead("text/plain", {"x": "1"}, {"l": "2"})
IF_ABSENT = Condition(none_match=frozenset("*"))
IF_PRESENT = Condition(match=frozenset("*"))


async def names(store: ObjectStore, container: Container, query: ListingQuery | None = None) -> list[str]:
    return [entry.name for entry in await store.list_objects(container, query or ListingQuery(100))]


async def content(
    store: ObjectStore, container: Container, name: str, start: int = 0, stop: int | None = None
) -> bytes:
    async with store.open(container, name) as opened:
        return b"".join([bytes(piece) async for piece in opened.read(start, stop)])


async def upload(store: ObjectStore, container: Container, name: str, data: bytes) -> ObjectInfo:
    async with store.upload(container, name) as under_way:
        await under_way.write(data)
        return await under_way.commit(HEAD)


async def test_account(autojump_clock: MockClock, store: ObjectStore) -> None:
    with pytest.raises(NotFoundError):
        await store.account("a")
    made, was_made = await store.put_account("a", {"k": "1", "gone": "1"})
    again, was_made_again = await store.put_account("a", {"k": "2", "gone": None})
    assert (was_made, was_made_again, again.headers) == (True, False, {"k": "2"})
    assert again.id == made.id
    assert await store.account("a") == again
    await store.delete_account("a")
    with pytest.raises(NotFoundError):
        await store.account("a")
    anew, _ = await store.put_account("a", {})
    assert anew.id != made.id


async def test_account_with_containers_stays(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    with pytest.raises(ConflictError):
        await store.delete_account("a")
    await store.delete_container("a", "c")
    await store.delete_account("a")


async def test_container_keeps_its_policy(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    with pytest.raises(ConflictError):
        await store.put_container("a", "c", {}, 1)
    with pytest.raises(InvalidError):
        await store.put_container("a", "d", {}, 7)
    with pytest.raises(NotFoundError):
        await store.put_container("nobody", "d", {})
    same, made = await store.put_container("a", "c", {"k": "v"}, 0)
    assert (same.policy, made, same.headers, same.id) == (0, False, {"k": "v"}, container.id)


async def test_container_that_is_not_empty_stays(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    await store.put(container, "o", b"1", HEAD)
    with pytest.raises(ConflictError):
        await store.delete_container("a", "c")
    await store.delete(container, "o")
    await store.delete_container("a", "c")
    with pytest.raises(NotFoundError):
        await store.container("a", "c")
    with pytest.raises(NotFoundError):
        await store.put(container, "o", b"1", HEAD)


async def test_what_was_in_a_deleted_container_is_not_in_its_successor(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    await store.put(container, "o", b"1", HEAD)
    await store.delete(container, "o")
    await store.delete_container("a", "c")
    anew, _ = await store.put_container("a", "c", {})
    assert await names(store, anew) == []
    with pytest.raises(NotFoundError):
        await store.put(container, "o", b"1", HEAD)


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 4096, 8 * 2047, 8 * 2047 + 1, INLINE_BYTES_MAX])
async def test_small_object(autojump_clock: MockClock, store: ObjectStore, container: Container, size: int) -> None:
    data = bytes(range(256)) * 256
    info = await store.put(container, "o", data[:size], HEAD)
    assert info.etag == hashlib.md5(data[:size], usedforsecurity=False).hexdigest()
    assert (info.size, info.head, info.name) == (size, HEAD, "o")
    assert await store.head(container, "o") == info
    async with store.open(container, "o") as opened:
        assert opened.inline is not None
        assert bytes(opened.inline) == data[:size]
        assert opened.info == info


@pytest.mark.parametrize("policy", [0, 1])
@pytest.mark.parametrize("size", [INLINE_BYTES_MAX + 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 12_345])
async def test_large_object(
    autojump_clock: MockClock, store: ObjectStore, container: Container, policy: int, size: int
) -> None:
    held, _ = await store.put_container("a", f"p{policy}", {}, policy)
    data = (b"%08d" * 1) % size * (size // 8 + 1)
    data = bytes(memoryview(data)[:size])
    info = await upload(store, held, "o", data)
    assert info.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert info.policy == policy
    assert await content(store, held, "o") == data
    for start, stop in [(0, 1), (size - 1, size), (BLOCK_BYTES // 2 - 7, size - 5), (70_000, 70_001), (5, 5)]:
        assert await content(store, held, "o", start, stop) == data[start:stop]
    usage = await store.container_usage(held)
    assert (usage.objects, usage.bytes) == (1, size)


async def test_too_large_for_one_step(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    with pytest.raises(InvalidError):
        await store.put(container, "o", bytes(INLINE_BYTES_MAX + 1), HEAD)


async def test_names_have_limits(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    longest = "é" * (NAME_BYTES_MAX // 2)
    await store.put(container, longest, b"1", HEAD)
    assert await names(store, container) == [longest]
    for bad in ("", longest + "x"):
        with pytest.raises(InvalidError):
            await store.put(container, bad, b"1", HEAD)


async def test_upload_is_not_seen_before_its_commit(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    async with store.upload(container, "o") as under_way:
        await under_way.write(bytes(200_000))
        assert await under_way.digest() == (200_000, hashlib.md5(bytes(200_000), usedforsecurity=False).hexdigest())
        assert await names(store, container) == []
    with pytest.raises(NotFoundError):
        await store.head(container, "o")


async def test_upload_in_small_pieces(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    async with store.upload(container, "o") as under_way:
        piece = bytearray(b"x")
        for letter in b"abc":
            piece[0] = letter
            await under_way.write(piece)
        await under_way.commit(HEAD)
    assert await content(store, container, "o") == b"abc"


async def test_open_object_outlives_overwrite_and_delete(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    data = bytes(range(250)) * 2000
    await upload(store, container, "o", data)
    async with store.open(container, "o") as opened:
        await store.put(container, "o", b"new", HEAD)
        await store.delete(container, "o")
        await trio.sleep(30)
        assert b"".join([bytes(piece) async for piece in opened.read()]) == data


async def reflink(store: ObjectStore, source: tuple[Container, str], target: tuple[Container, str]) -> bool:
    async with store.open(*source) as opened, store.upload(*target) as under_way:
        assert opened.data is not None
        assert opened.data.size == opened.info.size
        shared = await under_way.reflink(opened.data)
        if shared:
            assert await under_way.digest() == (opened.info.size, opened.info.etag)
            assert (await under_way.commit(HEAD)).etag == opened.info.etag
    return shared


@pytest.mark.parametrize("policy", [0, 1])
@pytest.mark.parametrize("size", [INLINE_BYTES_MAX + 1, 3 * BLOCK_BYTES + 11])
async def test_a_copy_shares_data_and_outlives_its_source(
    autojump_clock: MockClock, store: ObjectStore, container: Container, policy: int, size: int
) -> None:
    place, _ = await store.put_container("a", "p", {}, policy)
    data = Random(5).randbytes(size)
    await upload(store, place, "source", data)
    assert await reflink(store, (place, "source"), (place, "copy"))
    assert await reflink(store, (place, "copy"), (place, "copy of the copy"))
    assert (await store.container_usage(place)).bytes == 3 * size
    await store.delete(place, "source")
    assert await content(store, place, "copy") == data
    await store.put(place, "copy", b"new", HEAD)
    await trio.sleep(60)
    assert await content(store, place, "copy of the copy", 5, 100) == data[5:100]
    assert await content(store, place, "copy of the copy") == data
    assert await reflink(store, (place, "copy of the copy"), (place, "copy of the copy"))
    await trio.sleep(60)
    assert await content(store, place, "copy of the copy") == data


@pytest.mark.needs_all_devices("a code of 2 + 1 is written to all three of its devices, or not at all")
async def test_data_are_not_shared_between_policies(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    other, _ = await store.put_container("a", "p", {}, 1)
    await upload(store, container, "source", b"d" * (INLINE_BYTES_MAX + 1))
    assert not await reflink(store, (container, "source"), (other, "copy"))
    async with store.open(container, "source") as opened, store.upload(other, "copy") as under_way:
        assert opened.data is not None
        assert not await under_way.reflink(opened.data)
        async for piece in opened.read():
            await under_way.write(piece)
        await under_way.commit(HEAD)
    assert await content(store, other, "copy") == await content(store, container, "source")


async def test_small_objects_have_nothing_to_share(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    await upload(store, container, "o", b"small")
    async with store.open(container, "o") as opened:
        assert opened.data is None


async def test_conditions(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    with pytest.raises(PreconditionError):
        await store.put(container, "o", b"1", HEAD, IF_PRESENT)
    first = await store.put(container, "o", b"1", HEAD, IF_ABSENT)
    with pytest.raises(PreconditionError):
        await store.put(container, "o", b"2", HEAD, IF_ABSENT)
    second = await store.put(container, "o", b"2", HEAD, Condition(match=frozenset({first.etag})))
    for stale in (Condition(match=frozenset({first.etag})), Condition(none_match=frozenset({second.etag}))):
        with pytest.raises(PreconditionError):
            await store.put(container, "o", b"3", HEAD, stale)
        with pytest.raises(PreconditionError):
            await store.update(container, "o", lambda info: info.head, stale)
        with pytest.raises(PreconditionError):
            await store.delete(container, "o", stale)
    assert await content(store, container, "o") == b"2"


async def test_one_of_many_makes_it(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    won: list[bytes] = []

    async def attempt(data: bytes) -> None:
        try:
            await store.put(container, "o", data, HEAD, IF_ABSENT)
        except PreconditionError:
            return
        won.append(data)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(attempt, b"%d" % number)
    assert len(won) == 1
    assert await content(store, container, "o") == won[0]


async def test_update_leaves_data(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    data = bytes(range(250)) * 400
    before = await upload(store, container, "o", data)
    head = ObjectHead("image/png", {"y": "2"}, {})
    after = await store.update(container, "o", lambda info: head if info == before else info.head)
    assert (after.etag, after.size, after.head, after.created) == (before.etag, before.size, head, before.created)
    assert after.changed > before.changed
    assert await store.head(container, "o") == after
    await trio.sleep(5)
    assert await content(store, container, "o") == data
    with pytest.raises(NotFoundError):
        await store.update(container, "none", lambda info: info.head)


async def test_delete_of_one_that_is_checked(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    """What an etag cannot tell apart: the same bytes, written again."""
    first = await store.put(container, "o", b"data", HEAD)
    second = await store.put(container, "o", b"data", HEAD)
    with pytest.raises(PreconditionError):
        await store.delete(container, "o", check=lambda info: info.created == first.created)
    assert await store.delete(container, "o", check=lambda info: info.created == second.created) == second
    with pytest.raises(NotFoundError):
        await store.delete(container, "o", check=lambda info: True)


async def test_a_condition_on_the_very_version(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    """The same bytes again are another version: no etag tells them apart."""
    first = await store.put(container, "o", b"1", HEAD)
    second = await store.put(container, "o", b"1", HEAD)
    assert first.etag == second.etag
    stale = Condition(unchanged=first.changed)
    for refused in (
        store.put(container, "o", b"2", HEAD, stale),
        store.update(container, "o", lambda info: info.head, stale),
        store.delete(container, "o", stale),
        store.put(container, "none", b"2", HEAD, stale),
    ):
        with pytest.raises(PreconditionError):
            await refused
    third = await store.update(container, "o", lambda info: info.head, Condition(unchanged=second.changed))
    with pytest.raises(PreconditionError):
        await store.delete(container, "o", Condition(unchanged=second.changed))
    fourth = await store.put(container, "o", b"3", HEAD, Condition(unchanged=third.changed))
    assert await store.delete(container, "o", Condition(unchanged=fourth.changed)) == fourth


async def test_delete(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    info = await store.put(container, "o", b"1", HEAD)
    assert await store.delete(container, "o") == info
    for again in (store.delete(container, "o"), store.head(container, "o")):
        with pytest.raises(NotFoundError):
            await again
    assert await names(store, container) == []
    assert (await store.container_usage(container)).objects == 0


async def test_expiry(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    ends = int(now()) + 5
    await store.put(container, "o", b"1", ObjectHead("t", {}, {}, ends))
    assert await names(store, container) == ["o"]
    await trio.sleep(6)
    with pytest.raises(NotFoundError):
        await store.head(container, "o")
    assert await names(store, container) == []
    await store.put(container, "o", b"2", HEAD, IF_ABSENT)
    await trio.sleep(30)
    assert await content(store, container, "o") == b"2"


async def test_usage_of_all(autojump_clock: MockClock, store: ObjectStore, container: Container) -> None:
    coded, _ = await store.put_container("a", "d", {}, 1)
    await store.put(container, "o", b"12", HEAD)
    await store.put(coded, "o", b"123", HEAD)
    await store.put(coded, "o", b"1234", HEAD)
    account = await store.account("a")
    usage = await store.account_usage(account)
    assert (usage.objects, usage.bytes, usage.containers) == (2, 6, 2)
    assert dict(usage.policies) == {0: (1, 2), 1: (1, 4)}
    entries = await store.list_containers(account, ListingQuery(10))
    assert [(e.name, e.usage.bytes, e.policy) for e in entries if isinstance(e, ContainerEntry)] == [
        ("c", 2, 0),
        ("d", 4, 1),
    ]


async def test_listing_shows_what_was_written(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    info = await store.put(container, "o", b"1", HEAD, ALWAYS)
    assert await store.list_objects(container, ListingQuery(10)) == [
        ObjectEntry("o", 1, info.etag, "text/plain", {"l": "2"}, info.changed)
    ]


async def test_listing_folds_at_the_delimiter(
    autojump_clock: MockClock, store: ObjectStore, container: Container
) -> None:
    for name in ("a", "b/1", "b/2", "b/c/3", "c//4", "é/5"):
        await store.put(container, name, b"", HEAD)
    query = ListingQuery(10, delimiter="/")
    assert await store.list_objects(container, ListingQuery(10, prefix="b/", delimiter="/", marker="b/1")) == [
        (await store.list_objects(container, ListingQuery(1, prefix="b/2")))[0],
        Subdir("b/c/"),
    ]
    assert await names(store, container, query) == ["a", "b/", "c/", "é/"]
    assert await names(store, container, ListingQuery(10, delimiter="/", reverse=True)) == ["é/", "c/", "b/", "a"]
    assert await names(store, container, ListingQuery(2, delimiter="/", marker="b/")) == ["c/", "é/"]


@pytest.mark.parametrize("large", [False, True])
async def test_an_object_is_gone_from_its_very_second(
    autojump_clock: MockClock, store: ObjectStore, container: Container, large: bool
) -> None:
    end = int(now()) + 100
    head = ObjectHead("t", expires_at=end)
    if large:
        async with store.upload(container, "o") as upload:
            await upload.write(bytes(INLINE_BYTES_MAX + 1))
            await upload.commit(head)
    else:
        await store.put(container, "o", b"data", head)
    await trio.sleep(end - now() - 5)
    assert (await store.head(container, "o")).head.expires_at == end
    assert await names(store, container) == ["o"]
    await trio.sleep(end - now() + 1e-5)
    assert now() == pytest.approx(end, abs=1e-4)
    with pytest.raises(NotFoundError):
        await store.head(container, "o")
    with pytest.raises(NotFoundError):
        await content(store, container, "o")
    assert await names(store, container) == []
    await store.put(container, "o", b"again", HEAD, IF_ABSENT)
