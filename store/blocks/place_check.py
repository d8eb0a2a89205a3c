"""Whether places are right: each is to be a page that its log object has, of just that block. Pure.

Places come in the order of blocks, and are looked at in the order of log objects, so that the table of contents of each
is read once. Of a large map not all are in memory at one time: what does not fit is left to another walk.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from store.blocks.block_map import Run
from store.blocks.contents import Contents
from store.blocks.place import OBJECT_SHIFT, PAGES_MAX

NUMBERS_MAX: Final = 6_000_000
"""Of places that are in memory: three for each run of them, 8 bytes each."""
KEPT_SHARE: Final = 0.75
"""When there are more, so much of that is kept."""


class Placed(NamedTuple):
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
        self._numbers = 0

    def add(self, run: Run) -> None:
        key = run.place >> OBJECT_SHIFT
        if key < self._low or (self.high is not None and key >= self.high):
            return
        if (runs := self._runs.get(key)) is None:
            runs = self._runs[key] = array("Q")
        runs.extend((run.place & PAGES_MAX, run.blocks, run.first))
        self._numbers += 3
        if self._numbers > NUMBERS_MAX:
            self._shrink()

    def _shrink(self) -> None:
        keys = sorted(self._runs)
        while self._numbers > NUMBERS_MAX * KEPT_SHARE and len(keys) > 1:
            self.high = keys.pop()
            self._numbers -= len(self._runs.pop(self.high))

    @property
    def keys(self) -> list[int]:
        return sorted(self._runs)

    def placed(self, key: int) -> list[Placed]:
        """What lies in a log object, in the order of pages."""
        runs = self._runs[key]
        return sorted(Placed(*runs[at : at + 3]) for at in range(0, len(runs), 3))


def wrong(contents: Contents, placed: list[Placed]) -> Iterator[str]:
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


def page_ranges(placed: list[Placed]) -> Iterator[tuple[int, int]]:
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
