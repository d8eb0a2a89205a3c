"""Accounts and containers: rows that name tables.

The root table holds accounts, an account's table holds its containers, a container's table its objects. A table's id is
new each time its row is made, so what is left of a deleted one is never seen in its successor, and its number of hash
shards is fixed when it is made.

A container's row is looked up for every request, so rows once read are remembered (`table_cache`). Every change to one
goes through here, or is a row's newer version that a daemon or a read found at one replica and brought to the others:
both forget what is remembered, which keeps it exact in a process that is alone. Where there are others, replicas are
asked for each request whether that is still the newest version.

A table that is deleted must stay deleted, and one that is not must keep what is written into it, also where a delete
reached one replica, failed, and that replica is away. So rows of tables are changed by conditional writes alone
(`Rows.change`), and a delete first writes an **intent**: the same row, closing, which is what its tombstone replaces.
Whoever meets a closing row reopens it before anything is written below it: then a tombstone that was left behind
somewhere is void.

A delete waits for the writers of its own process. For those of others, it lists the table once its row is closing; and
they look at the row again once they have written. Either the listing has what they wrote, and the table stays, or they
find it closing: they reopen it, or it is gone, and they say so. What they wrote is in a table then that nobody has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import TypeVar

import trio

from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import (
    ConflictError,
    DrystoneError,
    InvalidError,
    NotFoundError,
    OutdatedError,
    ReplacedError,
    RetryableError,
)
from store.core.stamp import ZERO, Stamp
from store.device.row import ListedRow, Row, RowKey, index_key
from store.objects.interface import HeaderChanges
from store.objects.listing import Folded, list_table
from store.objects.model import Account, Container, ContainerEntry, Headers, ListingQuery, Policy, Subdir, Usage
from store.objects.quorum_check import Questions
from store.objects.quorum_read import ReadRow
from store.objects.rowcodec import TableSummary, decode_headers, decode_table, encode_headers, encode_table
from store.objects.rows import Edit, Rows, tombstone
from store.objects.shards import Shards
from store.objects.table_cache import Entry, TableCache

ROOT = bytes(16)
ROOT_SHARDS = 16
"""Accounts are spread over so many shards: part of the format, since it can never change."""
SHARDS_SMALL, SHARDS_LARGE, SMALL_DEVICES = 4, 16, 8
"""A new table has 4 shards in a ring of up to 8 devices, else 16: each shard lives on three devices, and each costs a
listing one more range read."""
CONTAINERS_A_TURN = 16
"""Whose usage is summed up between two turns of the loop: each has a count in every shard, at three replicas."""
LOOKS_MAX = 50
"""At a table, while others are deleted."""

T = TypeVar("T")


class Tables:
    """Accounts and containers, by name."""

    def __init__(self, rows: Rows, clock: Clock, random: Random, policies: dict[int, Policy]) -> None:
        self._rows = rows
        self._shards = Shards(rows)
        self._clock = clock
        self._random = random
        self._policies = policies
        self._accounts: TableCache[str, Account] = TableCache()
        self._containers: TableCache[tuple[str, str], Container] = TableCache()
        self.known_account: Callable[[str], Account | None] = self._accounts.get
        self._writers: Counter[bytes] = Counter()
        self._closing: dict[bytes, _Closing] = {}
        self._buried = 0
        """How many tables were deleted."""
        rows.on_rewritten = self._drop

    # -- accounts ------------------------------------------------------------------------------------------------

    async def account(self, name: str) -> Account:
        entry = self._accounts.entry(name)
        if entry is not None and await self._are_current(entry):
            return entry.value
        key = self._account_key(name)
        ticket = self._accounts.ticket()
        row = await self._live_row(key, f"account {name}")
        account = _account(name, row)
        if not _is_closing(row):
            self._accounts.put(name, index_key(key), row.stamp.pack(), account, ticket)
        return account

    async def put_account(self, name: str, headers: HeaderChanges) -> tuple[Account, bool]:
        row, made = await self._put(self._account_key(name), headers, 0)
        return _account(name, row), made

    async def delete_account(self, name: str) -> None:
        account = await self.account(name)
        await self._delete(self._account_key(name), account.id, account.shards, f"account {name}")

    def _account_key(self, name: str) -> RowKey:
        return self._rows.key(ROOT, ROOT_SHARDS, _packed_name(name))

    async def account_usage(self, account: Account) -> Usage:
        """Sums over all containers: as exact as these, and as slow as they are many."""
        containers: Counter[int] = Counter()
        totals: dict[int, tuple[int, int]] = {}
        query = ListingQuery(limit=1000)
        while True:
            page = await list_table(self._rows, account.id, account.shards, query, 0)
            for number, row in enumerate(page, 1):
                assert isinstance(row, ListedRow)
                containers[row.policy] += 1
                if number % CONTAINERS_A_TURN == 0:
                    await trio.lowlevel.checkpoint()
                table = decode_table(row.summary, Stamp.unpack(row.stamp))
                for policy, (count, size) in (await self._shards.usage(table.id, table.shards)).items():
                    before = totals.get(policy, (0, 0))
                    totals[policy] = (before[0] + count, before[1] + size)
            if len(page) < query.limit:
                break
            query = ListingQuery(limit=query.limit, marker=page[-1].name.decode())
        return _usage(totals, containers)

    async def list_containers(self, account: Account, query: ListingQuery) -> list[ContainerEntry | Subdir]:
        page = await list_table(self._rows, account.id, account.shards, query, 0)
        entries: list[ContainerEntry | Subdir] = []
        for row in page:
            if isinstance(row, Folded):
                entries.append(Subdir(row.name.decode()))
                continue
            if len(entries) % CONTAINERS_A_TURN == 0:
                await trio.lowlevel.checkpoint()
            stamp = Stamp.unpack(row.stamp)
            table = decode_table(row.summary, stamp)
            usage = _usage(await self._shards.usage(table.id, table.shards))
            entries.append(ContainerEntry(row.name.decode(), usage, stamp, row.policy))
        return entries

    # -- containers ----------------------------------------------------------------------------------------------

    def known_container(self, account: str, name: str) -> Container | None:
        return self._containers.get((account, name))

    async def container(self, account: str, name: str) -> Container:
        entry = self._containers.entry((account, name))
        if entry is not None and await self._are_current(self._accounts.entry(account), entry):
            return entry.value
        key = await self._container_key(account, name)
        ticket = self._containers.ticket()
        row = await self._live_row(key, f"container {name}")
        container = _container(account, name, row)
        if not _is_closing(row):
            self._containers.put((account, name), index_key(key), row.stamp.pack(), container, ticket)
        return container

    def ask_about(self, account: Account, container: Container) -> Questions:
        """Ask whether an account and a container that were remembered are still what they were. What is returned waits
        for that, and raises OutdatedError where they are not."""
        owner = self._accounts.entry(account.name)
        entry = self._containers.entry((container.account, container.name))
        holds = None
        if owner is not None and owner.value is account and entry is not None and entry.value is container:
            holds = self._rows.checks.ask(((owner.packed, owner.version), (entry.packed, entry.version)))

        async def answered() -> None:
            if holds is None or not await holds():
                raise OutdatedError(f"container {container.name} is not what it was")

        return answered

    async def _are_current(self, *entries: Entry[Account] | Entry[Container] | None) -> bool:
        """Whether what is remembered, if it is, was not changed since: only other processes can have done that."""
        if self._rows.alone:
            return True
        known = tuple((entry.packed, entry.version) for entry in entries if entry is not None)
        return len(known) == len(entries) and await self._rows.checks.ask(known)()

    async def put_container(
        self, account: str, name: str, headers: HeaderChanges, policy: int | None
    ) -> tuple[Container, bool]:
        if policy is not None and policy not in self._policies:
            raise InvalidError(f"there is no storage policy {policy}")
        key = await self._container_key(account, name)
        default = next(each.index for each in self._policies.values() if each.default)

        owner = await self._standing(lambda: self.account(account))
        while await self._was_closing(owner.id):
            owner = await self._standing(lambda: self.account(account))
        with self._writing_to(owner.id):
            row, made = await self._put(key, headers, default if policy is None else policy)
            await self._check_account(owner)
        if policy is not None and row.policy != policy:
            raise ConflictError(f"container {name} exists under another storage policy")
        return _container(account, name, row), made

    async def delete_container(self, account: str, name: str) -> None:
        container = await self.container(account, name)
        key = await self._container_key(account, name)
        await self._delete(key, container.id, container.shards, f"container {name}")

    async def container_usage(self, container: Container) -> Usage:
        return _usage(await self._shards.usage(container.id, container.shards))

    async def _container_key(self, account: str, name: str) -> RowKey:
        owner = await self.account(account)
        return self._rows.key(owner.id, owner.shards, _packed_name(name))

    # -- writing below a table -----------------------------------------------------------------------------------

    async def begin_writing(self, container: Container) -> _Writing:
        """Hold a container open for a write below it, as a context. NotFoundError if it is gone, or made anew since.
        Where this process is not alone, that is said by `check_container` alone, when all is written."""
        while True:
            if self._rows.alone:
                present = self._containers.get((container.account, container.name))
                if present is None:
                    present = await self._standing(lambda: self.container(container.account, container.name))
                if present.id != container.id:
                    raise NotFoundError(f"container {container.name} was deleted")
            if not await self._was_closing(container.id):
                return self._writing_to(container.id)

    async def check_container(self, container: Container) -> None:
        """Whether it is there, and not closing, after a write below it; to be asked while it is held open. Raises
        NotFoundError: then what was written is in no container."""
        name = container.account, container.name
        known = self._containers.get(name)
        if (
            known is not None
            and known.id == container.id
            and await self._are_current(self._accounts.entry(container.account), self._containers.entry(name))
        ):
            return
        owner = await self._open_row(self._account_key(container.account), f"account {container.account}")
        table = decode_table(owner.summary, owner.shown)
        key = self._rows.key(table.id, table.shards, _packed_name(container.name))
        row = await self._open_row(key, f"container {container.name}")
        if decode_table(row.summary, row.shown).id != container.id:
            raise NotFoundError(f"container {container.name} was deleted")

    async def _check_account(self, account: Account) -> None:
        """The same after a container was made in an account."""
        if self._rows.alone:
            return
        row = await self._open_row(self._account_key(account.name), f"account {account.name}")
        if decode_table(row.summary, row.shown).id != account.id:
            raise NotFoundError(f"account {account.name} was deleted")

    async def _standing(self, look: Callable[[], Awaitable[T]]) -> T:
        """What a look at a table finds, and is there still: whoever deleted one meanwhile did not wait for a writer
        that was not yet one. Raises NotFoundError, and RetryableError where tables go all the time."""
        for _ in range(LOOKS_MAX):
            buried = self._buried
            found = await look()
            if buried == self._buried:
                return found
        raise RetryableError("containers are deleted faster than one can be looked at")

    async def _was_closing(self, table: bytes) -> bool:
        """Whether somebody was about to delete a table: nobody is any more when this returns, and it may be gone, or be
        there still, since something was in it."""
        closing = self._closing.get(table)
        if closing is not None:
            await closing.over.wait()
        return closing is not None

    def _writing_to(self, table: bytes) -> _Writing:
        """Nobody has a turn between this and `_was_closing`."""
        return _Writing(self._writers, self._closing, table)

    # -- rows ----------------------------------------------------------------------------------------------------

    async def _live_row(self, key: RowKey, what: str) -> Row:
        """A table's row as it is to be shown. In a process that is alone nothing is closing but what a crash has
        left."""
        if self._rows.alone:
            return await self._open_row(key, what)
        return await self._look(key, index_key(key), what)

    async def _open_row(self, key: RowKey, what: str) -> Row:
        """A table's row, opened again if it was closing."""
        packed = index_key(key)
        row = await self._look(key, packed, what)
        if not _is_closing(row):
            return row
        async with self._rows.lock(packed):
            return await self._reopened(key, packed, what)

    async def _look(self, key: RowKey, packed: bytes, what: str) -> Row:
        for _ in range(LOOKS_MAX):
            found = await self._rows.read(key, packed)
            if found is None or not found.row.live:
                raise NotFoundError(f"there is no {what}")
            with suppress(ReplacedError):
                return await self._rows.load(key, packed, found)
        raise RetryableError(f"{what} changes faster than it can be read")

    async def _reopened(self, key: RowKey, packed: bytes, what: str) -> Row:
        """The row, not closing. Raises where that cannot be, since nothing may be written below it then."""
        row = None

        async def edited(found: ReadRow | None) -> Row | None:
            nonlocal row
            if found is None or not found.row.live:
                raise NotFoundError(f"there is no {what}")
            row = await self._rows.load(key, packed, found)
            table = decode_table(row.summary, row.shown)
            return _changed(row, table._replace(closing=False)) if table.closing else None

        changed = await self._change(key, packed, edited, reserve=True)
        assert row is not None
        return changed or row

    async def _change(self, key: RowKey, packed: bytes, edit: Edit, *, reserve: bool = False) -> Row | None:
        """Write a version that nobody may be shown the one before of, once this has begun. The caller has its turn.
        What ends a table, or takes that back, may use the `reserve` of devices that are full."""
        self._drop(packed)
        try:
            done = await self._rows.change(key, packed, edit, reserve=reserve)
        finally:
            self._drop(packed)
        return None if done is None else done[0]

    def _drop(self, packed: bytes) -> None:
        self._accounts.drop(packed)
        self._containers.drop(packed)

    async def _put(self, key: RowKey, changes: HeaderChanges, policy: int) -> tuple[Row, bool]:
        """Make the row or change its headers; the flag says whether it was made."""
        packed = index_key(key)
        row, made = None, False

        async def edited(found: ReadRow | None) -> Row | None:
            nonlocal row, made
            made = found is None or not found.row.live
            if found is None or not found.row.live:
                table = TableSummary(self._random.bytes(16), self._new_shards(), self._rows.stamps.next())
                detail = encode_headers(_merged({}, changes))
                return Row(key, ZERO, 0, policy, 0, 0, b"", encode_table(table, ZERO), detail, b"")
            row = await self._rows.load(key, packed, found)
            table = decode_table(row.summary, row.shown)
            headers = decode_headers(row.detail)
            merged = _merged(headers, changes)
            if merged == headers and not table.closing:
                return None
            return _changed(row, table._replace(closing=False))._replace(detail=encode_headers(merged))

        async with self._rows.lock(packed):
            changed = await self._change(key, packed, edited)
        row = changed or row
        assert row is not None
        return row, made

    async def _delete(self, key: RowKey, table: bytes, shards: int, what: str) -> None:
        """Remove a table's row once nothing is in the table and nobody writes to it."""
        packed = index_key(key)
        if table in self._closing:
            raise ConflictError(f"{what} is being deleted")
        closing = self._closing[table] = _Closing()
        try:
            if table in self._writers:
                await closing.idle.wait()  # without the row's turn: a writer may need that, to open the row again
            async with self._rows.lock(packed):
                await self._check_empty(table, shards, what)
                await self._write_tombstone(key, packed, table, shards, what)
        finally:
            del self._closing[table]
            closing.over.set()

    async def _check_empty(self, table: bytes, shards: int, what: str) -> None:
        if await list_table(self._rows, table, shards, ListingQuery(limit=1), self._clock_seconds()):
            raise ConflictError(f"{what} is not empty")

    async def _write_tombstone(self, key: RowKey, packed: bytes, table: bytes, shards: int, what: str) -> None:
        """Write the intent, then the tombstone; where that fails, the row stays, if that can be said to a quorum."""

        async def closing(found: ReadRow | None) -> Row:
            if found is None or not found.row.live:
                raise NotFoundError(f"there is no {what}")
            row = await self._rows.load(key, packed, found)
            summary = decode_table(row.summary, row.shown)
            if summary.id != table:
                raise NotFoundError(f"{what} was deleted, and made anew")
            return _changed(row, summary._replace(closing=True))

        intent = await self._change(key, packed, closing, reserve=True)
        assert intent is not None

        async def buried(found: ReadRow | None) -> Row:
            if found is None or found.row.stamp != intent.stamp.pack():
                raise ConflictError("it was changed meanwhile")
            return tombstone(key, intent.policy)

        try:
            if not self._rows.alone:
                await self._check_empty(table, shards, what)  # of what others wrote before it was closing
            await self._change(key, packed, buried, reserve=True)
        except DrystoneError:
            with suppress(NotFoundError):
                await self._reopened(key, packed, what)
            raise
        finally:
            self._buried += 1

    def _new_shards(self) -> int:
        return SHARDS_SMALL if len(self._rows.devices) <= SMALL_DEVICES else SHARDS_LARGE

    def _clock_seconds(self) -> int:
        return self._clock.wall_us() // 1_000_000

    def forget(self) -> None:
        """Forget what was read: for when rows were changed behind our back."""
        self._accounts.clear()
        self._containers.clear()


class _Closing:
    """A table that somebody is about to delete."""

    __slots__ = ("idle", "over")

    def __init__(self) -> None:
        self.idle = trio.Event()
        """Set when nobody writes to it."""
        self.over = trio.Event()
        """Set when it is gone, or is to stay."""


class _Writing:
    """Counts one writer of a table; the last one out tells whoever waits to delete it."""

    __slots__ = ("_closing", "_table", "_writers")

    def __init__(self, writers: Counter[bytes], closing: dict[bytes, _Closing], table: bytes) -> None:
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
                self._closing[self._table].idle.set()


def _account(name: str, row: Row) -> Account:
    table = decode_table(row.summary, row.shown)
    return Account(name, table.id, table.shards, table.created, row.shown, decode_headers(row.detail))


def _container(account: str, name: str, row: Row) -> Container:
    table = decode_table(row.summary, row.shown)
    return Container(
        account, name, table.id, row.policy, table.shards, table.created, row.shown, decode_headers(row.detail)
    )


def _usage(policies: Mapping[int, tuple[int, int]], containers: Mapping[int, int] = MappingProxyType({})) -> Usage:
    return Usage(
        sum(count for count, _ in policies.values()),
        sum(size for _, size in policies.values()),
        sum(containers.values()),
        dict(sorted(policies.items())),
        dict(sorted(containers.items())),
    )


def _is_closing(row: Row) -> bool:
    return decode_table(row.summary, row.shown).closing


def _changed(row: Row, table: TableSummary) -> Row:
    return row._replace(summary=encode_table(table, ZERO), payload=b"", origin=None)


def _merged(headers: Headers, changes: HeaderChanges) -> dict[str, str]:
    merged = {**headers, **{name: value for name, value in changes.items() if value}}
    return {name: value for name, value in merged.items() if changes.get(name, value)}


def _packed_name(name: str) -> bytes:
    packed = name.encode()
    if not packed or packed[0] == 0:
        raise InvalidError("a name has at least one byte, and the first is not zero")
    return packed
