"""Devices that are full, each by itself: what too few can take is left at none, and everything else goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import FullError, NotFoundError
from store.engine.row import RowKey, index_key
from store.objects.model import Container, ListingQuery, ObjectHead, Policy
from store.objects.rows import prepare
from store.objects.store import DeviceStore
from store.ring import ROWS
from tests.simulation.house import House, Machine, open_house
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.object_checks import check_nothing_left
from tests.simulation.supply import Supply

HEAD = ObjectHead("t")
SMALL, LARGE = b"small", Random(1).randbytes(2 * BLOCK_BYTES)


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[House, Container]]:
    with small_limits():
        async with open_house(Machine(Random(1), 3, (Policy(0, "copies", default=True),)), Supply()) as house:
            await house.store.put_account("a", {})
            yield house, (await house.store.put_container("a", "c", {}))[0]


def fill(house: House, home: int, *, full: bool) -> None:
    device = house.devices[home]
    device._options.reserve_bytes = 1 << 50 if full else 0
    device.look_for_room()


async def write(store: DeviceStore, container: Container, name: str, data: bytes) -> None:
    async with store.upload(container, name) as upload:
        await upload.write(data)
        await upload.commit(HEAD)


async def read(store: DeviceStore, container: Container, name: str) -> bytes:
    async with store.open(container, name) as found:
        return b"".join([bytes(piece) async for piece in found.read()])


async def listed(store: DeviceStore, container: Container) -> list[str]:
    return [entry.name for entry in await store.list_objects(container, ListingQuery(limit=10))]


def homes_of(house: House, container: Container, name: str) -> tuple[RowKey, tuple[int, ...]]:
    key = house.store.rows.key(container.id, container.shards, name.encode())
    return key, tuple(house.store.rows.ring.homes_all(ROWS, key.place))


@pytest.mark.parametrize("roomy", range(3))
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_one_device_with_room_is_not_written_to_alone(autojump_clock: MockClock, data: bytes, roomy: int) -> None:
    async with opened() as (house, container):
        store = house.store
        for name in ("old", "gone"):
            await write(store, container, name, data)
        await trio.sleep(5)
        _, homes = homes_of(house, container, "new")
        for number, home in enumerate(homes):
            fill(house, home, full=number != roomy)
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
        for home in homes:
            fill(house, home, full=False)
        await house.settle()
        assert await listed(store, container) == ["old"]
        assert await read(store, container, "old") == data
        assert (await store.container_usage(container)).bytes == len(data)
        check_nothing_left(house)


@pytest.mark.parametrize("first", range(3))
async def test_what_one_home_has_can_be_read_while_the_others_are_full(autojump_clock: MockClock, first: int) -> None:
    """As a crash leaves it: readers bring it to a quorum, and need room for that."""
    async with opened() as (house, container):
        store = house.store
        await write(store, container, "o", SMALL)
        await trio.sleep(5)
        key, homes = homes_of(house, container, "o")
        packed = index_key(key)
        found = await store.rows.read(key, packed)
        assert found is not None
        row = await store.rows.load(key, packed, found)
        newer = row._replace(stamp=store.rows.stamps.next(row.stamp), payload=b"newer", size=5)
        house.devices[homes[first]].submit_row(prepare(newer, 1, packed), lambda _applied, _error: None)
        await trio.sleep(1)
        for home in homes:
            fill(house, home, full=True)
        sizes = [entry.size for entry in await store.list_objects(container, ListingQuery(limit=10))]  # type: ignore[union-attr]
        assert (await store.head(container, "o")).size == sizes[0]
        await store.delete(container, "o")
        assert await listed(store, container) == []


async def test_devices_that_have_room_at_a_quorum_are_enough(autojump_clock: MockClock) -> None:
    async with opened() as (house, container):
        _, homes = homes_of(house, container, "o")
        fill(house, homes[1], full=True)
        await write(house.store, container, "o", SMALL)
        assert await read(house.store, container, "o") == SMALL
        fill(house, homes[1], full=False)
        await house.settle()
        packed = index_key(homes_of(house, container, "o")[0])
        assert await house.devices[homes[1]].find_row(packed) is not None


async def test_what_a_full_home_misses_does_not_go_into_its_reserve(autojump_clock: MockClock) -> None:
    """Reads and listings see the difference, and have a quorum without it."""
    async with opened() as (house, container):
        _, homes = homes_of(house, container, "0")
        await trio.sleep(5)
        full = house.devices[homes[0]]
        fill(house, homes[0], full=True)
        records = full._committer.records
        for number in range(10):
            await write(house.store, container, str(number), SMALL)
            assert await read(house.store, container, str(number)) == SMALL
        assert len(await listed(house.store, container)) == 10
        await trio.sleep(5)
        assert full._committer.records == records


@pytest.mark.parametrize("late", range(3))
async def test_the_mark_goes_of_an_upload_whose_commit_a_full_home_did_not_take(
    autojump_clock: MockClock, late: int
) -> None:
    async with opened() as (house, container):
        _, homes = homes_of(house, container, "o")
        async with house.store.upload(container, "o") as upload:
            await upload.write(LARGE)
            fill(house, homes[late], full=True)
            await upload.commit(HEAD)
        fill(house, homes[late], full=False)
        await house.settle()
        assert await read(house.store, container, "o") == LARGE
        assert [await device.uploads(b"", 10) for device in house.devices.values()] == [[], [], []]
        check_nothing_left(house)
