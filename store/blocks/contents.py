"""The table of contents of a log object that is sealed: what its frames say of which blocks, and where their data lie.
Sans-I/O.

It is the payload of the object's row, so that a volume is opened, taken back to a time, and cleaned without its data:

    msgpack [2, [frame, ...]]
    frame   [sequence, time_us, bytes of its header, [entry, ...]]      entries as in the frame (store.blocks.frame)

Frame n is block n of the object's data. Version 1 has the pages of the header, 4 KiB each, in the place of its bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgpack

from store.blocks.frame import Entry, Frame, pack_entries, unpack_entries
from store.blocks.place import BLOCK_BYTES
from store.core.codec import unknown_version
from store.core.errors import DamageError

VERSION: Final = 2
PAGES_VERSION: Final = 1


class Listed(NamedTuple):
    """A frame as the table of contents knows it."""

    sequence: int
    time_us: int
    header_bytes: int
    entries: Sequence[Entry]

    @property
    def pages(self) -> int:
        """Of data."""
        return sum(entry.pages for entry in self.entries)


class Spot(NamedTuple):
    """Where a page of a log object is: in which frame, from which byte of it, and how many pages follow there,
    itself included."""

    frame: int
    start: int
    pages: int


class Contents:
    """What is in one log object. It grows as long as the object is open."""

    def __init__(self, frames: Sequence[Listed] = ()) -> None:
        self.frames = list(frames)
        self._ends = list(accumulate(frame.pages for frame in frames))

    def append(self, frame: Frame, header_bytes: int) -> int:
        """Another frame, with so many bytes before its data; which page these begin with."""
        first = self.pages + 1
        self.frames.append(Listed(frame.sequence, frame.time_us, header_bytes, frame.entries))
        self._ends.append(self.pages + frame.pages)
        return first

    @property
    def pages(self) -> int:
        """Of data, in all frames."""
        return self._ends[-1] if self._ends else 0

    @property
    def stored_pages(self) -> int:
        """With headers: about what a replica takes."""
        return self.pages + len(self.frames)

    def spot(self, page: int) -> Spot:
        """Where a page is. Raises DamageError where there is none of this number."""
        ends = self._ends
        number = bisect_right(ends, page - 1)
        if page < 1 or number == len(ends):
            raise DamageError(f"page {page} of a log object that has {self.pages}")
        before = page - 1 - (ends[number - 1] if number else 0)
        return Spot(number, self.frames[number].header_bytes + before * BLOCK_BYTES, ends[number] - page + 1)

    def entries(self) -> Iterator[tuple[Entry, int]]:
        """Every entry in its order, and the page that its data begin with."""
        page = 1
        for frame in self.frames:
            for entry in frame.entries:
                yield entry, page
                page += entry.pages

    def encode(self) -> bytes:
        packed: bytes = msgpack.packb((VERSION, [(*frame[:3], pack_entries(frame.entries)) for frame in self.frames]))
        return packed

    @classmethod
    def decode(cls, packed: bytes | bytearray | memoryview) -> Contents:
        """Raises DamageError where that is none, NewerError where a newer program wrote it."""
        try:
            fields = msgpack.unpackb(packed)
            if fields[0] not in (VERSION, PAGES_VERSION):
                raise unknown_version("contents of a log object", fields[0], (PAGES_VERSION, VERSION))
            version, frames = fields
            unit = 1 if version == VERSION else BLOCK_BYTES
            return cls(
                [
                    Listed(sequence, time, header * unit, unpack_entries(listed))
                    for sequence, time, header, listed in frames
                ]
            )
        except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
            raise DamageError(f"the contents of a log object are not of a known form: {error}") from error
