"""Work that others need not wait for: an answer with thousands of entries is made in slices, and they have their turn
in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, TypeVar

import trio

T = TypeVar("T")

SLICE: Final = 200
"""Entries that are written out, or looked at, at once: some two milliseconds of the loop."""


async def join(slices: Iterator[bytes]) -> bytes:
    """All slices as one; a single one costs no turn."""
    parts = [next(slices, b"")]
    for part in slices:
        parts.append(part)
        await trio.lowlevel.checkpoint()
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def sliced(items: Sequence[T], size: int) -> AsyncIterator[Sequence[T]]:
    """The items, so many at once."""
    yield items[:size]
    for start in range(size, len(items), size):
        await trio.lowlevel.checkpoint()
        yield items[start : start + size]
