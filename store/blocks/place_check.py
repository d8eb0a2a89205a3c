"""Whether places are right: each is to be a page that its log object has, of just that block. Pure.

Places come in the order of blocks, and are looked at in the order of log objects, so that the table of contents of each
is read once. Of a large map not all are in memory at one time: what does not fit is left to another walk.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from store.blocks.contents import Contents
from store.blocks.head import SIZE_MAX
from store.blocks.page_table import PAGE_SHIFT
from store.blocks.place import BLOCK_BYTES, OBJECT_SHIFT, PAGES_MAX

RUNS_MAX: Final = 12_000_000
"""Runs of places that are in memory: 8 bytes each."""
KEPT_SHARE: Final = 0.75
"""When there are more, so much of that is kept."""
_BLOCKS_SHIFT: Final = (SIZE_MAX // BLOCK_BYTES - 1).bit_length()
_PAGE_SHIFT: Final = _BLOCKS_SHIFT + PAGE_SHIFT + 1
_BLOCKS: Final = (1 << PAGE_SHIFT + 1) - 1
_FIRST: Final = (1 << _BLOCKS_SHIFT) - 1
"""A run is a number: page, blocks (no more than a leaf has), first block."""


class OnPage(NamedTuple):
    """So many blocks lie at this page of a log object, and behind it."""

    page: int
    blocks: int
    first: int


class Batch:
    """Places in log objects, from a key on (`place >> OBJECT_SHIFT`), as many as there is room for."""

    def __init__(self, low: int = 0) -> None:
        self._low = low
        self.high: int | None = None
        """From this key on there was no room: the next batch begins with it."""
        self._runs: dict[int, array[int]] = {}
        self._count = 0

    def add(self, placed: list[tuple[int, int, int]]) -> None:
        """(place, blocks, first block): so many blocks, of one leaf, lie at this place and behind it."""
        low, high = self._low, self.high if self.high is not None else 1 << 48
        by_key, count = self._runs, self._count
        for place, blocks, first in placed:
            key = place >> OBJECT_SHIFT
            if low <= key < high:
                if key not in by_key:
                    by_key[key] = array("Q")
                by_key[key].append((place & PAGES_MAX) << _PAGE_SHIFT | blocks << _BLOCKS_SHIFT | first)
                count += 1
        self._count = count
        if count > RUNS_MAX:
            self._shrink()

    def _shrink(self) -> None:
        keys = sorted(self._runs)
        while self._count > RUNS_MAX * KEPT_SHARE and len(keys) > 1:
            self.high = keys.pop()
            self._count -= len(self._runs.pop(self.high))

    @property
    def keys(self) -> list[int]:
        return sorted(self._runs)

    def placed(self, key: int) -> list[OnPage]:
        """What lies in a log object, in the order of pages."""
        return [
            OnPage(run >> _PAGE_SHIFT, run >> _BLOCKS_SHIFT & _BLOCKS, run & _FIRST) for run in sorted(self._runs[key])
        ]


def wrong(contents: Contents, placed: list[OnPage]) -> Iterator[str]:
    """What is wrong with what lies in a log object, in words."""
    entries = [(page, entry) for entry, page in contents.entries() if entry.pages]
    starts = [page for page, _ in entries]
    for run in placed:
        page, block, left = run.page, run.first, run.blocks
        while left:
            at = bisect_right(starts, page) - 1
            if not 1 <= page <= contents.pages:
                yield f"block {block} is at page {page} of it, and it has {contents.pages}"
                break
            start, entry = entries[at]
            there = entry.first + page - start
            if there != block:
                yield f"block {block} is at page {page} of it, where block {there} is"
                break
            some = min(left, start + entry.blocks - page)
            page, block, left = page + some, block + some, left - some


def page_ranges(placed: list[OnPage]) -> Iterator[tuple[int, int]]:
    """(first page, pages) of what lies there, each page once."""
    begin = end = 0
    for run in placed:
        if run.page > end:
            if end:
                yield begin, end - begin
            begin = run.page
        end = max(end, run.page + run.blocks)
    if end:
        yield begin, end - begin
