"""The promise table: which rows of a device have a promise that their version has not reached.

p...   a promise                             (store.device.promise)

All of them are in memory: they are few, since each is of a write that is under way, or was left so, and a row that has
none is known to have none without a look at the index.
"""

from __future__ import annotations

from collections.abc import Callable

from store.core.errors import DamageError
from store.device import promise as codec
from store.device.promise import IndexPromise
from store.device.row import Location
from store.engine.merged_index import MergedIndex
from store.engine.segment_usage import SegmentUsage

_ALL = 1 << 30


class PromiseTable:
    """All promises of one device."""

    def __init__(
        self, index: MergedIndex, segment_usage: SegmentUsage, on_damage: Callable[[bytes, str], None]
    ) -> None:
        self._index = index
        self._segment_usage = segment_usage
        self._on_damage = on_damage
        self.by_row: dict[bytes, IndexPromise] = {}
        """By the keys of their rows."""

    def load(self) -> bool:
        """Read what the index says; whether all could be read. A promise that cannot be is reported and gone: the
        device has lost some of its memory, and is not to be believed."""
        whole = True
        for key, value in self._index.range(b"p", b"q", _ALL):
            try:
                self.by_row[key[1:]] = codec.decode_value(key, value)
            except DamageError as error:
                whole = False
                self._on_damage(b"", str(error))
                self._index.put(key, None)
        return whole

    def of(self, packed: bytes) -> bytes:
        """The stamp below which a row takes nothing; empty where none is promised."""
        promise = self.by_row.get(packed)
        return promise.stamp if promise is not None else b""

    def give(self, packed: bytes, stamp: bytes, location: Location) -> None:
        """Promise to take nothing below this stamp, which is not below what was promised before."""
        self._free(packed)
        self._put(packed, IndexPromise(stamp, location))
        self._segment_usage.add(location, location.length)

    def reached(self, packed: bytes) -> None:
        """The row's version is as high as what was promised, and keeps out as much."""
        if self._free(packed):
            del self.by_row[packed]
            self._index.put(codec.index_key(packed), None)

    def is_at(self, packed: bytes, location: Location) -> bool:
        """Whether this very record is needed."""
        promise = self.by_row.get(packed)
        return promise is not None and promise.location == location

    def move(self, packed: bytes, old: Location, new: Location) -> None:
        """Need the copy that compaction made, if the old record is still needed."""
        promise = self.by_row.get(packed)
        if promise is not None and promise.location == old:
            self.give(packed, promise.stamp, new)

    def _free(self, packed: bytes) -> bool:
        promise = self.by_row.get(packed)
        if promise is None:
            return False
        self._segment_usage.add(promise.location, -promise.location.length)
        return True

    def _put(self, packed: bytes, promise: IndexPromise) -> None:
        self.by_row[packed] = promise
        key = codec.index_key(packed)
        self._index.put(key, codec.encode_value(key, promise))
