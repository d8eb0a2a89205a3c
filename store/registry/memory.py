"""The registry in memory: for tests, and for all that may be forgotten with the process."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import trio
from sortedcontainers import SortedDict

from store.core.clock import Clock
from store.registry.history import HISTORY_EVENTS
from store.registry.items import Item, Span
from store.registry.local import Commit, LocalRegistry


def memory_registry(clock: Clock, *, history_events: int = HISTORY_EVENTS) -> LocalRegistry:
    """An empty registry. `history_events` is how many past events watchers can go back."""
    return LocalRegistry(MemoryBackend(), clock, history_events=history_events)


class MemoryBackend:
    """See Backend."""

    def __init__(self) -> None:
        self._items: SortedDict = SortedDict()
        self._leases: dict[int, int] = {}
        self._last_lease = 0
        self._revision = 1

    def get(self, key: bytes) -> Item | None:
        item: Item | None = self._items.get(key)
        return item

    def range(self, span: Span, limit: int | None = None, reverse: bool = False) -> Iterable[Item]:
        keys = self._items.irange(span.start, span.end, inclusive=(True, False), reverse=reverse)
        return [self._items[key] for key in islice(keys, limit)]

    def revision(self) -> int:
        return self._revision

    def leases(self) -> dict[int, int]:
        return dict(self._leases)

    def last_lease(self) -> int:
        return self._last_lease

    async def commit(self, commit: Commit) -> None:
        await trio.lowlevel.checkpoint()
        for change in commit.changes:
            if change.item is None:
                del self._items[change.key]
            else:
                self._items[change.key] = change.item
        if commit.granted is not None:
            self._last_lease, ttl_s = commit.granted
            self._leases[self._last_lease] = ttl_s
        if commit.ended is not None:
            del self._leases[commit.ended]
        self._revision = commit.revision
