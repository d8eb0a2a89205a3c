"""Listings: a merge of ordered range reads of a table's shards, folded at the delimiter, a page at a time.

Nothing is copied and nothing lags: the rows are the listing. A table is never loaded whole: each shard is read a page
ahead, and behind a folded name the cursors jump over everything that it covers. Between two pages others have their
turn: a page bounds what is looked at, not what is found, so neither a listing of thousands nor a container full of
tombstones holds the loop.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

import trio

from store.engine.row import IndexRow
from store.objects.model import ListingQuery
from store.objects.rows import Rows

PAGE_MIN = 32
PAGE_MAX = 96
"""Rows of one shard, at each of two replicas: a millisecond, or ten where other threads want the interpreter, which
LMDB lets go at every step."""
FIRST_NAME = b"\x01"
"""Client names begin here: what begins with a zero byte is the store's own."""


class Folded(NamedTuple):
    """Names that share all up to and including the delimiter."""

    name: bytes


class _Cursor:
    """One shard, read in order."""

    def __init__(self, rows: Rows, table: bytes, shard: int, low: bytes, high: bytes | None, page: int, reverse: bool):
        self._rows = rows
        self._table = table
        self._shard = shard
        self._low = low
        self._high = high
        self._page = page
        self._reverse = reverse
        self._ready: list[IndexRow] = []
        self._more = True

    async def head(self) -> IndexRow | None:
        """The next row, or None at the end."""
        while not self._ready and self._more:
            await trio.lowlevel.checkpoint()
            rows, last = await self._rows.list_shard(
                self._table, self._shard, self._low, self._high, self._page, reverse=self._reverse
            )
            self._page = min(2 * self._page, PAGE_MAX)  # tombstones may be all that there is
            self._ready = rows[::-1]
            self._more = last is not None
            if last is not None and self._reverse:
                self._high = last
            elif last is not None:
                self._low = last + b"\0"
        return self._ready[-1] if self._ready else None

    def pop(self) -> None:
        self._ready.pop()

    def jump(self, bound: bytes) -> None:
        """Go on behind everything up to `bound` (exclusive in the direction of travel)."""
        if self._reverse:
            while self._ready and self._ready[-1].name >= bound:
                self._ready.pop()
            self._high = bound if self._high is None else min(self._high, bound)
        else:
            while self._ready and self._ready[-1].name < bound:
                self._ready.pop()
            self._low = max(self._low, bound)


async def list_table(
    rows: Rows, table: bytes, shards: int, query: ListingQuery, now_seconds: int
) -> list[IndexRow | Folded]:
    """One page of a table. Rows that have expired are left out."""
    found: list[IndexRow | Folded] = []
    async with aclosing(_walk(rows, table, shards, query, now_seconds)) as entries:
        async for entry in entries:
            found.append(entry)
            if len(found) >= query.limit:
                break
    return found


async def _walk(
    rows: Rows, table: bytes, shards: int, query: ListingQuery, now_seconds: int
) -> AsyncGenerator[IndexRow | Folded, None]:
    if query.limit <= 0:
        return
    bounds = _bounds(query)
    if bounds is None:
        return
    low, high = bounds
    page = max(PAGE_MIN, min(PAGE_MAX, query.limit // shards + query.limit // (4 * shards) + 8))
    cursors = [_Cursor(rows, table, shard, low, high, page, query.reverse) for shard in range(shards)]
    heap = await _heads(cursors, None, query.reverse)
    prefix, delimiter = query.prefix.encode(), query.delimiter.encode()
    shown_before = (query.end_marker if query.reverse else query.marker).encode()
    while heap:
        cursor = cursors[heap[0][1]]
        row = await cursor.head()
        assert row is not None
        at = row.name.find(delimiter, len(prefix)) if delimiter else -1
        if at >= 0:
            folded = row.name[: at + len(delimiter)]
            if folded != shown_before:
                yield Folded(folded)
            bound = folded if query.reverse else _behind(folded)
            heap = await _heads(cursors, bound, query.reverse)
            continue
        if not row.expires or row.expires > now_seconds:
            yield row
        cursor.pop()
        head = await cursor.head()
        if head is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (_Order(head.name, query.reverse), heap[0][1]))


async def _heads(cursors: list[_Cursor], bound: bytes | None, reverse: bool) -> list[tuple[_Order, int]]:
    """A heap of what the cursors stand on, once they have jumped to `bound`."""
    heap = []
    for number, cursor in enumerate(cursors):
        if bound is not None:
            cursor.jump(bound)
        head = await cursor.head()
        if head is not None:
            heap.append((_Order(head.name, reverse), number))
    heapq.heapify(heap)
    return heap


class _Order:
    """Orders names in the direction of travel."""

    __slots__ = ("name", "reverse")

    def __init__(self, name: bytes, reverse: bool) -> None:
        self.name = name
        self.reverse = reverse

    def __lt__(self, other: _Order) -> bool:
        return self.name > other.name if self.reverse else self.name < other.name


def _bounds(query: ListingQuery) -> tuple[bytes, bytes | None] | None:
    """[low, high) of names that the query may show, or None where there are none."""
    prefix = query.prefix.encode()
    low: bytes = max(prefix, FIRST_NAME)
    high = _behind(prefix) if prefix else None
    lower, upper = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
    if lower:
        low = max(low, lower.encode() + b"\0")
    if upper:
        high = upper.encode() if high is None else min(high, upper.encode())
    return None if high is not None and low >= high else (low, high)


def _behind(prefix: bytes) -> bytes:
    """The first name behind all that begin with `prefix`, whose last byte, being UTF-8, is not the highest."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
