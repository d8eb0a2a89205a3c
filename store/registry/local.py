"""The registry's promise kept by one process, over a backend that stores.

One transaction at a time: it is evaluated against the backend, committed, and only then told to watchers and the
caller.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from store.core.clock import Clock
from store.core.errors import FullError, InvalidError
from store.registry.evaluation import Items, Outcome, check, check_key, check_span, evaluate
from store.registry.history import HISTORY_EVENTS, History, Watcher
from store.registry.interface import LEASE_SECONDS_MAX, Lease
from store.registry.items import Event, Item, Span
from store.registry.leases import GrantedLease, LeaseBook
from store.registry.operations import Compare, Delete, Operation, TransactionResult

LEASES_MAX: Final = 10_000
"""That live at a time: each call looks through them for the next that ends."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a backend is to store in one moment: the changes, the revision after them, leases granted (id to ttl) and
    leases ended."""

    revision: int
    changes: Sequence[Event] = ()
    granted: tuple[int, int] | None = None
    ended: int | None = None


class Backend(Items, Protocol):
    """Stores items and leases. Reads are of the last commit."""

    def revision(self) -> int: ...

    def leases(self) -> dict[int, int]:
        """Living leases and their ttl in seconds."""
        ...

    def last_lease(self) -> int:
        """The highest lease id ever granted, 0 for none."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Durable when it returns, as far as this backend is. Not cancellable once it has begun."""
        ...


class LocalRegistry:
    """See Registry. Run `run` in a nursery beside it, so that leases end in time even while nobody calls."""

    def __init__(self, backend: Backend, clock: Clock, *, history_events: int = HISTORY_EVENTS) -> None:
        self._backend = backend
        self._clock = clock
        self._history = History(backend.revision(), history_events)
        self._leases = LeaseBook()
        self._lease_granted = trio.Event()
        self._one_at_a_time = trio.Lock()
        now = clock.monotonic()
        for lease, ttl_s in backend.leases().items():
            self._leases.grant(lease, ttl_s, now)
        everything = backend.range(Span.prefix(b""))
        self._leases.follow(Event(item.key, item.mod_revision, item) for item in everything if item.lease)

    async def revision(self) -> int:
        await self._expire()
        # The backend's: a commit that readers can see already has not gone by the history yet.
        return self._backend.revision()

    async def get(self, key: bytes) -> Item | None:
        check_key(key)
        await self._expire()
        return self._backend.get(key)

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        check_span(span)
        if limit is not None and limit < 1:
            raise InvalidError(f"a limit of {limit} items")
        await self._expire()
        return list(self._backend.range(span, limit, reverse))

    async def transact(
        self,
        compares: Sequence[Compare],
        on_success: Sequence[Operation],
        on_failure: Sequence[Operation] = (),
    ) -> TransactionResult:
        check(compares, on_success, on_failure)
        await self._expire()
        async with self._one_at_a_time:
            outcome = self._evaluate(compares, on_success, on_failure)
            if outcome.changes:
                await self._commit(Commit(outcome.revision, outcome.changes))
        return TransactionResult(outcome.succeeded, outcome.revision, outcome.answers)

    async def lease(self, ttl_s: int) -> Lease:
        if not isinstance(ttl_s, int) or not 1 <= ttl_s <= LEASE_SECONDS_MAX:
            raise InvalidError(f"a lease lives a whole number of seconds, 1 to {LEASE_SECONDS_MAX}")
        await self._expire()
        async with self._one_at_a_time:
            if len(self._leases) >= LEASES_MAX:
                raise FullError(f"{LEASES_MAX} leases live: another can be had when some have ended")
            lease = self._backend.last_lease() + 1
            await self._commit(Commit(self._history.revision, granted=(lease, ttl_s)))
        return GrantedLease(self, lease, ttl_s)

    @asynccontextmanager
    async def watch(self, span: Span, from_revision: int = 0) -> AsyncIterator[AsyncIterator[Event]]:
        yield self.watcher(span, from_revision)

    def watcher(self, span: Span, from_revision: int = 0, passed: int = 0) -> Watcher:
        """What `watch` gives; or what goes on where another watcher was, by its `position`."""
        check_span(span)
        if from_revision < 0 or passed < 0:
            raise InvalidError(f"no revision is {from_revision}, or none has {passed} events")
        return Watcher(self._history, span, from_revision or self._backend.revision() + 1, passed)

    async def keep_alive(self, lease: int) -> None:
        """Raises NotFoundError when it has ended."""
        await self._expire()
        self._leases.keep_alive(lease, self._clock.monotonic())

    async def revoke(self, lease: int) -> None:
        async with self._one_at_a_time:
            if lease in self._leases:
                await self._end(lease)

    async def run(self) -> None:
        """Ends leases when their time is over. Runs until cancelled."""
        while True:
            await self._expire()
            granted = self._lease_granted
            with trio.move_on_after(max(0.0, self._leases.next_end() - self._clock.monotonic())):
                await granted.wait()

    async def _expire(self) -> None:
        """A lease that is over is over for every call that begins later, whether or not `run` has come to it."""
        await trio.lowlevel.checkpoint()
        if self._leases.next_end() > self._clock.monotonic():
            return
        async with self._one_at_a_time:
            for lease in self._leases.due(self._clock.monotonic()):
                await self._end(lease)

    async def _end(self, lease: int) -> None:
        deletes = [Delete(key) for key in self._leases.keys(lease)]
        outcome = self._evaluate((), deletes, ())
        await self._commit(Commit(outcome.revision, outcome.changes, ended=lease))

    def _evaluate(
        self, compares: Sequence[Compare], on_success: Sequence[Operation], on_failure: Sequence[Operation]
    ) -> Outcome:
        revision = self._history.revision
        return evaluate(self._backend, revision, self._leases, compares, on_success, on_failure)

    async def _commit(self, commit: Commit) -> None:
        """No cancellation between the backend's commit and the moment when all of memory agrees with it."""
        with trio.CancelScope(shield=True):
            await self._backend.commit(commit)
        self._leases.follow(commit.changes)
        if commit.granted is not None:
            lease, ttl_s = commit.granted
            self._leases.grant(lease, ttl_s, self._clock.monotonic())
            self._lease_granted.set()
            self._lease_granted = trio.Event()
        if commit.ended is not None:
            self._leases.end(commit.ended)
        if commit.changes:
            self._history.append(commit.revision, commit.changes)
