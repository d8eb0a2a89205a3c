"""Walking through the maps of a volume's roots, one after the other: of each what differs from the one before.

Roots of one volume share most of their pages. So all of them are gone through at the cost of the first, and of what
changed. Of a map a directory and its leaves are in memory, however large it is.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import trio

from store.blocks.checkpoints import Checkpoints
from store.blocks.page_table import PAGE_ENTRIES, PAGE_SHIFT
from store.blocks.place import OBJECT_SHIFT, ZERO, is_stored, unpack
from store.core.errors import DamageError, DrystoneError

READ_PAGES: Final = 64
"""Pages that lie one behind another are read together, so many at most."""
Placed = tuple[int, int, int]
"""(place, blocks, first block): so many blocks lie at this place and behind it."""
_EMPTY: Final = array("Q", bytes(8 * PAGE_ENTRIES))


class MapWalk:
    """Begins with an empty map. `objects` and `checkpoints` say how many blocks of the map that was gone through last
    lie in which log object, and how many of its pages in which checkpoint, by `place >> OBJECT_SHIFT`."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._top: array[int] = array("Q")
        self._pages: dict[int, int] = {}
        """How many pages checkpoints have, by their keys."""
        self.objects: Counter[int] = Counter()
        self.checkpoints: Counter[int] = Counter()
        self.bad: dict[int, str] = {}
        """Pages that cannot be read, by their places, and why. They count as empty."""
        self.read = 0
        """So many pages were read."""

    async def to(
        self, top: array[int], on_runs: Callable[[list[Placed]], None], on_turn: Callable[[], Awaitable[None]]
    ) -> None:
        """Go on to the map with this top. `on_runs` is told of blocks that lie elsewhere than before; `on_turn` is
        called now and then. What cannot be read is `bad`."""
        for number in range(max(len(top), len(self._top))):
            old, new = _at(self._top, number), _at(top, number)
            if old == new:
                continue
            before, after = await self._directory(old), await self._directory(new)
            changed = [at for at in range(PAGE_ENTRIES) if before[at] != after[at]]
            for low in range(0, len(changed), READ_PAGES):
                some = changed[low : low + READ_PAGES]
                leaves = await self._load([before[at] for at in some])
                leaves |= await self._load([after[at] for at in some])
                for at in some:
                    first = (number << PAGE_SHIFT | at) << PAGE_SHIFT
                    self._note_pages(before[at], after[at])
                    on_runs(self._changes(first, leaves[before[at]], leaves[after[at]]))
                await on_turn()
                await trio.lowlevel.checkpoint()
            self._note_pages(old, new)
        self._top = top

    def _note_pages(self, old: int, new: int) -> None:
        _add(self.checkpoints, old, -1)
        _add(self.checkpoints, new, 1)

    def _changes(self, first: int, old: array[int], new: array[int]) -> list[Placed]:
        """Blocks of a leaf that lie elsewhere, in runs; they are counted."""
        gone = [place >> OBJECT_SHIFT for place, now in zip(old, new, strict=True) if place != now and place > ZERO]
        self.objects.subtract(gone)
        if is_stored(new[0]) and old is _EMPTY and new == array("Q", range(new[0], new[0] + PAGE_ENTRIES)):
            self.objects[new[0] >> OBJECT_SHIFT] += PAGE_ENTRIES  # what was written in one go
            return [(new[0], PAGE_ENTRIES, first)]
        self.objects.update(
            [place >> OBJECT_SHIFT for before, place in zip(old, new, strict=True) if place != before and place > ZERO]
        )
        runs: list[Placed] = []
        start = length = expected = 0
        for at, place in enumerate(new):
            if place == expected and length and old[at] != place:
                length += 1
                expected += 1
                continue
            if length:
                runs.append((expected - length, length, first + start))
                length = 0
            if place > ZERO and old[at] != place:
                start, length, expected = at, 1, place + 1
        if length:
            runs.append((expected - length, length, first + start))
        return runs

    async def _directory(self, place: int) -> array[int]:
        return (await self._load([place]))[place]

    async def _load(self, places: list[int]) -> dict[int, array[int]]:
        """Pages, by their places. What is bad is empty."""
        loaded = {0: _EMPTY}
        wanted = sorted({place for place in places if place})
        for place, count in _neighbours(wanted):
            try:
                if (known := self.bad.get(place)) is not None:
                    raise DamageError(known)
                await self._check_number(place + count - 1)
                together = await self._checkpoints.pages(place, count)
                for at in range(count):
                    loaded[place + at] = together[at * PAGE_ENTRIES : (at + 1) * PAGE_ENTRIES]
                self.read += count
            except DrystoneError as error:
                if count > 1:  # which of them is it?
                    for at in range(count):
                        loaded |= await self._load([place + at])
                else:
                    self.bad[place], loaded[place] = str(error), _EMPTY
        return loaded

    async def _check_number(self, place: int) -> None:
        """Raises DamageError where the checkpoint has no such page: what lies behind its pages is none."""
        depth, number, page = unpack(place)
        key = place >> OBJECT_SHIFT
        if key not in self._pages:
            self._pages[key] = (await self._checkpoints.footer(depth, number)).pages
        if not 1 <= page <= self._pages[key]:
            raise DamageError(f"checkpoint {number} has {self._pages[key]} pages")


def _at(top: array[int], number: int) -> int:
    return top[number] if number < len(top) else 0


def _add(counts: Counter[int], place: int, by: int) -> None:
    if is_stored(place):
        counts[place >> OBJECT_SHIFT] += by


def _neighbours(places: list[int]) -> Iterator[tuple[int, int]]:
    """Those that follow each other, as (first, how many)."""
    first = count = 0
    for place in places:
        if count and place == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = place, 1
    if count:
        yield first, count
