"""Segment usage: how much lives in each segment, and which records are to be punched out of theirs.

h...   records whose space is to come back   `h` + segment, offset (4, big-endian, each) -> length (4, big-endian)
s...   live bytes of a segment               `s` + id (8, big-endian) -> msgpack [kind, live]
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import msgpack

from store.device.row import Location
from store.engine.merged_index import MergedIndex, unpack
from store.engine.segment import SegmentKind

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_HOLE = struct.Struct(">cII")
_ALL = 1 << 30


class SegmentUsage:
    """The segments of one device."""

    def __init__(self, index: MergedIndex) -> None:
        self._index = index
        self.live: dict[int, int] = {}
        """Live bytes by segment."""
        self._changed: set[int] = set()
        self.held: set[int] = set()
        """Segments with records that only a newer program knows: they stay, whatever lives in them as far as is known
        here."""
        self.holes: list[Location] = []
        """Records of blocks that are no more: to be punched out once the index says so."""

    def load(self) -> None:
        """What the index says; and what an earlier process did not come to punch."""
        for key, value in self._index.range(b"s", b"t", _ALL):
            self.live[_U64.unpack_from(key, 1)[0]] = unpack(value)[1]
        for key, value in self._index.range(b"h", b"i", _ALL):
            _, segment, offset = _HOLE.unpack(key)
            self.holes.append(Location(segment, offset, _U32.unpack(value)[0]))

    def add(self, location: Location, by: int) -> None:
        """So many bytes more, or fewer, live in a record's segment."""
        self.live[location.segment] = self.live.get(location.segment, 0) + by
        self._changed.add(location.segment)

    def forget(self, segment: int) -> None:
        """A segment is removed."""
        self.live.pop(segment, None)
        self._changed.discard(segment)
        self._index.put(b"s" + _U64.pack(segment), None)

    def note(self, kinds: Mapping[int, SegmentKind]) -> None:
        """Put what has changed into the index, which is about to be written."""
        for segment in self._changed:
            if segment in kinds:
                packed = msgpack.packb((kinds[segment], self.live[segment]))
                self._index.put(b"s" + _U64.pack(segment), packed)
        self._changed.clear()

    def free(self, location: Location) -> None:
        """A record is needed no more. Noted until it is punched: a crash in between must not keep its space."""
        self.holes.append(location)
        self._index.put(_HOLE.pack(b"h", *location[:2]), _U32.pack(location.length))

    def punched(self, locations: Iterable[Location]) -> None:
        """Their space is given back."""
        for location in locations:
            self._index.put(_HOLE.pack(b"h", *location[:2]), None)
