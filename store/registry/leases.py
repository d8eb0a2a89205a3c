"""The book of leases: which live, until when, with which keys. Times are given to it; it asks no clock. And a lease as
its holder has it, where leases are known by their ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from store.core.errors import NotFoundError
from store.registry.items import Event


@dataclass
class _Entry:
    ttl_s: int
    ends: float
    keys: set[bytes] = field(default_factory=set)


class LeaseBook:
    """Deadlines are on the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._lease_of: dict[bytes, int] = {}

    def __contains__(self, lease: object) -> bool:
        return lease in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def grant(self, lease: int, ttl_s: int, now: float) -> None:
        self._entries[lease] = _Entry(ttl_s, now + ttl_s)

    def keep_alive(self, lease: int, now: float) -> None:
        """Raises NotFoundError when it has ended."""
        entry = self._entries.get(lease)
        if entry is None:
            raise NotFoundError(f"lease {lease} has ended")
        entry.ends = now + entry.ttl_s

    def end(self, lease: int) -> None:
        for key in self._entries.pop(lease).keys:
            del self._lease_of[key]

    def keys(self, lease: int) -> list[bytes]:
        return sorted(self._entries[lease].keys)

    def follow(self, changes: Iterable[Event]) -> None:
        """Keeps up with keys that were attached, detached or deleted."""
        for change in changes:
            before = self._lease_of.pop(change.key, None)
            if before is not None:
                self._entries[before].keys.discard(change.key)
            if change.item is not None and change.item.lease:
                self._lease_of[change.key] = change.item.lease
                self._entries[change.item.lease].keys.add(change.key)

    def due(self, now: float) -> list[int]:
        """The leases whose time is over, in the order in which they ended."""
        over = [(entry.ends, lease) for lease, entry in self._entries.items() if entry.ends <= now]
        return [lease for _, lease in sorted(over)]

    def next_end(self) -> float:
        """When the next lease ends if none is kept alive; infinity without leases."""
        return min((entry.ends for entry in self._entries.values()), default=float("inf"))


class Keeper(Protocol):
    """Who keeps leases, by their ids."""

    async def keep_alive(self, lease: int) -> None: ...

    async def revoke(self, lease: int) -> None: ...


class GrantedLease:
    """See Lease."""

    def __init__(self, keeper: Keeper, lease: int, ttl_s: int) -> None:
        self._keeper = keeper
        self._id = lease
        self._ttl_s = ttl_s

    @property
    def id(self) -> int:
        return self._id

    @property
    def ttl_s(self) -> int:
        return self._ttl_s

    async def keep_alive(self) -> None:
        await self._keeper.keep_alive(self._id)

    async def revoke(self) -> None:
        await self._keeper.revoke(self._id)
