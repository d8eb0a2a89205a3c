"""What differs between two maps of one volume: blocks that lie elsewhere, and so may be other ones.

Pages that both maps have stored at the same place are the same, and so is all below them: they are skipped. So it costs
what changed, not what there is. What has only been moved meanwhile, as the cleaner does, is told of, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import trio

from store.blocks.page_table import PAGE_ENTRIES, PAGE_SHIFT
from store.blocks.place import ZERO
from store.blocks.stored_map import StoredMap

LEAVES: Final = 64
"""So many are loaded of each map at one time."""


class Blocks(NamedTuple):
    """Blocks next to each other."""

    first: int
    blocks: int


class MapChanges:
    """From one map to another. Nobody else uses or changes either meanwhile."""

    def __init__(self, old: StoredMap, new: StoredMap) -> None:
        self._old = old
        self._new = new
        self._unstored = sorted(old.map.unstored | new.map.unstored)

    async def within(self, first: int, count: int, limit: int) -> list[Blocks]:
        """Those of a range, in order, up to `limit`: where there are as many, there may be more behind them."""
        found: list[Blocks] = []
        end = first + count
        leaves = range(first >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) + 1) if count else range(0)
        for some in self._directories(leaves):
            wanted = await self._differing(some)
            for low in range(0, len(wanted), LEAVES):
                batch = wanted[low : low + LEAVES]
                for map_ in (self._old, self._new):
                    await map_.ensure([(number << PAGE_SHIFT, PAGE_ENTRIES) for number in batch])
                for number in batch:
                    _append(found, self._leaf(number, first, end))
                await trio.lowlevel.checkpoint()
                if len(found) > limit:
                    return found[:limit]
        return found[:limit]

    def _directories(self, leaves: range) -> Iterator[range]:
        """The leaves of each directory that is not the same in both maps."""
        unstored = {number >> PAGE_SHIFT for number in self._unstored}
        for number in range(leaves.start >> PAGE_SHIFT, (leaves.stop - 1 >> PAGE_SHIFT) + 1):
            same = self._old.map.directory_place(number) == self._new.map.directory_place(number)
            if not same or number in unstored:
                start = number << PAGE_SHIFT
                yield range(max(leaves.start, start), min(leaves.stop, start + PAGE_ENTRIES))

    async def _differing(self, leaves: range) -> list[int]:
        """Those of one directory that are not the same in both maps."""
        for map_ in (self._old, self._new):
            await map_.ensure_directory(leaves.start << PAGE_SHIFT)
        unstored = {number for number in self._unstored if number in leaves}
        return [
            number
            for number in leaves
            if number in unstored or self._old.map.leaf_place(number) != self._new.map.leaf_place(number)
        ]

    def _leaf(self, number: int, first: int, end: int) -> Iterator[Blocks]:
        """Of one leaf, within a range of blocks."""
        start = number << PAGE_SHIFT
        low, high = max(first - start, 0), min(end - start, PAGE_ENTRIES)
        old, new = self._old.map.leaf(number), self._new.map.leaf(number)
        if old == new:
            return
        for at in range(low, high):
            if old[at] != new[at] and max(old[at], new[at]) > ZERO:
                yield Blocks(start + at, 1)


def _append(found: list[Blocks], more: Iterator[Blocks]) -> None:
    """Those that go on where the last ends are one with it."""
    for one in more:
        if found and sum(found[-1]) == one.first:
            found[-1] = Blocks(found[-1].first, found[-1].blocks + one.blocks)
        else:
            found.append(one)
