"""Bodies, quotas, conditions and ranges, without a protocol."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.objects import quotas, ranges
from gateway.objects.conditions import Outcome, ReadCondition, settled
from gateway.objects.copying import copy
from gateway.objects.errors import QuotaError, ShortError, TooLargeError
from gateway.objects.notes import MANIFEST_ETAG, QUOTA_BYTES, QUOTA_COUNT
from gateway.objects.reading import PlainView, whole
from gateway.objects.writing import Expected, write
from store.core.errors import DigestError, NotFoundError, PreconditionError
from store.core.limits import INLINE_BYTES_MAX
from store.objects.model import ALWAYS, Condition, ObjectHead
from tests.gateway_objects.cloud import HOME, Cloud, owner, user

HEAD = ObjectHead("t")


class Pieces:
    """A body in these pieces. No generator, so that leaving it half read needs no closing."""

    def __init__(self, *some: bytes) -> None:
        self._left = iter(some)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._left:
            return piece
        raise StopAsyncIteration


@pytest.mark.parametrize("size", [0, 5, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1])
@pytest.mark.parametrize("stated", [True, False])
async def test_what_comes_is_kept(size: int, stated: bool) -> None:
    cloud = Cloud()
    container = await cloud.container()
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    expected = Expected(size if stated else None, 1 << 30)
    info = await write(cloud.layer, container, "o", Pieces(body[:3], b"", body[3:]), expected, HEAD)
    assert info.size == size
    async with cloud.layer.store.open(container, "o") as opened:
        assert await whole(opened) == body


@pytest.mark.parametrize("length", [10, INLINE_BYTES_MAX + 10])
@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (lambda n: Expected(n + 1, 1 << 30), ShortError),
        (lambda n: Expected(n, n - 1), TooLargeError),
        (lambda n: Expected(None, n - 1), TooLargeError),
        (lambda n: Expected(None, 1 << 30, left=n - 1), QuotaError),
        (lambda n: Expected(None, n - 2, left=n - 1), TooLargeError),
        (lambda n: Expected(n, 1 << 30, digest="0" * 32), DigestError),
        (lambda n: Expected(None, 1 << 30, digest="0" * 32), DigestError),
    ],
)
async def test_what_is_not_as_announced_leaves_nothing(
    length: int, expected: Callable[[int], Expected], error: type[Exception]
) -> None:
    cloud = Cloud()
    container = await cloud.container()
    with pytest.raises(error):
        await write(cloud.layer, container, "o", Pieces(b"x" * length), expected(length), HEAD)
    with pytest.raises(NotFoundError):
        await cloud.layer.store.head(container, "o")


async def test_quotas_of_a_container_bind_everybody() -> None:
    cloud = Cloud()
    container = await cloud.container("c", {QUOTA_BYTES: "10", QUOTA_COUNT: "2"})
    admin = user("rolf", "admin", "reselleradmin")
    for caller in (owner(), admin):
        assert await quotas.admit(cloud.layer, caller, container, 10) == 10
        with pytest.raises(QuotaError):
            await quotas.admit(cloud.layer, caller, container, 11)
    for name in "ab":
        await cloud.layer.store.put(container, name, b"x", HEAD)
    with pytest.raises(QuotaError):
        await quotas.admit(cloud.layer, owner(), container, 0)


async def test_quotas_of_an_account_bind_all_but_those_who_own_all() -> None:
    cloud = Cloud()
    container = await cloud.container("c", {QUOTA_BYTES: "100"})
    await cloud.layer.store.put_account(HOME, {QUOTA_BYTES: "10"})
    assert await quotas.admit(cloud.layer, owner(), container, None) == 10
    assert await quotas.admit(cloud.layer, user("rolf", "admin", "reselleradmin"), container, None) == 100
    await cloud.layer.store.put_account(HOME, {quotas.of_policy(QUOTA_BYTES, "Standard"): "4"})
    assert await quotas.admit(cloud.layer, owner(), container, None) == 4
    with pytest.raises(QuotaError, match="policy"):
        await quotas.admit(cloud.layer, owner(), container, 5)


def test_conditions_of_a_read() -> None:
    some = frozenset({"e"})
    assert ReadCondition().outcome("e", 5) is None
    assert ReadCondition(none_match=some).outcome("e", 5) is Outcome.NOT_MODIFIED
    assert ReadCondition(none_match=some).outcome("f", 5) is None
    assert ReadCondition(match=some).outcome("f", 5) is Outcome.FAILED
    assert ReadCondition(match=frozenset({"*"})).outcome("f", 5) is None
    assert ReadCondition(modified_since=5).outcome("e", 5) is Outcome.NOT_MODIFIED
    assert ReadCondition(modified_since=4).outcome("e", 5) is None
    assert ReadCondition(unmodified_since=4).outcome("e", 5) is Outcome.FAILED
    assert ReadCondition(unmodified_since=5).outcome("e", 5) is None


async def test_a_manifest_is_known_by_the_etag_of_the_whole() -> None:
    cloud = Cloud()
    container = await cloud.container()
    info = await cloud.layer.store.put(container, "m", b"[]", ObjectHead("t", {MANIFEST_ETAG: "whole"}))
    stored = await settled(cloud.layer.store, container, "m", Condition(match=frozenset({"whole"})))
    assert stored == Condition(match=frozenset({info.etag}))
    with pytest.raises(PreconditionError):
        await settled(cloud.layer.store, container, "m", Condition(match=frozenset({info.etag})))
    with pytest.raises(PreconditionError):
        await settled(cloud.layer.store, container, "none", Condition(match=frozenset({"*"})))


@pytest.mark.parametrize("size", [9, INLINE_BYTES_MAX + 9])
async def test_a_copy_may_be_a_part(size: int) -> None:
    cloud = Cloud()
    container = await cloud.container()
    body = bytes(range(9)) + bytes(size - 9)
    await write(cloud.layer, container, "o", Pieces(body), Expected(size, 1 << 30), HEAD)
    async with cloud.layer.store.open(container, "o") as opened:
        for start, stop in ((0, size), (1, 8), (0, size - 1)):
            info = await copy(cloud.layer, PlainView(opened), start, stop, container, "p", HEAD, ALWAYS)
            assert info.size == stop - start
            async with cloud.layer.store.open(container, "p") as copied:
                assert await whole(copied) == body[start:stop]


def test_ranges_fit_what_is_there() -> None:
    assert ranges.fit([(0, 0), (None, 2), (5, None)], 10) == [(0, 1), (8, 10), (5, 10)]
    assert ranges.fit([(10, None)], 10) == []
    assert ranges.fit([(None, 20)], 10) == [(0, 10)]
