"""Containers and accounts when a write of theirs has an unknown outcome: what is remembered of them is never older than
what is so, and what was written into one stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import ConflictError, DeviceError, DrystoneError, NotFoundError
from store.device.port import RowReply, RowWrite
from store.device.row import Flag, index_key
from store.engine.device import Device
from store.objects import table_cache
from store.objects.model import Container
from store.objects.table_cache import TableCache
from store.ring import ROWS
from tests.replicator.clusters import HEAD, another, exists, media_of, opened
from tests.simulation.node import SimNode

Reaches = Callable[[RowWrite, int], bool]


def let_through(node: SimNode, reaches: Reaches) -> Callable[[], None]:
    """Let only these writes reach a device's log; the others fail. Returns what ends it."""
    originals = {number: device.submit_row for number, device in node.devices.items()}

    def wrap(device: Device) -> None:
        submit = originals[device.id]

        def maybe(write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
            if not reaches(write, device.id):
                raise DeviceError("cut off")
            submit(write, reply, reserve=reserve)

        device.submit_row = maybe  # type: ignore[method-assign]

    for device in node.devices.values():
        wrap(device)

    def end() -> None:
        for number, submit in originals.items():
            node.devices[number].submit_row = submit  # type: ignore[method-assign]

    return end


def row_of(node: SimNode, container: Container) -> tuple[bytes, tuple[int, ...]]:
    tables = node.store.tables
    account = tables._accounts.get("a")
    assert account is not None
    key = node.store.rows.key(account.id, account.shards, container.name.encode())
    return index_key(key), node.store.rows.ring.replicas_all(ROWS, key.ring_hash)


@pytest.mark.parametrize("replica", range(3))
@pytest.mark.parametrize("undone", [True, False], ids=["undone at once", "undone by who comes next"])
async def test_a_container_that_could_not_be_deleted_keeps_what_is_written_into_it(
    autojump_clock: MockClock, replica: int, undone: bool
) -> None:
    """The tombstone reached one replica, which is away until an object was acknowledged."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        await node.store.container("a", "c")
        packed, replicas = row_of(node, container)
        deleting = []

        def reaches(write: RowWrite, number: int) -> bool:
            if write.row.flags & Flag.TOMBSTONE:
                deleting.append(number)
                return number == replicas[replica]
            return undone or not deleting

        end = let_through(node, reaches)
        with pytest.raises(DrystoneError):
            await node.store.delete_container("a", "c")
        end()
        assert await node.devices[replicas[replica]].find_row(packed) is not None
        node.take_away(replicas[replica])
        present = await node.store.container("a", "c")
        await node.store.put(present, "o", b"data", HEAD)
        assert await node.bring_back(replicas[replica])
        await node.run_daemons()
        present = await node.store.container("a", "c")
        assert present.id == container.id
        assert await exists(node.store, present, "o")


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "one of many"])
@pytest.mark.parametrize("full", [True, False], ids=["not empty", "empty"])
async def test_who_writes_while_a_container_is_deleted_waits_for_what_becomes_of_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, *, alone: bool, full: bool
) -> None:
    """It may stay, and then nobody is told that there was none."""
    async with opened(media_of(3)) as (node, container):
        store = node.store if alone else another(node, 7)
        if full:
            await store.put(container, "o", b"data", HEAD)
        check, done = store.tables._check_empty, list[str]()

        async def slowly(table: bytes, shards: int, what: str) -> None:
            monkeypatch.undo()
            nursery.start_soon(changing)
            await trio.sleep(5)
            assert done == []
            await check(table, shards, what)

        async def deleting() -> None:
            try:
                await store.delete_container("a", "c")
            except ConflictError:
                done.append("it stays")

        async def changing() -> None:
            try:
                await store.put(container, "o", b"more", HEAD)
                done.append("written")
            except NotFoundError:
                done.append("gone")

        monkeypatch.setattr(store.tables, "_check_empty", slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deleting)
        assert sorted(done) == (["it stays", "written"] if full else ["gone"])


async def test_a_container_is_made_in_an_account_that_could_not_be_deleted(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, _):
        check = node.store.tables._check_empty

        async def slowly(table: bytes, shards: int, what: str) -> None:
            monkeypatch.undo()
            nursery.start_soon(node.store.put_container, "a", "new", {})
            await trio.sleep(5)
            await check(table, shards, what)

        monkeypatch.setattr(node.store.tables, "_check_empty", slowly)
        async with trio.open_nursery() as nursery:
            with pytest.raises(ConflictError):
                await node.store.delete_account("a")
        assert (await node.store.container("a", "new")).name == "new"


@pytest.mark.parametrize("replica", range(3))
async def test_headers_of_an_unknown_outcome_are_not_remembered_otherwise(
    autojump_clock: MockClock, replica: int
) -> None:
    """An access rule that reached one replica takes effect when that is looked at, also for who had asked before."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        await node.store.container("a", "c")
        packed, replicas = row_of(node, container)
        end = let_through(node, lambda _write, number: number == replicas[replica])
        with pytest.raises(DrystoneError):
            await node.store.put_container("a", "c", {"read": "nobody"})
        end()
        await node.store.container("a", "c")
        key = node.store.rows.key(node.store.tables._accounts.get("a").id, container.shards, b"c")  # type: ignore[union-attr]
        await node.replicator.restorer.whole(key)
        assert (await node.store.container("a", "c")).headers == {"read": "nobody"}
        assert index_key(key) == packed


async def test_a_container_is_not_remembered_by_who_read_it_before_it_changed(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        tables = node.store.tables
        tables.forget()
        read = node.store.rows.load
        first = True

        async def slow(*arguments: object, **options: object) -> object:
            nonlocal first
            row = await read(*arguments, **options)  # type: ignore[arg-type]
            if first:
                first = False
                await node.store.put_container("a", "c", {"mark": "new"})
            return row

        node.store.rows.load = slow  # type: ignore[method-assign,assignment]
        await tables.account("a")
        first = True
        await node.store.container("a", "c")
        node.store.rows.load = read  # type: ignore[method-assign]
        assert (await node.store.container("a", "c")).headers == {"mark": "new"}


async def test_more_accounts_than_are_remembered(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_cache, "CACHE_MAX", 3)
    async with opened(media_of(3)) as (node, _):
        node.store.tables._accounts = TableCache(3)
        for number in range(20):
            await node.store.put_account(f"many {number}", {})
            await node.store.put_container(f"many {number}", "c", {})
        for number in range(20):
            account = await node.store.account(f"many {number}")
            assert (await node.store.account_usage(account)).containers == 1
            assert (await node.store.container(f"many {number}", "c")).shards == 4
        assert len(node.store.tables._accounts._names) == 3


async def test_a_deleted_container_is_gone_everywhere(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await node.store.container("a", "c")
        await node.store.delete_container("a", "c")
        with pytest.raises(NotFoundError):
            await node.store.container("a", "c")
        again, made = await node.store.put_container("a", "c", {})
        assert made
        assert again.id != container.id
        await node.store.delete_container("a", "c")
        await node.store.delete_account("a")
        with pytest.raises(NotFoundError):
            await node.store.account("a")
