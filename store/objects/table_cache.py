"""What was last read of accounts and containers, so that not every request reads their rows again.

A value is remembered only if its row was not written, by anyone, between the look and now: whoever reads takes a ticket
first. A row that is about to be written is forgotten before, and forgotten again when the outcome is unknown. Where
other processes write rows, too, a value is what to ask about: it stands if its version is still the newest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

CACHE_MAX = 50_000

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Entry(NamedTuple, Generic[T]):
    """A value, and which version of which row it was read from."""

    packed: bytes
    version: bytes
    value: T


class TableCache(Generic[K, T]):
    """Values by name, and by the packed key of the row that each was read from."""

    def __init__(self, count_max: int = CACHE_MAX) -> None:
        self._count_max = count_max
        self._entries: OrderedDict[K, Entry[T]] = OrderedDict()
        self._names: dict[bytes, K] = {}
        self._drops = 0

    def get(self, name: K) -> T | None:
        entry = self._entries.get(name)
        return None if entry is None else entry.value

    def ticket(self) -> int:
        """To be taken before a row is read, and handed to `put`."""
        return self._drops

    def entry(self, name: K) -> Entry[T] | None:
        """The value with its version, for who has to ask whether that is still the newest."""
        return self._entries.get(name)

    def put(self, name: K, packed: bytes, version: bytes, value: T, ticket: int) -> T:
        """Remember a value, unless anything was forgotten since the ticket was taken; the value."""
        if ticket == self._drops:
            self._entries[name] = Entry(packed, version, value)
            self._names[packed] = name
            if len(self._entries) > self._count_max:
                del self._names[self._entries.popitem(last=False)[1].packed]
        return value

    def drop(self, packed: bytes) -> None:
        """The row with this key is written, or may have been."""
        self._drops += 1
        name = self._names.pop(packed, None)
        if name is not None:
            del self._entries[name]

    def clear(self) -> None:
        self._drops += 1
        self._entries.clear()
        self._names.clear()
