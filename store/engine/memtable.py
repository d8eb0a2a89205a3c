"""What was written since the index was: a dictionary that can be read in order.

Two generations: `active` takes changes, `flushing` is on its way into the index and does not change. A read asks
active, then flushing, then the index. Keys are put in order only when someone asks for a range: Python's sort merges
the sorted old with the few new in linear time, far cheaper than keeping order at every write.
"""

from __future__ import annotations

from bisect import bisect_left

Value = bytes | None
"""None says that the key is deleted."""


class Generation:
    """Changes by key, readable in order."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Value] = {}
        self._sorted: list[bytes] = []
        self._new: list[bytes] = []

    def put(self, key: bytes, value: Value) -> None:
        if key not in self.entries:
            self._new.append(key)
        self.entries[key] = value

    def keys_between(self, start: bytes, stop: bytes) -> list[bytes]:
        if self._new:
            self._sorted += self._new
            self._sorted.sort()
            self._new.clear()
        keys = self._sorted
        return keys[bisect_left(keys, start) : bisect_left(keys, stop)]


class Memtable:
    """The two generations."""

    def __init__(self) -> None:
        self.active = Generation()
        self.flushing = Generation()

    def put(self, key: bytes, value: Value) -> None:
        self.active.put(key, value)

    def get(self, key: bytes) -> tuple[bool, Value]:
        """(whether anything is known of the key, its value)."""
        if key in self.active.entries:
            return True, self.active.entries[key]
        if key in self.flushing.entries:
            return True, self.flushing.entries[key]
        return False, None

    def between(self, start: bytes, stop: bytes) -> dict[bytes, Value]:
        """All that is known of keys in [start, stop)."""
        flushing = self.flushing
        found = {key: flushing.entries[key] for key in flushing.keys_between(start, stop)}
        for key in self.active.keys_between(start, stop):
            found[key] = self.active.entries[key]
        return found

    def freeze(self) -> Generation:
        """Hand the active generation over for flushing. The one before must have been `flushed`."""
        self.flushing, self.active = self.active, Generation()
        return self.flushing

    def flushed(self) -> None:
        """The index holds the flushing generation."""
        self.flushing = Generation()

    def unflushed(self) -> None:
        """The index could not take it: merge it back under what came since."""
        newer = self.active.entries
        self.active, self.flushing = self.flushing, Generation()
        for key, value in newer.items():
            self.active.put(key, value)
