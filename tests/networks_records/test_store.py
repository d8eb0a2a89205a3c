"""`NetworkStore`: what was answered is what everybody sees, and nothing is given out twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from compute_plugin.networks.errors import MissingError
from compute_plugin.networks.records.network import NETWORK_CODEC, Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.store import NetworkStore
from store.core.errors import RetryableError
from store.registry import Put, Registry, memory_registry
from tests.twins.clock import ManualClock


def network(id_: str, number: int = 1) -> Network:
    return Network(id=id_, project_id="blue", mtu=1450, network_type="vxlan", segmentation_id=number)


@asynccontextmanager
async def stores(count: int, registry: Registry | None = None) -> AsyncIterator[list[NetworkStore]]:
    """Of so many processes."""
    held = registry or memory_registry(ManualClock())
    async with trio.open_nursery() as nursery:
        found = [NetworkStore(held) for _ in range(count)]
        for one in found:
            await nursery.start(one.run)
        yield found
        nursery.cancel_scope.cancel()


def take_free_number(id_: str) -> Callable[[Records], int]:
    def step(records: Records) -> int:
        taken = {one.segmentation_id for one in records.networks}
        number = next(one for one in range(1, 1000) if one not in taken)
        records.networks.put(network(id_, number))
        return number

    return step


async def test_what_one_process_wrote_another_reads_at_once() -> None:
    async with stores(2) as (one, other):
        await one.change(lambda records: records.networks.put(network("a")))
        assert (await other.fresh()).networks.require("a").segmentation_id == 1
        await other.change(lambda records: records.networks.delete("a"))
        with pytest.raises(MissingError):
            (await one.fresh()).networks.require("a")


async def test_processes_at_once_never_take_the_same() -> None:
    async with stores(3) as held, trio.open_nursery() as nursery:
        taken: list[int] = []

        async def take(store: NetworkStore, id_: str) -> None:
            taken.append(await store.change(take_free_number(id_)))

        for at in range(60):
            nursery.start_soon(take, held[at % 3], f"n{at}")
    assert sorted(taken) == list(range(1, 61))


async def test_a_change_that_raises_leaves_nothing() -> None:
    def step(records: Records) -> None:
        records.networks.put(network("a"))
        records.networks.require("b")

    async with stores(2) as (one, other):
        with pytest.raises(MissingError):
            await one.change(step)
        assert len((await other.fresh()).networks) == 0
        assert len((await one.fresh()).networks) == 0


async def test_a_process_that_starts_knows_all_and_its_indexes_follow() -> None:
    registry = memory_registry(ManualClock())
    async with stores(1, registry) as (one,):
        for at in range(5):
            await one.change(take_free_number(f"n{at}"))
        async with stores(1, registry) as (later,):
            assert len(later.records.networks.by("project", "blue")) == 5
            await one.change(lambda records: records.networks.delete("n3"))
            left = (await later.fresh()).networks.by("project", "blue")
            assert [each.id for each in left] == ["n0", "n1", "n2", "n4"]


async def test_a_change_sees_what_it_wrote_and_hides_what_it_deleted() -> None:
    def make(records: Records) -> None:
        records.networks.put(network("a", 1))
        records.networks.put(network("b", 2))

    def step(records: Records) -> tuple[int, bool, list[str]]:
        records.networks.delete("a")
        records.networks.put(network("c", 3))
        is_taken = records.networks.has("segment", ("vxlan", None, 1))
        return len(records.networks), is_taken, [one.id for one in records.networks.by("project", "blue")]

    async with stores(1) as (one,):
        await one.change(make)
        assert await one.change(step) == (2, False, ["b", "c"])


async def test_where_a_newer_program_wrote_nothing_is_changed() -> None:
    registry = memory_registry(ManualClock())
    await registry.transact((), [Put(b"network/network/z", b"\x91\x63"), Put(b"network/~latest", b"")])
    async with stores(1, registry) as (one,):
        with pytest.raises(RetryableError):
            await one.change(lambda records: records.networks.put(network("a")))
        await registry.transact((), [Put(b"network/network/z", network_bytes("z")), Put(b"network/~latest", b"")])
        await one.change(lambda records: records.networks.put(network("a")))
        assert len(one.records.networks) == 2


def network_bytes(id_: str) -> bytes:
    return NETWORK_CODEC.encode(network(id_))
