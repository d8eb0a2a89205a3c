"""Byte ranges as HTTP has them: reading `Range`, and the frame of an answer with several. Sans-I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.objects.ranges import Asked


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
