"""`TableStore`: the records of a service in memory, equal to the registry, and the one way to change them.

Each change is one transaction, which holds only if no other change was made since the records that it was made from:
it compares the revision of one key (<prefix>~latest) that every change puts. So whatever a change has looked at is
still so when it is done, be it an address that was free or a host that had room, and nothing is ever given out twice.
Quotas are counted from the records in the same moment.

What is read is what was acknowledged before the read began, in whatever process: `fresh` waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar

import structlog
import trio

from compute_plugin.tables.table import Table
from compute_plugin.tables.tables import Tables
from store.core.errors import ConflictError, DamageError, InvalidError, RetryableError
from store.registry import CompactedError, Compare, Event, Get, Item, Put, Registry, Span

T = TypeVar("T")
R = TypeVar("R", bound=Tables)

PAGE: Final = 2000
ATTEMPTS: Final = 32
OPERATIONS_MAX: Final = 126
"""Of one change: a transaction has 128."""
REACH_S: Final = 10.0
"""How long a read waits for what another process has written."""
AGAIN_S: Final = 1.0

_log = structlog.get_logger(__name__)


class TableStore(Generic[R]):
    """Start `run` and wait until it has started; then everything here works."""

    called: ClassVar[str]
    """What the records are of, in messages."""

    def __init__(self, registry: Registry, over: Callable[[R | None], R]) -> None:
        """`over`: makes tables over others, or empty ones."""
        self.registry = registry
        self._over = over
        self.records = over(None)
        """As of `revision`. Not to be changed by anybody else."""
        self.revision = 0
        self._tables: dict[str, Table[Any]] = {}
        self._unreadable: set[bytes] = set()
        self._coming: list[Event] = []
        """Of a change that has not come whole."""
        self._whole = 0
        self._latest = self.records.prefix + b"~latest"
        """Sorts behind all records: of the events of a change it comes last."""
        self._everything = Span.prefix(self.records.prefix)
        self._read = self.records
        """What was read while others wrote is of several moments, and of one from this revision on: until that has
        come, `revision` is 0 and `records` are those from before."""
        self._changing = trio.Lock()
        self._later = trio.Event()

    def too_much(self, why: str) -> Exception:
        """What is raised where one change were of more than a transaction has room for."""
        return InvalidError(why)

    # -- reading -------------------------------------------------------------------------------------------------

    async def fresh(self) -> R:
        """The records, with all that was acknowledged before. Raises RetryableError."""
        await self._reach(_revision(await self.registry.get(self._latest)))
        return self.records

    async def later_than(self, revision: int) -> int:
        """Wait for a change after `revision`; the present revision."""
        while self.revision <= revision:
            await self._later.wait()
        return self.revision

    # -- changing ------------------------------------------------------------------------------------------------

    async def change(self, step: Callable[[R], T]) -> T:
        """Do what `step` does to the records that it is given, durably, or nothing; what it returns.

        It is called again where another process was faster; it sees what it wrote itself, and raises what the caller is
        to be told. Raises RetryableError where others write all the time or the registry is away."""
        async with self._changing:
            for _ in range(ATTEMPTS):
                await self.fresh()
                if self._unreadable:
                    raise RetryableError(
                        f"{self.called} have records that a newer Drystone wrote: nothing can be changed"
                    )
                draft = self._over(self.records)
                result = step(draft)
                operations = draft.operations()
                if not operations:
                    return result
                if len(operations) > OPERATIONS_MAX:
                    raise self.too_much(f"Too much at once: at most {OPERATIONS_MAX} records change.")
                same = Compare.unchanged(self._latest, self.revision)
                done = await self.registry.transact([same], [*operations, Put(self._latest, b"")], [Get(self._latest)])
                if done.succeeded:
                    self._take(draft, done.revision)
                    return result
        raise ConflictError(f"Others keep changing {self.called}; try again.")

    def _take(self, draft: R, revision: int) -> None:
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
                async with self.registry.watch(self._everything, revision + 1) as events:
                    async for event in events:
                        self._follow(event)
            except CompactedError:
                await trio.lowlevel.checkpoint()
            except RetryableError as error:
                _log.warning(f"{self.called} cannot follow the registry for now", error=str(error))
                await trio.sleep(AGAIN_S)

    async def _load(self) -> int:
        """Read all of it; the registry's revision before that. What changes meanwhile is told by the watch: until that
        has come, nothing is fresh."""
        revision = await self.registry.revision()
        latest = _revision(await self.registry.get(self._latest))
        records, unreadable = self._over(None), set[bytes]()
        tables = {table.kind.name: table for table in records.tables()}
        rest: Span | None = self._everything
        while rest is not None:
            items = await self.registry.range(rest, limit=PAGE)
            for item in items:
                self._apply(tables, unreadable, item.key, item.value)
            rest = Span(items[-1].key + b"\0", rest.end) if len(items) == PAGE else None
            await trio.lowlevel.checkpoint()
        self._whole = _revision(await self.registry.get(self._latest))
        self._read, self._tables, self._unreadable, self._coming = records, tables, unreadable, []
        self.revision = 0  # a registry that was recovered may be behind
        if self._whole == latest:
            self._reached(latest)
        return revision

    def _follow(self, event: Event) -> None:
        if event.revision <= self.revision:
            return
        self._coming.append(event)
        if event.key != self._latest:
            return
        for one in self._coming:
            if one.revision > self.revision:  # else it is of a change of our own, which was known before all of it came
                self._apply(self._tables, self._unreadable, one.key, one.item.value if one.item else None)
        self._coming = []
        if event.revision >= self._whole:
            self._reached(event.revision)

    def _apply(self, tables: dict[str, Table[Any]], unreadable: set[bytes], key: bytes, value: bytes | None) -> None:
        kind, _, id_ = key.removeprefix(self.records.prefix).decode().partition("/")
        table = tables.get(kind)
        if key == self._latest:
            return
        unreadable.discard(key)
        if table is None:
            if value is not None:
                self._unread(unreadable, key, "no such kind is known here")
            return
        if value is None:
            table.delete(id_)
            return
        try:
            table.put(table.kind.codec.decode(value))
        except DamageError as error:
            table.delete(id_)
            self._unread(unreadable, key, str(error))

    def _unread(self, unreadable: set[bytes], key: bytes, why: str) -> None:
        unreadable.add(key)
        _log.warning(f"a record of {self.called} cannot be used here", key=key.decode(), reason=why)

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
        raise RetryableError(f"{self.called} cannot follow the registry fast enough")


def _revision(item: Item | None) -> int:
    return item.mod_revision if item is not None else 0
