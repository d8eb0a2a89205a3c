"""Listings: ordered range reads of a table's shards, merged, and folded at the delimiter, a page at a time.

Nothing is copied and nothing lags: the rows are the listing. A table is never loaded whole: each shard is read a page
ahead, and what all shards have read up to is sorted at once; behind a folded name the cursors jump over everything that
it covers. Between two pages others have their turn: a page bounds what is looked at, not what is found, so neither a
listing of thousands nor a container full of tombstones holds the loop.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import trio

from store.device.row import ListedRow, decode_names
from store.objects.model import ListingQuery
from store.objects.rows import Rows
from store.objects.shards import WHOLE_ROWS, ListingForm, Shards

T = TypeVar("T")

PAGE_MIN = 32
PAGE_MAX = 160
"""Rows of one shard, at each of two replicas: half a millisecond, or ten where other threads want the interpreter,
which LMDB lets go at every step."""
FIRST_NAME = b"\x01"
"""Client names begin here: what begins with a zero byte is the store's own."""


class Folded(NamedTuple):
    """Names that share all up to and including the delimiter."""

    name: bytes


class _Cursor(Generic[T]):
    """One shard, read in order, a page ahead."""

    def __init__(self, listing: _Listing[T], shard: int, low: bytes, high: bytes | None, page: int) -> None:
        self._listing = listing
        self._shard = shard
        self._low = low
        self._high = high
        self._page = page
        self._ready: list[T] = []
        self.end: bytes | None = None
        """The last name that was looked at, where there may be more behind it."""
        self._more = True

    async def fill(self) -> None:
        """Read on until there is a row, or no more."""
        listing = self._listing
        while not self._ready and self._more:
            await trio.lowlevel.checkpoint()
            self._ready, self.end = await Shards(listing.rows).page(
                listing.table, self._shard, self._low, self._high, self._page, listing.form, reverse=listing.reverse
            )
            self._page = min(2 * self._page, PAGE_MAX)  # tombstones may be all that there is
            self._more = self.end is not None
            if self.end is not None and listing.reverse:
                self._high = self.end
            elif self.end is not None:
                self._low = self.end + b"\0"

    def take(self, bound: bytes | None) -> list[T]:
        """The rows up to a name, that one with them; all, where there is none."""
        ready, name = self._ready, self._listing.name
        if bound is None:
            at = len(ready)
        elif self._listing.reverse:
            at = bisect_right(ready, -1, key=lambda row: -1 if name(row) >= bound else 1)
        else:
            at = bisect_right(ready, bound, key=name)
        self._ready = ready[at:]
        return ready[:at] if at < len(ready) else ready

    def jump(self, bound: bytes) -> None:
        """Go on behind everything up to `bound` (exclusive in the direction of travel)."""
        name = self._listing.name
        if self._listing.reverse:
            self._ready = [row for row in self._ready if name(row) < bound]
            self._high = bound if self._high is None else min(self._high, bound)
        else:
            self._ready = [row for row in self._ready if name(row) >= bound]
            self._low = max(self._low, bound)


class _Listing(Generic[T]):
    """All shards of a table, read together."""

    def __init__(
        self,
        rows: Rows,
        table: bytes,
        shards: int,
        query: ListingQuery,
        form: ListingForm[T],
        name: Callable[[T], bytes],
    ) -> None:
        self.rows = rows
        self.table = table
        self.form = form
        self.name = name
        self.reverse = query.reverse
        bounds = _bounds(query)
        self.done = query.limit <= 0 or bounds is None
        """There is nothing more."""
        page = max(PAGE_MIN, min(PAGE_MAX, query.limit // shards + query.limit // (4 * shards) + 8))
        self.cursors = [_Cursor(self, shard, *bounds, page) for shard in range(shards)] if bounds is not None else []

    async def read(self) -> list[T]:
        """The rows that follow, in order: as far as all shards were read."""
        cursors = self.cursors
        for cursor in cursors:
            await cursor.fill()
        # Beyond the nearest end of what was read a shard may have names that are still to come.
        ends = [cursor.end for cursor in cursors if cursor.end is not None]
        self.done = not ends
        bound = (max(ends) if self.reverse else min(ends)) if ends else None
        merged = [row for cursor in cursors for row in cursor.take(bound)]
        merged.sort(key=self.name, reverse=self.reverse)
        return merged


async def list_table(
    rows: Rows, table: bytes, shards: int, query: ListingQuery, now_seconds: int
) -> list[ListedRow | Folded]:
    """One page of a table. Rows that have expired are left out."""
    listing = _Listing(rows, table, shards, query, WHOLE_ROWS, _name)
    fold = _Fold(query)
    found: list[ListedRow | Folded] = []
    while not listing.done and len(found) < query.limit:
        merged = await listing.read()
        if not fold.delimiter:
            found += [row for row in merged if _is_shown(row, now_seconds)]
        elif fold.add(merged, found, now_seconds):
            for cursor in listing.cursors:
                cursor.jump(fold.behind)
    return found[: query.limit]


async def list_names(rows: Rows, table: bytes, shards: int, query: ListingQuery, now_seconds: int) -> list[bytes]:
    """The names alone of a page, where nothing is folded."""

    def of_rows(some: list[ListedRow]) -> list[bytes]:
        return [row.name for row in some if _is_shown(row, now_seconds)]

    form = ListingForm(partial(decode_names, now_seconds=now_seconds), of_rows)
    listing = _Listing(rows, table, shards, query, form, bytes)
    found: list[bytes] = []
    while not listing.done and len(found) < query.limit:
        found += await listing.read()
    return found[: query.limit]


class _Fold:
    """Folds names at the delimiter."""

    def __init__(self, query: ListingQuery) -> None:
        self.delimiter = query.delimiter.encode()
        self._from = len(query.prefix.encode())
        self._reverse = query.reverse
        self._limit = query.limit
        self._shown = (query.end_marker if query.reverse else query.marker).encode()
        self.behind = b""
        """Where all that the last folded name covers ends (exclusive in the direction of travel)."""

    def add(self, rows: list[ListedRow], found: list[ListedRow | Folded], now_seconds: int) -> bool:
        """Add rows, in order, up to the limit; whether any was folded. One that has expired is folded too."""
        folds = False
        for row in rows:
            name = row.name
            if self.behind and (name >= self.behind if self._reverse else name < self.behind):
                continue
            at = name.find(self.delimiter, self._from)
            if at >= 0:
                folded = name[: at + len(self.delimiter)]
                self.behind = folded if self._reverse else _behind(folded)
                folds = True
                if folded == self._shown:
                    continue
                found.append(Folded(folded))
            elif _is_shown(row, now_seconds):
                found.append(row)
            if len(found) >= self._limit:
                break
        return folds


def _is_shown(row: ListedRow, now_seconds: int) -> bool:
    return not row.expires or row.expires > now_seconds


def _name(row: ListedRow) -> bytes:
    return row.name


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
