"""Fences: how high the promises of a row can have been that are kept no more.

A promise goes when the row's version reaches it. But a version that came after it must not stand for one below it
(docs/consistency.md, "covers"): between the two there may have been a conditional write. So a row has a fence, at or
above each promise that it gave. It is in memory only, and may be forgotten at any time: of a row whose fence is not
known everything up to its version may have been promised, and its version covers nothing.

It is known from the first version on that a row takes here: nothing above what that displaced was promised before, but
what is promised still. So it is kept of the rows that were written last, since who may be covered is under way at the
same time.
"""

from __future__ import annotations

from typing import Final

FENCES_MAX: Final = 2048
"""Of one generation. A row is remembered for so many others at least, and twice as many at most: about a second of as
many writes as a device takes. More do not fit into the processor's cache, and would cost each write half a
microsecond."""
EVERYTHING: Final = b"\xff" * 12


class Fences:
    """The fences of one device, in two generations: the older is forgotten when the newer is full."""

    def __init__(self) -> None:
        self._newer: dict[bytes, bytes] = {}
        self._older: dict[bytes, bytes] = {}

    def of(self, packed: bytes) -> bytes:
        """The stamp below which nothing is covered."""
        fence = self._newer.get(packed)
        return fence if fence is not None else self._older.get(packed, EVERYTHING)

    def begin(self, packed: bytes, fence: bytes) -> None:
        """A row takes a version; it has this fence if none is known."""
        newer = self._newer
        if packed not in newer and packed not in self._older:
            newer[packed] = fence
            if len(newer) >= FENCES_MAX:
                self._age()

    def raise_to(self, packed: bytes, fence: bytes) -> None:
        """A row has at least this fence from now on."""
        self._newer[packed] = max(fence, self._newer.get(packed, b""), self._older.get(packed, b""))
        if len(self._newer) >= FENCES_MAX:
            self._age()

    def clear(self) -> None:
        """Forget them all."""
        self._newer.clear()
        self._older.clear()

    def _age(self) -> None:
        self._older, self._newer = self._newer, {}
