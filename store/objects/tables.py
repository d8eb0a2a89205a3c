"""Accounts and containers: rows that name tables.

The root table holds accounts, an account's table holds its containers, a container's table its objects. A table's id is
new each time its row is made, so what is left of a deleted one is never seen in its successor, and its number of hash
shards is fixed when it is made.

A container's row is looked up for every request, so rows once read are remembered; every change to one goes through
here, which keeps the memory exact as long as one process serves them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from types import TracebackType
from typing import Generic, TypeVar

import trio

from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.core.stamp import ZERO, Stamp
from store.engine.row import Flag, IndexRow, Row, RowKey, index_key
from store.objects.interface import HeaderChanges
from store.objects.listing import Folded, list_table
from store.objects.model import Account, Container, ContainerEntry, Headers, ListingQuery, Policy, Subdir, Usage
from store.objects.rowcodec import TableSummary, decode_headers, decode_table, encode_headers, encode_table
from store.objects.rows import Rows

ROOT = bytes(16)
ROOT_SHARDS = 16
"""Accounts are spread over so many shards: part of the format, since it can never change."""
SHARDS_SMALL, SHARDS_LARGE, SMALL_DEVICES = 4, 16, 8
"""A new table has 4 shards in a ring of up to 8 devices, else 16: each shard lives on three devices, and each costs a
listing one more range read."""
CACHE_MAX = 50_000

K = TypeVar("K")
T = TypeVar("T")


class Tables:
    """Accounts and containers, by name."""

    def __init__(self, rows: Rows, clock: Clock, random: Random, policies: dict[int, Policy]) -> None:
        self._rows = rows
        self._clock = clock
        self._random = random
        self._policies = policies
        self._accounts: _Cache[str, Account] = _Cache()
        self._containers: _Cache[tuple[str, str], Container] = _Cache()
        self._shards: dict[bytes, int] = {}
        self._writers: Counter[bytes] = Counter()
        self._closing: dict[bytes, trio.Event] = {}

    # -- accounts ------------------------------------------------------------------------------------------------

    async def account(self, name: str) -> Account:
        known = self._accounts.get(name)
        if known is None:
            key = self._rows.key(ROOT, ROOT_SHARDS, _packed_name(name))
            known = self._accounts.put(name, _account(name, await self._live_row(key, f"account {name}")))
        return known

    async def put_account(self, name: str, headers: HeaderChanges) -> tuple[Account, bool]:
        key = self._rows.key(ROOT, ROOT_SHARDS, _packed_name(name))

        row, made = await self._put(key, headers, 0)
        return self._accounts.put(name, _account(name, row)), made

    async def delete_account(self, name: str) -> None:
        account = await self.account(name)
        key = self._rows.key(ROOT, ROOT_SHARDS, _packed_name(name))
        await self._delete(key, account.id, self._shards[account.id], f"account {name}")
        self._accounts.drop(name)

    async def account_usage(self, account: Account) -> Usage:
        """Sums over all containers: as exact as these, and as slow as they are many."""
        containers = 0
        totals: dict[int, tuple[int, int]] = {}
        query = ListingQuery(limit=1000)
        while True:
            page = await list_table(self._rows, account.id, self._shards[account.id], query, 0)
            for row in page:
                assert isinstance(row, IndexRow)
                containers += 1
                table = decode_table(row.summary, Stamp.unpack(row.stamp))
                for policy, (count, size) in (await self._rows.usage(table.id, table.shards)).items():
                    before = totals.get(policy, (0, 0))
                    totals[policy] = (before[0] + count, before[1] + size)
            if len(page) < query.limit:
                break
            query = ListingQuery(limit=query.limit, marker=page[-1].name.decode())
            await trio.lowlevel.checkpoint()
        return _usage(totals, containers)

    async def list_containers(self, account: Account, query: ListingQuery) -> list[ContainerEntry | Subdir]:
        page = await list_table(self._rows, account.id, self._shards[account.id], query, 0)
        entries: list[ContainerEntry | Subdir] = []
        for row in page:
            if isinstance(row, Folded):
                entries.append(Subdir(row.name.decode()))
                continue
            stamp = Stamp.unpack(row.stamp)
            table = decode_table(row.summary, stamp)
            usage = _usage(await self._rows.usage(table.id, table.shards))
            entries.append(ContainerEntry(row.name.decode(), usage, stamp, row.policy))
        return entries

    # -- containers ----------------------------------------------------------------------------------------------

    async def container(self, account: str, name: str) -> Container:
        known = self._containers.get((account, name))
        if known is None:
            key = await self._container_key(account, name)
            row = await self._live_row(key, f"container {name}")
            known = self._containers.put((account, name), _container(account, name, row))
        return known

    async def put_container(
        self, account: str, name: str, headers: HeaderChanges, policy: int | None
    ) -> tuple[Container, bool]:
        if policy is not None and policy not in self._policies:
            raise InvalidError(f"there is no storage policy {policy}")
        key = await self._container_key(account, name)
        default = next(each.index for each in self._policies.values() if each.default)

        with self._writing_to((await self.account(account)).id):
            row, made = await self._put(key, headers, default if policy is None else policy)
        if policy is not None and row.policy != policy:
            raise ConflictError(f"container {name} exists under another storage policy")
        return self._containers.put((account, name), _container(account, name, row)), made

    async def delete_container(self, account: str, name: str) -> None:
        container = await self.container(account, name)
        key = await self._container_key(account, name)
        await self._delete(key, container.id, container.shards, f"container {name}")
        self._containers.drop((account, name))

    async def container_usage(self, container: Container) -> Usage:
        return _usage(await self._rows.usage(container.id, container.shards))

    async def _container_key(self, account: str, name: str) -> RowKey:
        owner = await self.account(account)
        return self._rows.key(owner.id, self._shards[owner.id], _packed_name(name))

    # -- writing below a table -----------------------------------------------------------------------------------

    async def begin_writing(self, container: Container) -> _Writing:
        """Hold a container open for a write below it, as a context. NotFoundError if it is gone, or made anew since."""
        present = self._containers.get((container.account, container.name))
        if present is None:
            present = await self.container(container.account, container.name)
        if present.id != container.id:
            raise NotFoundError(f"container {container.name} was deleted")
        return self._writing_to(container.id)

    def _writing_to(self, table: bytes) -> _Writing:
        if table in self._closing:
            raise NotFoundError("it is being deleted")
        return _Writing(self._writers, self._closing, table)

    # -- rows ----------------------------------------------------------------------------------------------------

    async def _live_row(self, key: RowKey, what: str) -> Row:
        packed = index_key(key)
        found = await self._rows.read(key, packed)
        if found is None or not found.row.live:
            raise NotFoundError(f"there is no {what}")
        row = await self._rows.load(key, packed, found)
        self._remember(row)
        return row

    def _remember(self, row: Row) -> None:
        table = decode_table(row.summary, row.stamp)
        self._shards[table.id] = table.shards
        if len(self._shards) > 2 * CACHE_MAX:
            self._shards.clear()
            self._accounts.clear()

    async def _put(self, key: RowKey, changes: HeaderChanges, policy: int) -> tuple[Row, bool]:
        """Make the row or change its headers; the flag says whether it was made."""
        packed = index_key(key)
        async with self._rows.turn(packed):
            found = await self._rows.read(key, packed)
            if found is None or not found.row.live:
                stamp = Stamp.unpack(found.row.stamp) if found is not None else ZERO
                made = self._rows.stamps.next(stamp)
                table = TableSummary(self._random.bytes(16), self._new_shards(), made)
                detail = encode_headers(_merged({}, changes))
                row = Row(key, made, 0, policy, 0, 0, b"", encode_table(table, ZERO), detail, b"")
                row, _ = await self._rows.write_next(row, packed)
                self._remember(row)
                return row, True
            before = await self._rows.load(key, packed, found)
            headers = decode_headers(before.detail)
            merged = _merged(headers, changes)
            if merged == headers:
                self._remember(before)
                return before, False
            row, _ = await self._rows.write_next(before._replace(detail=encode_headers(merged), payload=b""), packed)
            self._remember(row)
            return row, False

    async def _delete(self, key: RowKey, table: bytes, shards: int, what: str) -> None:
        """Remove a table's row once nothing is in the table and nobody writes to it."""
        packed = index_key(key)
        async with self._rows.turn(packed):
            if table in self._closing:
                raise ConflictError(f"{what} is being deleted")
            idle = self._closing[table] = trio.Event()
            try:
                if table in self._writers:
                    await idle.wait()
                if await list_table(self._rows, table, shards, ListingQuery(limit=1), self._clock_seconds()):
                    raise ConflictError(f"{what} is not empty")
                found = await self._rows.read(key, packed)
                if found is None or not found.row.live:
                    raise NotFoundError(f"there is no {what}")
                stamp = Stamp.unpack(found.row.stamp)
                tombstone = Row(key, stamp, Flag.TOMBSTONE, found.row.policy, 0, 0, b"", b"", b"", b"")
                await self._rows.write_next(tombstone, packed)
            finally:
                del self._closing[table]

    def _new_shards(self) -> int:
        return SHARDS_SMALL if len(self._rows.devices) <= SMALL_DEVICES else SHARDS_LARGE

    def _clock_seconds(self) -> int:
        return self._clock.wall_us() // 1_000_000

    def forget(self) -> None:
        """Forget what was read: for when rows were changed behind our back."""
        self._accounts.clear()
        self._containers.clear()


class _Writing:
    """Counts one writer of a table; the last one out tells whoever waits to delete it."""

    __slots__ = ("_closing", "_table", "_writers")

    def __init__(self, writers: Counter[bytes], closing: dict[bytes, trio.Event], table: bytes) -> None:
        self._writers = writers
        self._closing = closing
        self._table = table

    def __enter__(self) -> None:
        self._writers[self._table] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writers[self._table] -= 1
        if not self._writers[self._table]:
            del self._writers[self._table]
            if self._table in self._closing:
                self._closing[self._table].set()


class _Cache(Generic[K, T]):
    """Remembers the most recently read."""

    def __init__(self) -> None:
        self._entries: OrderedDict[K, T] = OrderedDict()

    def get(self, key: K) -> T | None:
        return self._entries.get(key)

    def put(self, key: K, value: T) -> T:
        self._entries[key] = value
        if len(self._entries) > CACHE_MAX:
            self._entries.popitem(last=False)
        return value

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()


def _account(name: str, row: Row) -> Account:
    table = decode_table(row.summary, row.stamp)
    return Account(name, table.id, table.created, row.stamp, decode_headers(row.detail))


def _container(account: str, name: str, row: Row) -> Container:
    table = decode_table(row.summary, row.stamp)
    return Container(
        account, name, table.id, row.policy, table.shards, table.created, row.stamp, decode_headers(row.detail)
    )


def _usage(policies: dict[int, tuple[int, int]], containers: int = 0) -> Usage:
    return Usage(
        sum(count for count, _ in policies.values()),
        sum(size for _, size in policies.values()),
        containers,
        dict(sorted(policies.items())),
    )


def _merged(headers: Headers, changes: HeaderChanges) -> dict[str, str]:
    merged = {**headers, **{name: value for name, value in changes.items() if value}}
    return {name: value for name, value in merged.items() if changes.get(name, value)}


def _packed_name(name: str) -> bytes:
    packed = name.encode()
    if not packed or packed[0] == 0:
        raise InvalidError("a name has at least one byte, and the first is not zero")
    return packed
