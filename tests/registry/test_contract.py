"""What every form of the registry promises: items, ranges and transactions."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Delete, DeleteRange, Get, Item, Operation, Put, Registry, Span, TransactionResult
from store.registry.items import KEY_BYTES_MAX, VALUE_BYTES_MAX
from store.registry.operations import OPERATIONS_MAX
from store.registry.single_key import create, delete, put, replace

ALL = Span.prefix(b"")


async def keys(registry: Registry, span: Span, limit: int | None = None, reverse: bool = False) -> list[bytes]:
    return [item.key for item in await registry.range(span, limit=limit, reverse=reverse)]


async def test_an_empty_registry_is_at_revision_1(registry: Registry) -> None:
    assert await registry.revision() == 1
    assert await registry.get(b"a") is None
    assert await registry.range(ALL) == []


async def test_an_item_tells_its_revisions_and_its_version(registry: Registry) -> None:
    await put(registry, b"a", b"1")
    await put(registry, b"b", b"2")
    await put(registry, b"a", b"3")
    assert await registry.get(b"a") == Item(b"a", b"3", create_revision=2, mod_revision=4, version=2)
    assert await registry.get(b"b") == Item(b"b", b"2", create_revision=3, mod_revision=3, version=1)
    assert await registry.revision() == 4


async def test_a_deleted_key_begins_anew(registry: Registry) -> None:
    await put(registry, b"a", b"1")
    await put(registry, b"a", b"2")
    assert await delete(registry, b"a")
    assert await registry.get(b"a") is None
    await put(registry, b"a", b"3")
    assert await registry.get(b"a") == Item(b"a", b"3", create_revision=5, mod_revision=5, version=1)


async def test_what_changes_nothing_raises_no_revision(registry: Registry) -> None:
    await put(registry, b"a", b"1")
    assert not await delete(registry, b"b")
    assert await registry.transact([], [DeleteRange(Span.prefix(b"x")), Get(b"a")]) == TransactionResult(
        True, 2, (0, Item(b"a", b"1", 2, 2, 1))
    )
    assert await registry.revision() == 2


async def test_a_transaction_has_one_revision(registry: Registry) -> None:
    result = await registry.transact([], [Put(b"b", b"2"), Put(b"a", b"1")])
    assert result == TransactionResult(True, 2, (None, None))
    assert [item.mod_revision for item in await registry.range(ALL)] == [2, 2]


async def test_operations_see_those_before_them(registry: Registry) -> None:
    await put(registry, b"gone", b"x")
    result = await registry.transact(
        [], [Get(b"a"), Put(b"a", b"1"), Get(b"a"), Delete(b"gone"), Get(b"gone"), Delete(b"gone")]
    )
    assert result.answers == (None, None, Item(b"a", b"1", 3, 3, 1), 1, None, 0)


@pytest.mark.parametrize(
    ("compare", "holds"),
    [
        (Compare.absent(b"none"), True),
        (Compare.absent(b"a"), False),
        (Compare.exists(b"a"), True),
        (Compare.exists(b"none"), False),
        (Compare.unchanged(b"a", 3), True),
        (Compare.unchanged(b"a", 2), False),
        (Compare.unchanged(b"none", 0), True),
        (Compare.value_is(b"a", b"2"), True),
        (Compare.value_is(b"a", b"1"), False),
        (Compare.value_is(b"none", b""), False),
        (Compare(b"none", "value", "!=", b"x"), False),
        (Compare(b"a", "value", "!=", b"x"), True),
        (Compare(b"a", "value", "<", b"3"), True),
        (Compare(b"a", "value", ">", b"3"), False),
        (Compare(b"a", "version", "==", 2), True),
        (Compare(b"a", "version", ">", 2), False),
        (Compare(b"none", "version", "<", 1), True),
        (Compare(b"a", "create_revision", "!=", 2), False),
        (Compare(b"a", "mod_revision", "<", 4), True),
    ],
)
async def test_compares(registry: Registry, compare: Compare, holds: bool) -> None:
    await put(registry, b"a", b"1")
    await put(registry, b"a", b"2")
    result = await registry.transact([compare], [Put(b"yes", b"")], [Put(b"no", b"")])
    assert result.succeeded == holds
    assert await keys(registry, ALL) == [b"a", b"yes" if holds else b"no"]


async def test_all_compares_must_hold(registry: Registry) -> None:
    await put(registry, b"a", b"1")
    result = await registry.transact([Compare.exists(b"a"), Compare.exists(b"b")], [Delete(b"a")])
    assert result == TransactionResult(False, 2, ())
    assert await registry.get(b"a") is not None


async def test_ranges_are_in_the_order_of_bytes(registry: Registry) -> None:
    for key in (b"b", b"a\xff", b"a", b"c", b"a\x00", b"\xff\xff", b"\xff"):
        await put(registry, key, key)
    ordered = [b"a", b"a\x00", b"a\xff", b"b", b"c", b"\xff", b"\xff\xff"]
    assert await keys(registry, ALL) == ordered
    assert await keys(registry, ALL, reverse=True) == ordered[::-1]
    assert await keys(registry, ALL, limit=2) == ordered[:2]
    assert await keys(registry, ALL, limit=2, reverse=True) == [b"\xff\xff", b"\xff"]
    assert await keys(registry, Span.prefix(b"a")) == ordered[:3]
    assert await keys(registry, Span.prefix(b"a\xff")) == [b"a\xff"]
    assert await keys(registry, Span.prefix(b"\xff"), reverse=True) == [b"\xff\xff", b"\xff"]
    assert await keys(registry, Span(b"a\x00", b"b")) == [b"a\x00", b"a\xff"]
    assert await keys(registry, Span(b"a\x00", b"b"), reverse=True) == [b"a\xff", b"a\x00"]
    assert await keys(registry, Span(b"b", None), limit=2) == [b"b", b"c"]
    assert await keys(registry, Span.key(b"a")) == [b"a"]
    assert await keys(registry, Span(b"b", b"a")) == []
    assert await keys(registry, Span(b"", b""), reverse=True) == []


async def test_keys_of_the_greatest_length(registry: Registry) -> None:
    longest = b"k" * KEY_BYTES_MAX
    await put(registry, longest, b"1")
    await put(registry, longest[:-1], b"2")
    await put(registry, b"l", b"3")
    for reverse in (False, True):
        assert await keys(registry, Span.key(longest), reverse=reverse) == [longest]
        assert await keys(registry, Span(longest + b"\0", None), reverse=reverse) == [b"l"]
    assert await delete(registry, longest)


async def test_deleting_a_range(registry: Registry) -> None:
    for key in (b"a/1", b"a/2", b"b"):
        await put(registry, key, b"")
    result = await registry.transact([], [DeleteRange(Span.prefix(b"a/")), DeleteRange(ALL)])
    assert result.answers == (2, 1)
    assert await registry.range(ALL) == []


@pytest.mark.parametrize(
    "operations",
    [
        [Put(b"", b"")],
        [Put("text", b"")],  # type: ignore[arg-type]
        [Get("text")],  # type: ignore[arg-type]
        [Put(b"k" * (KEY_BYTES_MAX + 1), b"")],
        [Put(b"k", b"v" * (VALUE_BYTES_MAX + 1))],
        [Put(b"a", b"v" * VALUE_BYTES_MAX), Put(b"b", b"v" * VALUE_BYTES_MAX)],
        [Put(b"k", b"1"), Put(b"k", b"2")],
        [Put(b"k", b"1"), Delete(b"k")],
        [Delete(b"k"), Put(b"k", b"1")],
        [DeleteRange(ALL), Put(b"k", b"1")],
        [Get(b"k")] * (OPERATIONS_MAX + 1),
    ],
)
async def test_refused_transactions_do_nothing(registry: Registry, operations: list[Operation]) -> None:
    await put(registry, b"k", b"0")
    with pytest.raises(InvalidError):
        await registry.transact([], operations)
    with pytest.raises(InvalidError):
        await registry.transact([], [], operations)
    assert await registry.get(b"k") == Item(b"k", b"0", 2, 2, 1)
    assert await registry.revision() == 2


async def test_refused_compares_and_reads(registry: Registry) -> None:
    for compare in (Compare(b"k", "value", "==", 1), Compare(b"k", "version", "==", b"1"), Compare.exists(b"")):
        with pytest.raises(InvalidError):
            await registry.transact([compare], [])
    with pytest.raises(InvalidError):
        await registry.get(b"")
    with pytest.raises(InvalidError):
        await registry.range(ALL, limit=0)
    with pytest.raises(InvalidError):
        await registry.range(Span(b"k" * (KEY_BYTES_MAX + 2), None))


async def test_the_largest_value(registry: Registry) -> None:
    value = bytes(range(256)) * (VALUE_BYTES_MAX // 256)
    await put(registry, b"k", value)
    item = await registry.get(b"k")
    assert item is not None
    assert item.value == value


async def test_a_lease_that_never_was_cannot_be_used(registry: Registry) -> None:
    with pytest.raises(NotFoundError):
        await registry.transact([], [Put(b"a", b""), Put(b"b", b"", lease=7)])
    assert await registry.range(ALL) == []


async def test_only_one_of_many_takes_a_key(registry: Registry) -> None:
    taken = []

    async def take(who: int) -> None:
        with suppress(ConflictError):
            taken.append((who, await create(registry, b"lock", b"%d" % who)))

    async with trio.open_nursery() as nursery:
        for who in range(10):
            nursery.start_soon(take, who)
    item = await registry.get(b"lock")
    assert item is not None
    assert taken == [(int(item.value), item.mod_revision)]


async def test_no_increment_is_lost(registry: Registry) -> None:
    await put(registry, b"count", b"0")

    async def count() -> None:
        for _ in range(5):
            while True:
                item = await registry.get(b"count")
                assert item is not None
                try:
                    await replace(registry, b"count", b"%d" % (int(item.value) + 1), item.mod_revision)
                    break
                except ConflictError:
                    continue

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(count)
    item = await registry.get(b"count")
    assert item is not None
    assert (item.value, item.version) == (b"20", 21)


async def test_single_key_calls_refuse_what_changed(registry: Registry) -> None:
    first = await create(registry, b"k", b"1")
    second = await replace(registry, b"k", b"2", first)
    with pytest.raises(ConflictError):
        await replace(registry, b"k", b"3", first)
    with pytest.raises(ConflictError):
        await delete(registry, b"k", mod_revision=first)
    assert await delete(registry, b"k", mod_revision=second)
    assert await replace(registry, b"k", b"4", 0) == 5
