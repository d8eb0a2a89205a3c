"""What every form of the registry promises of leases; and where time must pass, the forms whose time is trio's,
moved by MockClock. etcd's own time: test_etcd."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Event, Item, Put, Registry, Span
from store.registry.single_key import create, delete, put
from tests.registry.conftest import Opener

ALL = Span.prefix(b"")


async def test_the_keys_of_a_lease_go_with_it_in_one_revision(local: Registry, mock_clock: MockClock) -> None:
    lease = await local.lease(10)
    await put(local, b"a", b"", lease=lease.id)
    await put(local, b"b", b"", lease=lease.id)
    await put(local, b"c", b"")
    mock_clock.jump(9.9)
    assert len(await local.range(ALL)) == 3
    mock_clock.jump(0.2)
    assert [item.key for item in await local.range(ALL)] == [b"c"]
    assert await local.revision() == 5


async def test_keep_alive_starts_the_ttl_anew(local: Registry, mock_clock: MockClock) -> None:
    lease = await local.lease(10)
    await put(local, b"a", b"", lease=lease.id)
    for _ in range(3):
        mock_clock.jump(8)
        await lease.keep_alive()
    assert await local.get(b"a") == Item(b"a", b"", 2, 2, 1, lease.id)
    mock_clock.jump(10)
    with pytest.raises(NotFoundError):
        await lease.keep_alive()
    assert await local.get(b"a") is None


async def test_watchers_hear_of_an_end_while_nobody_calls(local: Registry, mock_clock: MockClock) -> None:
    long = await local.lease(100)
    short = await local.lease(10)
    await put(local, b"long", b"", lease=long.id)
    await put(local, b"short", b"", lease=short.id)
    async with local.watch(ALL) as events:
        mock_clock.jump(10)
        assert await anext(events) == Event(b"short", 4, None)
        mock_clock.jump(90)
        assert await anext(events) == Event(b"long", 5, None)


async def test_revoking(registry: Registry) -> None:
    lease = await registry.lease(10)
    await put(registry, b"a", b"", lease=lease.id)
    await lease.revoke()
    assert await registry.get(b"a") is None
    await lease.revoke()
    with pytest.raises(NotFoundError):
        await put(registry, b"a", b"", lease=lease.id)
    other = await registry.lease(10)
    assert other.id not in (0, lease.id)


async def test_a_put_without_the_lease_detaches(local: Registry, mock_clock: MockClock) -> None:
    first, second = await local.lease(10), await local.lease(20)
    for key in (b"free", b"moved", b"deleted"):
        await put(local, key, b"", lease=first.id)
    await put(local, b"free", b"")
    await put(local, b"moved", b"", lease=second.id)
    await delete(local, b"deleted")
    await put(local, b"deleted", b"again")
    mock_clock.jump(15)
    assert [item.key for item in await local.range(ALL)] == [b"deleted", b"free", b"moved"]
    mock_clock.jump(15)
    assert [item.key for item in await local.range(ALL)] == [b"deleted", b"free"]


async def test_a_lock_passes_on_with_a_higher_fencing_number(local: Registry, mock_clock: MockClock) -> None:
    lease = await local.lease(5)
    fence = await create(local, b"lock", b"me", lease=lease.id)
    with pytest.raises(ConflictError):
        await create(local, b"lock", b"you")
    mock_clock.jump(6)
    assert await create(local, b"lock", b"you") > fence


async def test_only_what_is_attached_last_goes(registry: Registry) -> None:
    first, second = await registry.lease(60), await registry.lease(60)
    for key in (b"both", b"free", b"moved"):
        await put(registry, key, b"", lease=first.id)
    await put(registry, b"free", b"")
    await put(registry, b"moved", b"", lease=second.id)
    await registry.transact([], [Put(b"more", b"", first.id)])
    await first.keep_alive()
    before = await registry.revision()
    async with registry.watch(ALL) as events:
        await first.revoke()
        assert [await anext(events), await anext(events)] == [
            Event(b"both", before + 1, None),
            Event(b"more", before + 1, None),
        ]
    assert [item.key for item in await registry.range(ALL)] == [b"free", b"moved"]
    with pytest.raises(NotFoundError):
        await first.keep_alive()


async def test_a_lease_lives_what_was_asked_for_or_more(registry: Registry) -> None:
    assert [(await registry.lease(ttl_s)).ttl_s >= ttl_s for ttl_s in (1, 10, 86_400)] == [True] * 3


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
