"""What every form of the registry promises of leases. Time is trio's, moved by MockClock."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Event, Item, Put, Registry, Span
from store.registry.single_key import create, delete, put
from tests.registry.conftest import Opener

ALL = Span.prefix(b"")


async def test_the_keys_of_a_lease_go_with_it_in_one_revision(registry: Registry, mock_clock: MockClock) -> None:
    lease = await registry.lease(10)
    await put(registry, b"a", b"", lease=lease.id)
    await put(registry, b"b", b"", lease=lease.id)
    await put(registry, b"c", b"")
    mock_clock.jump(9.9)
    assert len(await registry.range(ALL)) == 3
    mock_clock.jump(0.2)
    assert [item.key for item in await registry.range(ALL)] == [b"c"]
    assert await registry.revision() == 5


async def test_keep_alive_starts_the_ttl_anew(registry: Registry, mock_clock: MockClock) -> None:
    lease = await registry.lease(10)
    await put(registry, b"a", b"", lease=lease.id)
    for _ in range(3):
        mock_clock.jump(8)
        await lease.keep_alive()
    assert await registry.get(b"a") == Item(b"a", b"", 2, 2, 1, lease.id)
    mock_clock.jump(10)
    with pytest.raises(NotFoundError):
        await lease.keep_alive()
    assert await registry.get(b"a") is None


async def test_watchers_hear_of_an_end_while_nobody_calls(registry: Registry, mock_clock: MockClock) -> None:
    long = await registry.lease(100)
    short = await registry.lease(10)
    await put(registry, b"long", b"", lease=long.id)
    await put(registry, b"short", b"", lease=short.id)
    async with registry.watch(ALL) as events:
        mock_clock.jump(10)
        assert await anext(events) == Event(b"short", 4, None)
        mock_clock.jump(90)
        assert await anext(events) == Event(b"long", 5, None)


async def test_revoking(registry: Registry, mock_clock: MockClock) -> None:
    lease = await registry.lease(10)
    await put(registry, b"a", b"", lease=lease.id)
    await lease.revoke()
    assert await registry.get(b"a") is None
    await lease.revoke()
    with pytest.raises(NotFoundError):
        await put(registry, b"a", b"", lease=lease.id)
    other = await registry.lease(10)
    assert other.id > lease.id


async def test_a_put_without_the_lease_detaches(registry: Registry, mock_clock: MockClock) -> None:
    first, second = await registry.lease(10), await registry.lease(20)
    for key in (b"free", b"moved", b"deleted"):
        await put(registry, key, b"", lease=first.id)
    await put(registry, b"free", b"")
    await put(registry, b"moved", b"", lease=second.id)
    await delete(registry, b"deleted")
    await put(registry, b"deleted", b"again")
    mock_clock.jump(15)
    assert [item.key for item in await registry.range(ALL)] == [b"deleted", b"free", b"moved"]
    mock_clock.jump(15)
    assert [item.key for item in await registry.range(ALL)] == [b"deleted", b"free"]


async def test_a_lock_passes_on_with_a_higher_fencing_number(registry: Registry, mock_clock: MockClock) -> None:
    lease = await registry.lease(5)
    fence = await create(registry, b"lock", b"me", lease=lease.id)
    with pytest.raises(ConflictError):
        await create(registry, b"lock", b"you")
    mock_clock.jump(6)
    assert await create(registry, b"lock", b"you") > fence


@pytest.mark.parametrize("ttl_s", [0, -1, 86_401])
async def test_refused_lifetimes(registry: Registry, ttl_s: int) -> None:
    with pytest.raises(InvalidError):
        await registry.lease(ttl_s)


async def test_after_a_restart_a_lease_begins_anew(embedded: Opener, mock_clock: MockClock) -> None:
    with embedded() as registry:
        lease = await registry.lease(10)
        ended = await registry.lease(10)
        await ended.revoke()
        await registry.transact([], [Put(b"a", b"1", lease.id), Put(b"b", b"2")])
        mock_clock.jump(9)
    mock_clock.jump(100)
    with embedded() as registry:
        assert await registry.get(b"a") == Item(b"a", b"1", 2, 2, 1, lease.id)
        mock_clock.jump(9)
        await registry.keep_alive(lease.id)
        mock_clock.jump(9)
        assert await registry.get(b"a") is not None
        mock_clock.jump(2)
        assert await registry.get(b"a") is None
        assert await registry.revision() == 3
        assert (await registry.lease(10)).id > ended.id
    with embedded() as registry:
        assert [item.key for item in await registry.range(ALL)] == [b"b"]
        with pytest.raises(NotFoundError):
            await registry.keep_alive(lease.id)
