"""`NetworkStore` where the registry tells of changes late, in parts, or not at all: what is read is of one moment, and
all processes come to the same."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.store import NetworkStore
from compute_plugin.tables import store as stores
from store.core.errors import RetryableError
from store.registry import (
    CompactedError,
    Compare,
    Event,
    Item,
    Operation,
    OutcomeUnknownError,
    Registry,
    Span,
    TransactionResult,
    memory_registry,
)
from tests.gateway_rest.doubtful_registry import lose_answer, puts
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.twins.clock import ManualClock

IDS = ("a", "b", "c", "d")


def network(id_: str, number: int) -> Network:
    return Network(id=id_, project_id="blue", mtu=1450, network_type="vxlan", segmentation_id=number)


def numbers(records: Records) -> dict[str, int | None]:
    return {one.id: one.segmentation_id for one in records.networks}


def set_all(records: Records) -> int:
    """All of them get the next number, or none is there any more."""
    held = max((one.segmentation_id or 0 for one in records.networks if one.id in IDS), default=0)
    for id_ in IDS:
        records.networks.put(network(id_, held + 1))
    return held + 1


def drop_all(records: Records) -> None:
    for id_ in IDS:
        records.networks.delete(id_)


def change_some(chance: random.Random) -> Callable[[Records], None]:
    """Of others, each for itself."""

    def step(records: Records) -> None:
        for id_ in chance.sample(("w", "x", "y", "z"), 2):
            if chance.random() < 0.5:
                records.networks.put(network(id_, chance.randrange(10**6)))
            else:
                records.networks.delete(id_)

    return step


def open_gate() -> trio.Event:
    gate = trio.Event()
    gate.set()
    return gate


class Slow(MortalRegistry):
    """Of one process: its watch and its pages come when they come."""

    def __init__(self, registry: Registry, chance: random.Random) -> None:
        super().__init__(registry)
        self._chance = chance
        self.gate = open_gate()
        """Of events."""
        self.answers = open_gate()
        self.breaks = 0.0

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        await self._wait()
        return await super().range(span, limit=limit, reverse=reverse)

    async def transact(
        self, compares: Sequence[Compare], on_success: Sequence[Operation], on_failure: Sequence[Operation] = ()
    ) -> TransactionResult:
        result = await super().transact(compares, on_success, on_failure)
        await self._wait()
        await self.answers.wait()
        return result

    @asynccontextmanager
    async def _watch(self, span: Span, from_revision: int) -> AsyncIterator[AsyncIterator[Event]]:
        async with super().watch(span, from_revision) as events:
            yield self._late(events)

    def watch(self, span: Span, from_revision: int = 0):  # type: ignore[no-untyped-def]
        return self._watch(span, from_revision)

    async def _late(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in events:
            await self.gate.wait()
            await self._wait()
            if self._chance.random() < self.breaks:
                raise CompactedError("they are no longer kept")
            yield event

    async def _wait(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def slow_stores(count: int, seed: int) -> AsyncIterator[list[tuple[NetworkStore, Slow]]]:
    chance, held = random.Random(seed), memory_registry(ManualClock())  # a test's seed
    async with trio.open_nursery() as nursery:
        found = []
        for _ in range(count):
            registry = Slow(held, chance)
            store = NetworkStore(registry)
            await nursery.start(store.run)
            found.append((store, registry))
        yield found
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("breaks", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(20))
async def test_what_is_read_is_of_one_moment_and_all_come_to_the_same(
    seed: int, breaks: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the watch brings a change of the process's own in part before its answer is there."""
    monkeypatch.setattr(stores, "PAGE", 1)
    chance = random.Random(seed)
    async with slow_stores(3, seed) as held, trio.open_nursery() as nursery:
        for _, registry in held:
            registry.breaks = breaks

        async def write(store: NetworkStore) -> None:
            for _ in range(15):
                await store.change(chance.choice((drop_all, set_all, change_some(chance), change_some(chance))))

        async def read(store: NetworkStore) -> None:
            for _ in range(60):
                found = {one: held for one, held in numbers(await store.fresh()).items() if one in IDS}
                assert len(found) in (0, len(IDS)), found
                assert len(set(found.values())) <= 1, found
                for _ in range(chance.randrange(5)):
                    await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as busy:
            for store, _ in held:
                busy.start_soon(write, store)
                busy.start_soon(read, store)
        new = NetworkStore(held[0][1])
        await nursery.start(new.run)
        for store, _ in held:
            assert numbers(await store.fresh()) == numbers(await new.fresh())
            assert len(store.records.networks.by("project", "blue")) == len(new.records.networks)
        nursery.cancel_scope.cancel()


async def test_what_came_in_part_of_an_own_change_is_not_done_again_later() -> None:
    """The watch brings the first record of a change before its answer is there, and the rest after."""
    async with slow_stores(2, 0) as ((one, registry), (other, _)), trio.open_nursery() as nursery:
        registry.gate, registry.answers = trio.Event(), trio.Event()
        nursery.start_soon(one.change, set_all)
        await trio.testing.wait_all_tasks_blocked()
        registry.gate.set()
        registry.gate = trio.Event()
        await trio.testing.wait_all_tasks_blocked()
        registry.answers.set()
        await one.change(drop_all)
        registry.gate.set()
        await other.change(lambda records: records.networks.put(network("z", 9)))
        assert numbers(await one.fresh()) == {"z": 9}


async def test_who_does_not_hear_of_a_change_answers_nothing_old() -> None:
    async with slow_stores(2, 0) as ((one, registry), (other, _)):
        registry.gate = trio.Event()
        await other.change(set_all)
        with trio.move_on_after(0.05) as scope:
            await one.fresh()
        assert scope.cancelled_caught
        registry.gate.set()
        assert numbers(await one.fresh()) == dict.fromkeys(IDS, 1)


async def test_who_hears_nothing_for_long_says_that_it_cannot(autojump_clock: trio.testing.MockClock) -> None:
    async with slow_stores(2, 0) as ((one, registry), (other, _)):
        registry.gate = trio.Event()
        await other.change(set_all)
        with pytest.raises(RetryableError):
            await one.fresh()
        with pytest.raises(RetryableError):
            await one.change(set_all)
        assert await other.change(set_all) == 2


async def test_a_change_whose_answer_is_lost_is_there_or_not_but_never_twice() -> None:
    async with slow_stores(2, 0) as ((one, registry), (other, _)):
        lose_answer(registry, puts(b"network/"))
        with pytest.raises(OutcomeUnknownError):
            await one.change(set_all)
        assert numbers(await one.fresh()) == numbers(await other.fresh()) == dict.fromkeys(IDS, 1)
        assert await one.change(set_all) == 2


@pytest.mark.parametrize("answered", [True, False])
async def test_a_process_that_dies_in_a_change_leaves_all_of_it_or_nothing(answered: bool) -> None:
    held = memory_registry(ManualClock())
    async with trio.open_nursery() as nursery:
        mortal = MortalRegistry(held, 1, answered=answered)
        one, other = NetworkStore(mortal), NetworkStore(held)
        await nursery.start(one.run)
        await nursery.start(other.run)
        await one.change(set_all)
        with pytest.raises(DeadError):
            await one.change(set_all)
        assert numbers(await other.fresh()) == dict.fromkeys(IDS, 1 if answered else 2)
        nursery.cancel_scope.cancel()
