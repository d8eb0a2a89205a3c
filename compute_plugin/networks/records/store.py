"""`NetworkStore`: the records in memory, equal to the registry, and the one way to change them.

Each change is one transaction, which holds only if no other change was made since the records that it was made from:
it compares the revision of one key (LATEST) that every change puts. So whatever a change has looked at is still so when
it is done, be it an address that was free or a subnet that had no ports, and no address is ever given out twice. Quotas
are counted from the records in the same moment.

What is read is what was acknowledged before the read began, in whatever process: `fresh` waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import structlog
import trio

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.records import PREFIX, Records
from compute_plugin.networks.records.table import Table
from store.core.errors import ConflictError, DamageError, RetryableError
from store.registry import CompactedError, Compare, Event, Get, Item, Put, Registry, Span

T = TypeVar("T")

LATEST: Final = PREFIX + b"~latest"
"""Sorts behind all records: of the events of a change it comes last."""
EVERYTHING: Final = Span.prefix(PREFIX)
PAGE: Final = 2000
ATTEMPTS: Final = 32
OPERATIONS_MAX: Final = 126
"""Of one change: a transaction has 128."""
ROOM: Final = 100
"""What a change takes of things that can be many, and leaves to the next."""
REACH_S: Final = 10.0
"""How long a read waits for what another process has written."""
AGAIN_S: Final = 1.0

_log = structlog.get_logger(__name__)


class NetworkStore:
    """Start `run` and wait until it has started; then everything here works."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.records = Records()
        """As of `revision`. Not to be changed by anybody else."""
        self.revision = 0
        self._tables: dict[str, Table[Any]] = {}
        self._unreadable: set[bytes] = set()
        self._coming: list[Event] = []
        """Of a change that has not come whole."""
        self._whole = 0
        self._read = self.records
        """What was read while others wrote is of several moments, and of one from this revision on: until that has
        come, `revision` is 0 and `records` are those from before."""
        self._changing = trio.Lock()
        self._later = trio.Event()

    # -- reading -------------------------------------------------------------------------------------------------

    async def fresh(self) -> Records:
        """The records, with all that was acknowledged before. Raises RetryableError."""
        await self._reach(_revision(await self.registry.get(LATEST)))
        return self.records

    async def later_than(self, revision: int) -> int:
        """Wait for a change after `revision`; the present revision."""
        while self.revision <= revision:
            await self._later.wait()
        return self.revision

    # -- changing ------------------------------------------------------------------------------------------------

    async def change(self, step: Callable[[Records], T]) -> T:
        """Do what `step` does to the records that it is given, durably, or nothing; what it returns.

        It is called again where another process was faster; it sees what it wrote itself, and raises what the caller is
        to be told. Raises RetryableError where others write all the time or the registry is away."""
        async with self._changing:
            for _ in range(ATTEMPTS):
                await self.fresh()
                if self._unreadable:
                    raise RetryableError("networks have records that a newer Drystone wrote: nothing can be changed")
                draft = Records(self.records)
                result = step(draft)
                operations = draft.operations()
                if not operations:
                    return result
                if len(operations) > OPERATIONS_MAX:
                    raise BadRequestError("InvalidInput", f"Too much at once: at most {OPERATIONS_MAX} records change.")
                same = Compare.unchanged(LATEST, self.revision)
                done = await self.registry.transact([same], [*operations, Put(LATEST, b"")], [Get(LATEST)])
                if done.succeeded:
                    self._take(draft, done.revision)
                    return result
        raise ConflictError("Others keep changing networks; try again.")

    def _take(self, draft: Records, revision: int) -> None:
        """What was changed here is so. The watch may have brought it already, or has to where the records are not of
        one moment."""
        if revision <= self.revision or self.revision < self._whole:
            return
        for held, changed in zip(self.records.tables(), draft.tables(), strict=True):
            for id_, record in changed.changes().items():
                if record is None:
                    held.delete(id_)
                else:
                    held.put(record)
        self._reached(revision)

    # -- following -----------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the registry until cancelled; started when everything has been read."""
        started = False
        while True:
            try:
                revision = await self._load()
                if not started:
                    task_status.started()
                    started = True
                async with self.registry.watch(EVERYTHING, revision + 1) as events:
                    async for event in events:
                        self._follow(event)
            except CompactedError:
                await trio.lowlevel.checkpoint()
            except RetryableError as error:
                _log.warning("networks cannot follow the registry for now", error=str(error))
                await trio.sleep(AGAIN_S)

    async def _load(self) -> int:
        """Read all of it; the registry's revision before that. What changes meanwhile is told by the watch: until that
        has come, nothing is fresh."""
        revision = await self.registry.revision()
        latest = _revision(await self.registry.get(LATEST))
        records, unreadable = Records(), set[bytes]()
        tables = {table.kind.name: table for table in records.tables()}
        rest: Span | None = EVERYTHING
        while rest is not None:
            items = await self.registry.range(rest, limit=PAGE)
            for item in items:
                _apply(tables, unreadable, item.key, item.value)
            rest = Span(items[-1].key + b"\0", rest.end) if len(items) == PAGE else None
            await trio.lowlevel.checkpoint()
        self._whole = _revision(await self.registry.get(LATEST))
        self._read, self._tables, self._unreadable, self._coming = records, tables, unreadable, []
        self.revision = 0  # a registry that was recovered may be behind
        if self._whole == latest:
            self._reached(latest)
        return revision

    def _follow(self, event: Event) -> None:
        if event.revision <= self.revision:
            return
        self._coming.append(event)
        if event.key != LATEST:
            return
        for one in self._coming:
            if one.revision > self.revision:  # else it is of a change of our own, which was known before all of it came
                _apply(self._tables, self._unreadable, one.key, one.item.value if one.item else None)
        self._coming = []
        if event.revision >= self._whole:
            self._reached(event.revision)

    def _reached(self, revision: int) -> None:
        self.records, self.revision = self._read, revision
        self._later.set()
        self._later = trio.Event()

    async def _reach(self, revision: int) -> None:
        if self.revision >= revision:
            return
        with trio.move_on_after(REACH_S):
            while self.revision < revision:
                await self._later.wait()
            return
        raise RetryableError("networks cannot follow the registry fast enough")


def _apply(tables: dict[str, Table[Any]], unreadable: set[bytes], key: bytes, value: bytes | None) -> None:
    kind, _, id_ = key.removeprefix(PREFIX).decode().partition("/")
    table = tables.get(kind)
    if key == LATEST:
        return
    unreadable.discard(key)
    if table is None:
        if value is not None:
            _unread(unreadable, key, "no such kind is known here")
        return
    if value is None:
        table.delete(id_)
        return
    try:
        table.put(table.kind.codec.decode(value))
    except DamageError as error:
        table.delete(id_)
        _unread(unreadable, key, str(error))


def _unread(unreadable: set[bytes], key: bytes, why: str) -> None:
    unreadable.add(key)
    _log.warning("a record of networks cannot be used here", key=key.decode(), reason=why)


def _revision(item: Item | None) -> int:
    return item.mod_revision if item is not None else 0
