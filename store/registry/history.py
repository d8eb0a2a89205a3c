"""Past events, as many as fit a bound, and those who wait for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

from store.core.errors import InvalidError
from store.registry.interface import CompactedError
from store.registry.items import Event, Span

HISTORY_BYTES: Final = 16 * 1024 * 1024
"""What past events may take of memory, by their keys and values."""

HISTORY_EVENTS: Final = 10_000

_EVENT_BYTES: Final = 200
"""What an event takes beside its key and value, roughly."""


class History:
    """Events since the process began, the oldest forgotten first, always whole revisions."""

    def __init__(self, revision: int, events_max: int = HISTORY_EVENTS, bytes_max: int = HISTORY_BYTES) -> None:
        self.revision = revision
        self.oldest = revision + 1
        """The first revision whose events are all kept (or yet to come)."""
        self._kept: deque[tuple[int, Sequence[Event]]] = deque()
        self._events = 0
        self._bytes = 0
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._more = trio.Event()

    def append(self, revision: int, events: Sequence[Event]) -> None:
        """The events of the next revision; wakes all who wait."""
        self._kept.append((revision, events))
        self._events += len(events)
        self._bytes += sum(map(_size, events))
        while self._kept and (self._events > self._events_max or self._bytes > self._bytes_max):
            dropped, old = self._kept.popleft()
            self._events -= len(old)
            self._bytes -= sum(map(_size, old))
            self.oldest = dropped + 1
        self.revision = revision
        self._more.set()
        self._more = trio.Event()

    def since(self, revision: int) -> Sequence[Event]:
        """The events of the first kept revision from `revision` on; empty where none has come. Raises
        CompactedError."""
        if revision < self.oldest:
            raise CompactedError(f"events before revision {self.oldest} are no longer kept; asked for {revision}")
        if not self._kept:
            return ()
        # Kept revisions are consecutive.
        index = revision - self._kept[0][0]
        return self._kept[index][1] if index < len(self._kept) else ()

    async def wait(self) -> None:
        """Until something is appended."""
        await self._more.wait()


class Watcher:
    """One reader of the history; an async iterator without end. Holds nothing but its position."""

    def __init__(self, history: History, span: Span, from_revision: int, passed: int = 0) -> None:
        self._history = history
        self._span = span
        self._next = from_revision
        self._passed = passed

    @property
    def position(self) -> tuple[int, int]:
        """The revision whose events are due next, and how many of them are passed: a watcher of the same history that
        begins there tells what this one would tell next."""
        return self._next, self._passed

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        while True:
            events = self._history.since(self._next)
            if not events:
                await self._history.wait()
                continue
            if self._passed >= len(events):
                raise InvalidError(f"revision {self._next} has no more than {len(events)} events")
            event = events[self._passed]
            self._passed += 1
            if self._passed == len(events):
                self._next, self._passed = self._next + 1, 0
            if self._span.holds(event.key):
                return event


def _size(event: Event) -> int:
    return _EVENT_BYTES + len(event.key) + (len(event.item.value) if event.item else 0)
