"""Containers and accounts when a write of theirs has an unknown outcome: what is remembered of them is never older than
what is so, and what was written into one stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, DrystoneError, NotFoundError
from store.engine.device import Device, RowReply, RowWrite
from store.engine.row import Flag, index_key
from store.objects import table_cache
from store.objects.model import Container
from store.objects.table_cache import TableCache
from store.ring import ROWS
from tests.replicator.clusters import HEAD, exists, machine_of, opened
from tests.simulation.house import House

Reaches = Callable[[RowWrite, int], bool]


def let_through(house: House, reaches: Reaches) -> Callable[[], None]:
    """Let only these writes reach a device's log; the others fail. Returns what ends it."""
    originals = {number: device.submit_row for number, device in house.devices.items()}

    def wrap(device: Device) -> None:
        submit = originals[device.id]

        def maybe(write: RowWrite, reply: RowReply) -> None:
            if not reaches(write, device.id):
                raise DeviceError("cut off")
            submit(write, reply)

        device.submit_row = maybe  # type: ignore[method-assign]

    for device in house.devices.values():
        wrap(device)

    def end() -> None:
        for number, submit in originals.items():
            house.devices[number].submit_row = submit  # type: ignore[method-assign]

    return end


def row_of(house: House, container: Container) -> tuple[bytes, tuple[int, ...]]:
    tables = house.store.tables
    account = tables._accounts.get("a")
    assert account is not None
    key = house.store.rows.key(account.id, account.shards, container.name.encode())
    return index_key(key), house.store.rows.ring.homes_all(ROWS, key.place)


@pytest.mark.parametrize("home", range(3))
@pytest.mark.parametrize("undone", [True, False], ids=["undone at once", "undone by who comes next"])
async def test_a_container_that_could_not_be_deleted_keeps_what_is_written_into_it(
    autojump_clock: MockClock, home: int, undone: bool
) -> None:
    """The tombstone reached one replica, which is away until an object was acknowledged."""
    async with opened(machine_of(3)) as (house, container):
        await trio.sleep(5)
        await house.store.container("a", "c")
        packed, homes = row_of(house, container)
        deleting = []

        def reaches(write: RowWrite, number: int) -> bool:
            if write.row.flags & Flag.TOMBSTONE:
                deleting.append(number)
                return number == homes[home]
            return undone or not deleting

        end = let_through(house, reaches)
        with pytest.raises(DrystoneError):
            await house.store.delete_container("a", "c")
        end()
        assert await house.devices[homes[home]].find_row(packed) is not None
        house.take_away(homes[home])
        present = await house.store.container("a", "c")
        await house.store.put(present, "o", b"data", HEAD)
        assert await house.bring_back(homes[home])
        await house.settle()
        present = await house.store.container("a", "c")
        assert present.id == container.id
        assert await exists(house.store, present, "o")


@pytest.mark.parametrize("home", range(3))
async def test_headers_of_an_unknown_outcome_are_not_remembered_otherwise(autojump_clock: MockClock, home: int) -> None:
    """An access rule that reached one replica takes effect when that is looked at, also for who had asked before."""
    async with opened(machine_of(3)) as (house, container):
        await trio.sleep(5)
        await house.store.container("a", "c")
        packed, homes = row_of(house, container)
        end = let_through(house, lambda _write, number: number == homes[home])
        with pytest.raises(DrystoneError):
            await house.store.put_container("a", "c", {"read": "nobody"})
        end()
        await house.store.container("a", "c")
        key = house.store.rows.key(house.store.tables._accounts.get("a").id, container.shards, b"c")  # type: ignore[union-attr]
        await house.replicator.restorer.whole(key)
        assert (await house.store.container("a", "c")).headers == {"read": "nobody"}
        assert index_key(key) == packed


async def test_a_container_is_not_remembered_by_who_read_it_before_it_changed(autojump_clock: MockClock) -> None:
    async with opened(machine_of(3)) as (house, _):
        tables = house.store.tables
        tables.forget()
        read = house.store.rows.load
        first = True

        async def slow(*arguments: object, **options: object) -> object:
            nonlocal first
            row = await read(*arguments, **options)  # type: ignore[arg-type]
            if first:
                first = False
                await house.store.put_container("a", "c", {"mark": "new"})
            return row

        house.store.rows.load = slow  # type: ignore[method-assign,assignment]
        await tables.account("a")
        first = True
        await house.store.container("a", "c")
        house.store.rows.load = read  # type: ignore[method-assign]
        assert (await house.store.container("a", "c")).headers == {"mark": "new"}


async def test_more_accounts_than_are_remembered(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_cache, "CACHE_MAX", 3)
    async with opened(machine_of(3)) as (house, _):
        house.store.tables._accounts = TableCache(3)
        for number in range(20):
            await house.store.put_account(f"many {number}", {})
            await house.store.put_container(f"many {number}", "c", {})
        for number in range(20):
            account = await house.store.account(f"many {number}")
            assert (await house.store.account_usage(account)).containers == 1
            assert (await house.store.container(f"many {number}", "c")).shards == 4
        assert len(house.store.tables._accounts._names) == 3


async def test_a_deleted_container_is_gone_everywhere(autojump_clock: MockClock) -> None:
    async with opened(machine_of(3)) as (house, container):
        await house.store.container("a", "c")
        await house.store.delete_container("a", "c")
        with pytest.raises(NotFoundError):
            await house.store.container("a", "c")
        again, made = await house.store.put_container("a", "c", {})
        assert made
        assert again.id != container.id
        await house.store.delete_container("a", "c")
        await house.store.delete_account("a")
        with pytest.raises(NotFoundError):
            await house.store.account("a")
