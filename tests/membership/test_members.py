"""Members as the registry says: who lives, who is told of changes, and who is a member no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from drystone.members import LEASE_SECONDS, Members, stay_live
from drystone.node_records import NODE_CODEC, Life, NodeRecord, State, load_lives, node_key
from store.core.errors import ConflictError
from store.registry import Registry, memory_registry
from store.registry.interface import UnavailableError
from store.registry.leases import GrantedLease
from store.registry.single_key import delete, put

LIFE = Life(b"l" * 16, "1")
RECORD = NodeRecord("a:1", 1, 1, "m", State.MEMBER, "5e", 0)


class TrioClock:
    def wall_us(self) -> int:
        return int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


async def say(registry: Registry, name: str, record: NodeRecord = RECORD) -> None:
    await put(registry, node_key(name), NODE_CODEC.encode(record))


async def test_a_node_lives_as_long_as_it_says_so(autojump_clock: MockClock) -> None:
    registry = memory_registry(TrioClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        async with trio.open_nursery() as living:
            living.start_soon(stay_live, registry, "n1", LIFE)
            await trio.sleep(5 * LEASE_SECONDS)
            assert await load_lives(registry) == {"n1": LIFE}
            living.cancel_scope.cancel()
        assert await load_lives(registry) == {}, "it said that it ended"
        nursery.cancel_scope.cancel()


async def test_a_lease_that_was_lost_is_had_anew(autojump_clock: MockClock) -> None:
    registry = memory_registry(TrioClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        nursery.start_soon(stay_live, registry, "n1", LIFE)
        await trio.sleep(1)
        await registry.revoke(1)
        assert await load_lives(registry) == {}
        await trio.sleep(LEASE_SECONDS)
        assert await load_lives(registry) == {"n1": LIFE}
        nursery.cancel_scope.cancel()


async def test_a_registry_that_is_away_for_a_while_is_told_afterwards(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = memory_registry(TrioClock())
    kept = GrantedLease.keep_alive
    away = False

    async def keep_alive(self: GrantedLease) -> None:
        if away:
            raise UnavailableError("away")
        await kept(self)

    monkeypatch.setattr(GrantedLease, "keep_alive", keep_alive)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        nursery.start_soon(stay_live, registry, "n1", LIFE)
        await trio.sleep(2 * LEASE_SECONDS)
        away = True
        await trio.sleep(3 * LEASE_SECONDS)
        away = False
        await trio.sleep(LEASE_SECONDS)
        assert await load_lives(registry) == {"n1": LIFE}
        nursery.cancel_scope.cancel()


async def test_changes_are_told(autojump_clock: MockClock) -> None:
    registry = memory_registry(TrioClock())
    members = Members(registry, "n1", "5e")
    told: list[set[str]] = []
    members.on_change.append(lambda: told.append(set(members.others)))
    await say(registry, "n1")
    await members.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(members.run)
        await trio.sleep(1)
        await say(registry, "n2", replace(RECORD, state=State.JOINING))
        await trio.sleep(1)
        await say(registry, "n2")
        await trio.sleep(1)
        await delete(registry, node_key("n2"))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert told == [set(), set(), {"n2"}, set()]


async def test_a_node_that_was_removed_notices(autojump_clock: MockClock) -> None:
    registry = memory_registry(TrioClock())
    members = Members(registry, "n1", "5e")
    with pytest.raises(ConflictError, match="removed"):
        await members.load()
    await say(registry, "n1", replace(RECORD, serial="5f"))
    with pytest.raises(ConflictError, match="another has joined under its name"):
        await members.load()
    await say(registry, "n1")
    await members.load()
    with pytest.RaisesGroup(ConflictError) if hasattr(pytest, "RaisesGroup") else pytest.raises(ExceptionGroup):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(members.run)
            await trio.sleep(1)
            await delete(registry, node_key("n1"))


async def test_a_record_of_a_newer_program_changes_nothing(autojump_clock: MockClock) -> None:
    registry = memory_registry(TrioClock())
    members = Members(registry, "n1", "5e")
    await say(registry, "n1")
    await say(registry, "n2")
    await members.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(members.run)
        await trio.sleep(1)
        await put(registry, node_key("n2"), NODE_CODEC.encode(RECORD, version=9))
        await trio.sleep(1)
        assert set(members.others) == {"n2"}
        await say(registry, "n2")
        await say(registry, "n3")
        await trio.sleep(1)
        assert set(members.others) == {"n2", "n3"}
        nursery.cancel_scope.cancel()
