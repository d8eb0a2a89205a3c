"""The block table: which data blocks a device has, where they are, and how many share one payload.

d...   a data block                          (store.device.block)
l...   how many blocks share a payload       (store.device.block)
"""

from __future__ import annotations

from collections.abc import Callable

from store.core.errors import DamageError
from store.device import block as codec
from store.device.block import BlockKey, IndexBlock
from store.device.row import Location
from store.engine.merged_index import MergedIndex
from store.engine.segment_usage import SegmentUsage

_ALL = 1 << 30


class BlockTable:
    """All blocks of one device."""

    def __init__(
        self, index: MergedIndex, segment_usage: SegmentUsage, on_damage: Callable[[bytes, str], None]
    ) -> None:
        self._index = index
        self._segment_usage = segment_usage
        self._on_damage = on_damage

    def find(self, key: BlockKey) -> IndexBlock | None:
        packed = codec.index_key(key)
        value = self._index.get(packed)
        if value is None:
            return None
        try:
            return codec.decode_value(packed, value)
        except DamageError as error:
            self._on_damage(packed, str(error))
            return None

    def add(self, key: BlockKey, entry: IndexBlock, references: BlockKey | None = None) -> bool:
        """A block became durable. One that was here before is dead from now on.

        A reference is taken only while its payload is known to be some block's: `references` is one that should have
        it. False where it is not.
        """
        packed = codec.index_key(key)
        before = self.find(key)
        if before is not None and before.own == entry.own:
            return True
        if entry.reference is not None and not self._refer(entry.location, references):
            return False
        if before is not None:
            self._release(before)
        self._index.put(packed, codec.encode_value(packed, entry))
        self._segment_usage.add(entry.own, entry.own.length)
        return True

    def references(self, location: Location) -> int | None:
        """How many blocks have a record's payload; None where it was never shared. Raises DamageError."""
        packed = codec.references_key(location)
        value = self._index.get(packed)
        return None if value is None else codec.decode_references(packed, value)

    def _refer(self, location: Location, known: BlockKey | None) -> bool:
        """Count one more block with this payload, if there is any."""
        try:
            count = self.references(location)
        except DamageError as error:
            self._on_damage(b"", f"references of a block: {error}")
            return False
        if count is None:
            other = None if known is None else self.find(known)
            if other is None or other.location != location:
                return False
            count = 1
        self._put_references(location, count + 1)
        return True

    def _put_references(self, location: Location, count: int) -> None:
        packed = codec.references_key(location)
        self._index.put(packed, codec.encode_references(packed, count) if count else None)

    def _release(self, entry: IndexBlock) -> None:
        """A block is no more: what nothing needs now is free."""
        freed = [] if entry.reference is None else [entry.reference]
        try:
            count = self.references(entry.location)
        except DamageError as error:
            # Who else has this payload is not known: its space stays in use until the index is made anew.
            self._on_damage(b"", f"references of a block: {error}")
        else:
            if count is not None:
                self._put_references(entry.location, count - 1)
            if count == 1 or (count is None and entry.reference is None):
                freed.append(entry.location)
        for location in freed:
            self._segment_usage.add(location, -location.length)
            self._segment_usage.free(location)

    def first_of_each(self, after: bytes, limit: int) -> list[tuple[bytes, IndexBlock]]:
        """(data id, one of its blocks) of data behind the data id `after`, in order; up to `limit`."""
        found: list[tuple[bytes, IndexBlock]] = []
        start = codec.data_prefix(after) + b"\xff" * 6 if after else b"d"
        while len(found) < limit and (page := self._index.range(start, b"e", 1)):
            key, value = page[0]
            data_id = codec.parse_key(key).data_id
            try:
                found.append((data_id, codec.decode_value(key, value)))
            except DamageError as error:
                self._on_damage(key, str(error))
            start = codec.data_prefix(data_id) + b"\xff" * 6
        return found

    def of(self, data_id: bytes) -> list[tuple[bytes, IndexBlock]]:
        """All blocks of these data, by index key."""
        prefix = codec.data_prefix(data_id)
        found = []
        for key, value in self._index.range(prefix, prefix + b"\xff" * 6, _ALL):
            try:
                found.append((key, codec.decode_value(key, value)))
            except DamageError as error:
                self._on_damage(key, str(error))
        return found

    def drop(self, packed: bytes, entry: IndexBlock) -> None:
        self._index.put(packed, None)
        self._release(entry)

    def drop_some(self, data_id: bytes, limit: int) -> bool:
        """Drop up to `limit` blocks of these data; whether there are more. Of one whose entry is damaged nothing is
        known but its name: that goes, and the space of its record stays in use until the index is made anew."""
        prefix = codec.data_prefix(data_id)
        page = self._index.range(prefix, prefix + b"\xff" * 6, limit)
        for key, value in page:
            try:
                self.drop(key, codec.decode_value(key, value))
            except DamageError as error:
                self._on_damage(key, str(error))
                self._index.put(key, None)
        return len(page) == limit
