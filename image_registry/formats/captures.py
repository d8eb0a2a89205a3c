"""What is kept of an image that comes by: its head, the window that is wanted now, and its tail.

Bytes are given with their place, in order; those that nobody wants may be left out. Memory: HEAD_BYTES, one window of
WINDOW_MAX, and TAIL_BYTES.
"""

from __future__ import annotations

from image_registry.formats.errors import BackwardsError
from image_registry.formats.plan import HEAD_BYTES, TAIL_BYTES, WINDOW_MAX, Buffer, Window


class Head:
    """The first HEAD_BYTES."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def whole(self) -> bool:
        return len(self.data) == HEAD_BYTES

    def take(self, offset: int, chunk: memoryview) -> None:
        start = len(self.data) - offset
        if 0 <= start < len(chunk):
            self.data += chunk[start : start + HEAD_BYTES - len(self.data)]


class Capture:
    """One window, filled from the head and from what comes after `passed`, which is where the last one ended."""

    def __init__(self, window: Window, head: bytes, passed: int) -> None:
        self.window = window
        self.data = bytearray(head[window.offset : window.offset + window.length])
        if window.length > WINDOW_MAX:
            raise ValueError(f"a window of {window.length} bytes is more than one may have")
        if not self.whole and window.offset + len(self.data) < passed:
            raise BackwardsError("the image has a table before what leads to it: it cannot be looked through")

    @property
    def wanted(self) -> int:
        """The next byte that it lacks."""
        return self.window.offset + len(self.data)

    @property
    def whole(self) -> bool:
        return len(self.data) == self.window.length

    def take(self, offset: int, chunk: memoryview) -> None:
        start = self.wanted - offset
        if 0 <= start < len(chunk):
            self.data += chunk[start : start + self.window.length - len(self.data)]


class Tail:
    """The last TAIL_BYTES of what has come."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.end = 0

    def take(self, offset: int, chunk: memoryview) -> None:
        if offset != self.end:
            self.data.clear()
        self.data += chunk[-TAIL_BYTES:]
        del self.data[:-TAIL_BYTES]
        self.end = offset + len(chunk)

    def covers(self, size: int) -> bool:
        """Whether it is the tail of an image of so many bytes."""
        return self.end == size and len(self.data) == min(size, TAIL_BYTES)


def as_view(chunk: Buffer) -> memoryview:
    return memoryview(chunk).cast("B")
