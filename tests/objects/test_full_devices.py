"""Devices that are full, each by itself: what too few can take is left at none, and everything else goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import FullError, NotFoundError, QuorumError
from store.device.row import RowKey, index_key
from store.objects.model import Container, ListingQuery, ObjectHead, Policy
from store.objects.rows import prepare
from store.objects.store import DeviceStore
from store.ring import ROWS
from tests.device.delayed import DelayedDevice, late
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import check_nothing_left

HEAD = ObjectHead("t")
SMALL, LARGE = b"small", Random(1).randbytes(2 * BLOCK_BYTES)


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[SimNode, Container]]:
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, (Policy(0, "copies", default=True),)), CrashPoint()) as node:
            await node.store.put_account("a", {})
            yield node, (await node.store.put_container("a", "c", {}))[0]


async def fill(node: SimNode, replica: int, *, full: bool) -> None:
    """Have it full, or not, and everybody know."""
    device = node.devices[replica]
    device._options.reserve_bytes = 1 << 50 if full else 0
    device.room.look()
    await trio.sleep(1.0)


async def write(store: DeviceStore, container: Container, name: str, data: bytes) -> None:
    async with store.upload(container, name) as upload:
        await upload.write(data)
        await upload.commit(HEAD)


async def read(store: DeviceStore, container: Container, name: str) -> bytes:
    async with store.open(container, name) as found:
        return b"".join([bytes(piece) async for piece in found.read()])


async def listed(store: DeviceStore, container: Container) -> list[str]:
    return [entry.name for entry in await store.list_objects(container, ListingQuery(limit=10))]


def replicas_of(node: SimNode, container: Container, name: str) -> tuple[RowKey, tuple[int, ...]]:
    key = node.store.rows.key(container.id, container.shards, name.encode())
    return key, tuple(node.store.rows.ring.replicas_all(ROWS, key.ring_hash))


@pytest.mark.parametrize("roomy", range(3))
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_one_device_with_room_is_not_written_to_alone(autojump_clock: MockClock, data: bytes, roomy: int) -> None:
    async with opened() as (node, container):
        store = node.store
        for name in ("old", "gone"):
            await write(store, container, name, data)
        await trio.sleep(5)
        _, replicas = replicas_of(node, container, "new")
        for number, replica in enumerate(replicas):
            await fill(node, replica, full=number != roomy)
        for name in ("new", "old"):
            with pytest.raises(FullError):
                await write(store, container, name, data * 2)
        with pytest.raises(FullError):
            await store.update(container, "old", lambda info: info.head)
        assert await read(store, container, "old") == data
        with pytest.raises(NotFoundError):
            await store.head(container, "new")
        assert await listed(store, container) == ["gone", "old"]
        await store.delete(container, "gone")
        for replica in replicas:
            await fill(node, replica, full=False)
        await node.run_daemons()
        assert await listed(store, container) == ["old"]
        assert await read(store, container, "old") == data
        assert (await store.container_usage(container)).bytes == len(data)
        check_nothing_left(node)


@pytest.mark.parametrize("first", range(3))
async def test_what_one_replica_has_can_be_read_while_the_others_are_full(
    autojump_clock: MockClock, first: int
) -> None:
    """As a crash leaves it: readers bring it to a quorum, and need room for that."""
    async with opened() as (node, container):
        store = node.store
        await write(store, container, "o", SMALL)
        await trio.sleep(5)
        key, replicas = replicas_of(node, container, "o")
        packed = index_key(key)
        found = await store.rows.read(key, packed)
        assert found is not None
        row = await store.rows.load(key, packed, found)
        newer = row._replace(stamp=store.rows.stamps.next(row.stamp), payload=b"newer", size=5)
        node.devices[replicas[first]].submit_row(prepare(newer, 1, packed), lambda _applied, _error: None)
        await trio.sleep(1)
        for replica in replicas:
            await fill(node, replica, full=True)
        sizes = [entry.size for entry in await store.list_objects(container, ListingQuery(limit=10))]  # type: ignore[union-attr]
        assert (await store.head(container, "o")).size == sizes[0]
        await store.delete(container, "o")
        assert await listed(store, container) == []


class OldNews(DelayedDevice):
    """It is elsewhere, and was heard of last when it had room."""

    @property
    def full(self) -> bool:
        return False


@pytest.mark.at_once("answers late by itself")
@pytest.mark.parametrize("roomy", range(3))
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_what_one_replica_has_taken_before_others_refused_is_brought_to_them_when_they_have_room(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, roomy: int, large: bool
) -> None:
    monkeypatch.setattr(SimMedia, "port", staticmethod(lambda device: OldNews(device, late(device.id))))
    data = LARGE if large else SMALL
    async with opened() as (node, container):
        store = node.store
        await write(store, container, "o", b"old")
        await trio.sleep(5)
        _, replicas = replicas_of(node, container, "o")
        with pytest.raises(QuorumError):  # not FullError: it is somewhere  # noqa: PT012
            async with store.upload(container, "o") as upload:
                await upload.write(data)
                await upload.digest()
                for number, replica in enumerate(replicas):
                    await fill(node, replica, full=number != roomy)
                await upload.commit(HEAD)
        await trio.sleep(60)
        seen = await read(store, container, "o")
        assert seen in (b"old", data)
        for replica in replicas:
            await fill(node, replica, full=False)
        await trio.sleep(200)
        assert await read(store, container, "o") == data, "where one has it, it has happened"
        packed = index_key(replicas_of(node, container, "o")[0])
        assert len({await node.devices[replica].find_stamp(packed) for replica in replicas}) == 1
        await node.run_daemons()
        check_nothing_left(node)


async def test_devices_that_have_room_at_a_quorum_are_enough(autojump_clock: MockClock) -> None:
    async with opened() as (node, container):
        _, replicas = replicas_of(node, container, "o")
        await fill(node, replicas[1], full=True)
        await write(node.store, container, "o", SMALL)
        assert await read(node.store, container, "o") == SMALL
        await fill(node, replicas[1], full=False)
        await node.run_daemons()
        packed = index_key(replicas_of(node, container, "o")[0])
        assert await node.devices[replicas[1]].find_row(packed) is not None


async def test_what_a_full_replica_misses_does_not_go_into_its_reserve(autojump_clock: MockClock) -> None:
    """Reads and listings see the difference, and have a quorum without it."""
    async with opened() as (node, container):
        _, replicas = replicas_of(node, container, "0")
        await trio.sleep(5)
        full = node.devices[replicas[0]]
        await fill(node, replicas[0], full=True)
        records = full._committer.records
        for number in range(10):
            await write(node.store, container, str(number), SMALL)
            assert await read(node.store, container, str(number)) == SMALL
        assert len(await listed(node.store, container)) == 10
        await trio.sleep(5)
        assert full._committer.records == records


@pytest.mark.parametrize("late", range(3))
async def test_the_mark_goes_of_an_upload_whose_commit_a_full_replica_did_not_take(
    autojump_clock: MockClock, late: int
) -> None:
    async with opened() as (node, container):
        _, replicas = replicas_of(node, container, "o")
        async with node.store.upload(container, "o") as upload:
            await upload.write(LARGE)
            await fill(node, replicas[late], full=True)
            await upload.commit(HEAD)
        await fill(node, replicas[late], full=False)
        await node.run_daemons()
        assert await read(node.store, container, "o") == LARGE
        assert [await device.uploads(b"", 10) for device in node.devices.values()] == [[], [], []]
        check_nothing_left(node)


async def test_a_full_device_is_full_until_there_is_room(autojump_clock: MockClock) -> None:
    async with opened() as (node, _):
        states = [node.devices[0].full]
        await fill(node, 0, full=True)
        states.append(node.devices[0].full)
        node.devices[0]._options.reserve_bytes = 0
        states.append(node.devices[0].full)
        assert states == [False, True, False]
