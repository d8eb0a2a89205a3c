"""`Directory`: identity's part of the registry in memory, exact, and the way to change it.

Questions are answered from memory, without an await. A watch brings in what other processes write; what this one
writes is there when the write returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from authn import keys
from authn.snapshot import Change, IdentitySnapshot
from store.core.clock import Clock, SystemClock
from store.core.errors import ConflictError, RetryableError
from store.registry import CompactedError, Compare, Delete, Get, Item, Put, Registry, Span

ATTEMPTS: Final = 32
"""How often a change is tried while others change the same: each attempt that fails means that another succeeded."""

PAGE: Final = 2000
"""Keys that are read and taken in before others have their turn: some ten milliseconds."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction that holds for the snapshot that it was made from."""

    compares: Sequence[Compare] = ()
    operations: Sequence[Put | Delete] = ()


class Directory:
    """What identity knows. Load it once, or keep `run` running."""

    def __init__(self, registry: Registry, *, clock: Clock | None = None, silent: bool = False) -> None:
        """`silent`: another one in this process says what cannot be read."""
        self.registry = registry
        self._clock = clock or SystemClock()
        self.snapshot = IdentitySnapshot(self._clock)
        self._listeners: list[Callable[[Change], None]] = []
        # What was written or read here and the watch has not come to yet: its events up to then are old news.
        self._ahead: dict[bytes, tuple[int, bytes | None]] = {}
        # All up to this revision has been taken in: an answer that is late and says less is old news. 0: nothing is.
        self._followed = 0
        self._silent = silent
        self._warned: dict[bytes, str] = {}

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Have `listener` called at each change that concerns somebody's rights, in the moment that it shows."""
        self._listeners.append(listener)

    async def load(self) -> int:
        """Read everything anew, while no watch runs. The revision that it was read at, or an earlier one."""
        revision = await self.registry.revision()
        snapshot = IdentitySnapshot(self._clock)
        rest: Span | None = keys.EVERYTHING
        # Later pages may be of later revisions; what the watch then tells again changes nothing.
        while rest is not None:
            items = await self.registry.range(rest, limit=PAGE)
            for item in items:
                snapshot.apply(item.key, item.value, item.mod_revision)
            rest = Span(items[-1].key + b"\0", rest.end) if len(items) == PAGE else None
            await trio.lowlevel.checkpoint()
        # A write of ours may have overtaken the answer of `range`.
        for key, (ahead, value) in self._ahead.items():
            if ahead > revision and ahead > snapshot.revision(key):
                snapshot.apply(key, value, ahead)
        self.snapshot = snapshot
        self._followed = revision
        self._warn()
        self._tell(Change(None))
        return revision

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the registry until cancelled; started when everything has been read, now or before."""
        started = False
        while True:
            try:
                revision = await self.load() if started or not self._followed else self._followed
                if not started:
                    task_status.started()
                    started = True
                async with self.registry.watch(keys.EVERYTHING, revision + 1) as events:
                    async for event in events:
                        self._follow(event.key, event.item.value if event.item else None, event.revision)
            except CompactedError:
                continue
            except RetryableError as error:
                _log.warning("identity cannot follow the registry for now", error=str(error))
                await trio.sleep(1)

    async def change(self, make: Callable[[IdentitySnapshot], Step | None]) -> None:
        """Do what `make` says of the present snapshot; where the snapshot was not the present one, again with a newer.

        `make` returns None where nothing is to be done, and raises what the caller is to be told.
        """
        for _ in range(ATTEMPTS):
            step = make(self.snapshot)
            if step is None:
                return
            asked = list(dict.fromkeys(compare.key for compare in step.compares))
            result = await self.registry.transact(step.compares, step.operations, [Get(key) for key in asked])
            if result.succeeded:
                for operation in step.operations:
                    value = operation.value if isinstance(operation, Put) else None
                    self._absorb(operation.key, value, result.revision)
                return
            for key, answer in zip(asked, result.answers, strict=True):
                assert not isinstance(answer, int)
                self._absorb_item(key, answer, result.revision)
        raise ConflictError("Others keep changing the same; try again.")

    async def refresh(self, key_list: Sequence[bytes], spans: Sequence[Span] = ()) -> None:
        """Look again at some keys, for a question whose answer may have been written elsewhere a moment ago."""
        if key_list:
            result = await self.registry.transact((), [Get(key) for key in key_list])
            for key, answer in zip(key_list, result.answers, strict=True):
                assert not isinstance(answer, int)
                self._absorb_item(key, answer, result.revision)
        for span in spans:
            for item in await self.registry.range(span):
                self._absorb_item(item.key, item, item.mod_revision)

    def _absorb_item(self, key: bytes, item: Item | None, revision: int) -> None:
        if item is not None:
            revision = item.mod_revision
        if revision > self.snapshot.revision(key) or item is None:
            self._absorb(key, item.value if item else None, revision)

    def _absorb(self, key: bytes, value: bytes | None, revision: int) -> None:
        """Take in what is so as of `revision`, unless something newer is known."""
        if revision <= self._followed or self._ahead.get(key, (0, None))[0] > revision:
            return
        if self.snapshot.revision(key) > revision:
            return
        self._ahead[key] = revision, value
        self._apply(key, value, revision)

    def _follow(self, key: bytes, value: bytes | None, revision: int) -> None:
        """Take in an event. They come in order: what is ahead of the watch by less than this one is so no more."""
        self._followed = max(self._followed, revision - 1)  # there may be more of the same revision
        if self._ahead:
            known = self._ahead.get(key, (0, None))[0]
            self._ahead = {held: entry for held, entry in self._ahead.items() if entry[0] > revision}
            if known > revision:
                return
            # What was written here is taken in again: names may have been another's in the events before.
        if self.snapshot.revision(key) > revision:
            return  # read anew a moment ago, after this event
        self._apply(key, value, revision)

    def _apply(self, key: bytes, value: bytes | None, revision: int) -> None:
        change = self.snapshot.apply(key, value, revision)
        if self.snapshot.unreadable != self._warned:
            self._warn()
        if change is not None:
            self._tell(change)

    def _warn(self) -> None:
        """Say once of each record that it cannot be used here."""
        for key, why in self.snapshot.unreadable.items():
            if not self._silent and self._warned.get(key) != why:
                _log.warning("a record of identity cannot be used here", key=key.decode(), reason=why)
        self._warned = dict(self.snapshot.unreadable)

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
