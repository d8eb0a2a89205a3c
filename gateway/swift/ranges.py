"""Byte ranges: reading `Range`, fitting it to a size, and the frame of an answer with several. Sans-I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

RANGES_MAX = 50
OVERLAPS_MAX = 2
DESCENDING_MAX = 8
"""Stock bounds on what one request may ask for: more is a way to make a small request very large work."""

Asked = list[tuple[int | None, int | None]]
Fitted = list[tuple[int, int]]


def parse(value: bytes | str) -> Asked | None:
    """First and last byte of each range as written, or None where the header cannot be read (and is ignored)."""
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    value = value.replace(b" ", b"")
    if value[:6].lower() != b"bytes=":
        return None
    asked: Asked = []
    for part in value[6:].split(b","):
        first, dash, last = part.partition(b"-")
        if not dash or not (first or last) or (first and not first.isdigit()) or (last and not last.isdigit()):
            return None
        if len(first) > 20 or len(last) > 20:
            return None
        start = int(first) if first else None
        end = int(last) if last else None
        if start is not None and end is not None and end < start:
            return None
        asked.append((start, end))
    return asked


def fit(asked: Asked, size: int) -> Fitted:
    """The ranges [start, stop) that a body of `size` bytes has, in the order asked; [] where none can be served."""
    fitted: Fitted = []
    for start, end in asked:
        if start is None:
            if end:
                fitted.append((max(size - end, 0), size))
        elif start < size:
            fitted.append((start, size if end is None else min(end + 1, size)))
    if len(fitted) > 1 and _abusive(fitted):
        return []
    return fitted


def _abusive(fitted: Fitted) -> bool:
    if len(fitted) > RANGES_MAX:
        return True
    overlaps = 0
    for index, (start, stop) in enumerate(fitted):
        for other_start, other_stop in fitted[index + 1 :]:
            if start < other_stop and other_start < stop and (start, stop) != (other_start, other_stop):
                overlaps += 1
                if overlaps > OVERLAPS_MAX:
                    return True
    return len(fitted) >= DESCENDING_MAX and any(a > b for a, b in pairwise(fitted))


@dataclass(frozen=True, slots=True)
class Multipart:
    """The frame of a `multipart/byteranges` body: what stands before each range, and how long it all is."""

    boundary: bytes
    content_type: bytes
    size: int
    ranges: Sequence[tuple[int, int]]

    def head(self, start: int, stop: int) -> bytes:
        """What stands before the bytes [start, stop)."""
        return b"--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n" % (
            self.boundary,
            self.content_type,
            content_range(start, stop, self.size),
        )

    @property
    def tail(self) -> bytes:
        """What stands behind the last range."""
        return b"--%s--" % self.boundary

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return len(self.tail) + sum(len(self.head(start, stop)) + stop - start + 2 for start, stop in self.ranges)


def content_range(start: int, stop: int, size: int) -> bytes:
    """`bytes 0-99/1000`."""
    return b"bytes %d-%d/%d" % (start, stop - 1, size)
