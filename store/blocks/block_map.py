"""The block map of a volume: which block lies where. Pure: what it lacks it names, and whoever has it loads it.

Three levels: leaves with the places of 512 blocks each, directories with the places of 512 leaves, and a top with those
of the directories. Leaves and directories are stored as pages of checkpoints; of those that have not changed since, as
many are in memory as whoever has the map lets there be (`evict`).

What the log says of leaves that are not in memory can be kept beside these (`put_later`, `move_later`), and goes into
each when it is there: so a volume is opened without them.

Beside it is counted how many pages of each log object the map needs, and how many pages of each checkpoint.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from store.blocks.page_table import PAGE_ENTRIES, PAGE_SHIFT, PageTable
from store.blocks.place import HOLE, OBJECT_SHIFT, PAGES_MAX, ZERO, is_stored, pack

LEAVES_DIRTY_MAX: Final = PAGES_MAX // 2
"""A checkpoint is due: it has to have room for as many directories, too."""
_INDEX = PAGE_ENTRIES - 1


class Missing(NamedTuple):
    """A page that is not in memory: a directory or a leaf, its number, and where it is stored."""

    directory: bool
    number: int
    place: int


class Run(NamedTuple):
    """Blocks next to each other that lie so, too; or are all HOLE or all ZERO: `place` is that of the first."""

    first: int
    blocks: int
    place: int


class _Later(NamedTuple):
    """What is to be done with a part of a leaf: blocks `start` up to `stop` of it are put at `place`, those alone that
    lie at `origin` and behind it where that is not None."""

    start: int
    stop: int
    origin: int | None
    place: int


class Frozen(NamedTuple):
    """A map as it was at one moment, to be stored as a checkpoint: page number n (from 1) of it is `pages[n - 1]`.
    `objects` and `checkpoints` say how many pages are needed of which (`place >> OBJECT_SHIFT`)."""

    pages: list[array[int]]
    top: array[int]
    objects: Counter[int]
    checkpoints: Counter[int]


class BlockMap:
    """The map of one volume, or of a snapshot. Ranges are within the volume's size, which is not known here."""

    def __init__(
        self,
        top: array[int] | None = None,
        objects: Counter[int] | None = None,
        checkpoints: Counter[int] | None = None,
    ) -> None:
        """Empty, or as a checkpoint says."""
        self._leaves = PageTable()
        self._directories = PageTable()
        self._later: dict[int, list[_Later]] = {}
        """Of leaves, by their numbers, in order. It counts before all that is put there otherwise."""
        self._top = array("Q") if top is None else top[:]
        self.objects: Counter[int] = Counter(objects)
        self.checkpoints: Counter[int] = Counter(checkpoints)

    # -- what is in memory ---------------------------------------------------------------------------------------

    def missing(self, first: int, count: int) -> list[Missing]:
        """What is to be loaded before these blocks are looked at or changed: directories, and once these are there,
        leaves. Empty where all is in memory that there is."""
        leaves = range(first >> PAGE_SHIFT, (first + count - 1 >> PAGE_SHIFT) + 1)
        directories = range(leaves[0] >> PAGE_SHIFT, (leaves[-1] >> PAGE_SHIFT) + 1)
        lacking = [
            Missing(True, number, self._top[number])
            for number in directories
            if number < len(self._top) and self._top[number] and not self._directories.has(number)
        ]
        if lacking:
            return lacking
        lacking = [
            Missing(False, number, place)
            for number in leaves
            if not self._leaves.has(number) and (place := self.leaf_place(number))
        ]
        if self._later and not lacking:
            for number in leaves:
                self._catch_up(number)
        return lacking

    def leaf_place(self, number: int) -> int:
        """Where a leaf is stored whose directory is in memory, 0 where it is nowhere. The leaf may be `unstored`."""
        directory = self._directories.get(number >> PAGE_SHIFT)
        return 0 if directory is None else directory[number & _INDEX]

    def directory_place(self, number: int) -> int:
        """Where a directory is stored, 0 where it is nowhere. Leaves of it may be `unstored`."""
        return self._top[number] if number < len(self._top) else 0

    @property
    def unstored(self) -> set[int]:
        """The leaves, by their numbers, that may be other than they are stored."""
        return {*self._later, *self._leaves.unstored}

    def lacks(self, missing: Missing) -> bool:
        """Whether a page is not in memory, and is still stored at just this place."""
        number = missing.number
        if missing.directory:
            there = number < len(self._top) and self._top[number] == missing.place
            return there and not self._directories.has(number)
        return not self._leaves.has(number) and self.leaf_place(number) == missing.place

    def loaded(self, missing: Missing, page: bytes | memoryview) -> None:
        """What was missing."""
        (self._directories if missing.directory else self._leaves).add_stored(missing.number, page)

    @property
    def clean_pages(self) -> int:
        """In memory, and stored."""
        return self._leaves.clean + self._directories.clean

    @property
    def pages(self) -> int:
        """In memory, in all."""
        return self._leaves.pages + self._directories.pages

    @property
    def dirty_leaves(self) -> int:
        """How many have changed since the map was last frozen."""
        return self._leaves.dirty + len(self._later)

    @property
    def unstored_leaves(self) -> int:
        """How many have changed since the last checkpoint that is stored, or may have: at most LEAVES_DIRTY_MAX, so
        that whoever opens the volume has no more of them."""
        return self.dirty_leaves + self._leaves.frozen

    def evict(self, keep: int) -> None:
        """Have about so many clean pages in memory, and not more."""
        self._leaves.evict(max(0, keep - self._directories.clean))
        self._directories.evict(keep)

    @property
    def counted(self) -> bool:
        """Whether `objects` says what is needed: nothing is kept for leaves that do not have it."""
        return not self._later

    @property
    def behind(self) -> list[int]:
        """The leaves, by their numbers, that something is kept for which they do not have."""
        return list(self._later)

    # -- looking -------------------------------------------------------------------------------------------------

    def look(self, first: int, count: int) -> list[Run]:
        """Where blocks lie, in runs. Nothing of it is `missing`."""
        runs: list[Run] = []
        for number, start, stop in _pieces(first, count):
            leaf = self._leaves.get(number)
            block = (number << PAGE_SHIFT) + start
            places = leaf[start:stop] if leaf is not None else array("Q", bytes(8 * (stop - start)))
            begins = [0, *(at + 1 for at, (place, after) in enumerate(pairwise(places)) if after != _next(place))]
            for begin, end in pairwise([*begins, len(places)]):
                runs.append(Run(block + begin, end - begin, places[begin]))
        return _joined(runs)

    def leaf(self, number: int) -> array[int]:
        """The places of the blocks of a leaf, to be looked at. Nothing of it is `missing`."""
        return self._leaves.get(number) or array("Q", bytes(8 * PAGE_ENTRIES))

    # -- changing ------------------------------------------------------------------------------------------------

    def put(self, first: int, count: int, place: int) -> None:
        """Blocks lie at `place` and behind it from now on; or are all HOLE, or ZERO. Nothing of it is `missing`."""
        for number, start, stop in _pieces(first, count):
            size = stop - start
            if is_stored(place):
                self._replace(number, start, stop, array("Q", range(place, place + size)))
                place += size
            elif place != HOLE or self._leaves.has(number):
                self._replace(number, start, stop, array("Q", [place]) * size)

    def move(self, first: int, count: int, origin: int, place: int) -> int:
        """The same of blocks that still lie at `origin` and behind it: how many these were. The others stay."""
        moved = 0
        for number, start, stop in _pieces(first, count):
            leaf = self._leaves.get(number)
            size = stop - start
            if leaf is not None:
                new = leaf[start:stop]
                before = moved
                for at, old in enumerate(new):
                    if old == origin + at:
                        new[at] = place + at
                        moved += 1
                if moved > before:
                    self._replace(number, start, stop, new)
            origin += size
            place += size
        return moved

    def put_later(self, first: int, count: int, place: int) -> None:
        """As `put`, whatever is missing."""
        for number, start, stop in _pieces(first, count):
            self._later.setdefault(number, []).append(_Later(start, stop, None, place))
            place += stop - start if is_stored(place) else 0

    def move_later(self, first: int, count: int, origin: int, place: int) -> None:
        """As `move`, whatever is missing."""
        for number, start, stop in _pieces(first, count):
            self._later.setdefault(number, []).append(_Later(start, stop, origin, place))
            origin += stop - start
            place += stop - start

    def _catch_up(self, number: int) -> None:
        """Have in a leaf what was kept for it: it is in memory, if it is stored at all."""
        for start, stop, origin, place in self._later.pop(number, ()):
            first, count = (number << PAGE_SHIFT) + start, stop - start
            if origin is None:
                self.put(first, count, place)
            else:
                self.move(first, count, origin, place)

    def _replace(self, number: int, start: int, stop: int, new: array[int]) -> None:
        self._directories.writable(number >> PAGE_SHIFT)  # it will have to name the leaf, and must not leave memory
        leaf = self._leaves.writable(number)
        old = leaf[start:stop]
        leaf[start:stop] = new
        self._count(old, -1)
        self._count(new, 1)

    def _count(self, places: array[int], by: int) -> None:
        first, size = places[0], len(places)
        if is_stored(first) and places == array("Q", range(first, first + size)):  # most that is long lies in one run
            _add(self.objects, first >> OBJECT_SHIFT, by * size)
            return
        for place in places:
            if place > ZERO:
                _add(self.objects, place >> OBJECT_SHIFT, by)

    # -- pages that are to be stored anew --------------------------------------------------------------------------

    @property
    def directories(self) -> int:
        """How many there may be."""
        return len(self._top)

    def directory_key(self, number: int) -> int:
        """In which checkpoint a directory is stored, as a place without its page; 0 where it is in none."""
        return self._top[number] >> OBJECT_SHIFT

    def leaf_keys(self, directory: int) -> Iterator[tuple[int, int]]:
        """The numbers of the leaves of a directory that is in memory, and in which checkpoint each is stored."""
        page = self._directories.get(directory)
        for at, place in enumerate(page if page is not None else ()):
            if place:
                yield (directory << PAGE_SHIFT) + at, place >> OBJECT_SHIFT

    def touch(self, number: int, *, directory: bool) -> None:
        """Have a page that is in memory stored by the next checkpoint, though it has not changed."""
        if directory:
            self._directories.writable(number)
        elif self._leaves.has(number):
            self._directories.writable(number >> PAGE_SHIFT)
            self._leaves.writable(number)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def freeze(self, depth: int, number: int) -> Frozen:
        """The map as it is now, to be stored as checkpoint `number` of a volume of this depth. It may be changed while
        that is done. Not before the last one is `stored`."""
        assert not self._later, "what is kept for leaves that are not in memory would be left out"
        assert self.dirty_leaves <= LEAVES_DIRTY_MAX, "more than a checkpoint has room for"
        leaves = self._leaves.freeze()
        pages: list[array[int]] = []
        for leaf, page in sorted(leaves.items()):
            pages.append(page)
            directory = self._directories.writable(leaf >> PAGE_SHIFT)
            directory[leaf & _INDEX] = self._placed(directory[leaf & _INDEX], depth, number, len(pages))
        for directory_number, page in sorted(self._directories.freeze().items()):
            pages.append(page)
            if directory_number >= len(self._top):
                self._top.frombytes(bytes(8 * (directory_number + 1 - len(self._top))))
            self._top[directory_number] = self._placed(self._top[directory_number], depth, number, len(pages))
        return Frozen(pages, self._top[:], self.objects.copy(), self.checkpoints.copy())

    def _placed(self, old: int, depth: int, number: int, page: int) -> int:
        new = pack(depth, number, page)
        if old:
            _add(self.checkpoints, old >> OBJECT_SHIFT, -1)
        _add(self.checkpoints, new >> OBJECT_SHIFT, 1)
        return new

    def stored(self) -> None:
        """The last checkpoint that was begun is stored."""
        self._leaves.stored()
        self._directories.stored()


def _pieces(first: int, count: int) -> Iterator[tuple[int, int, int]]:
    """(leaf, start, stop) of what a range has of each leaf."""
    end = first + count
    while first < end:
        number, start = first >> PAGE_SHIFT, first & _INDEX
        stop = min(PAGE_ENTRIES, start + end - first)
        yield number, start, stop
        first += stop - start


def _next(place: int) -> int:
    """What the next block has for a place where it lies behind this one."""
    return place + 1 if is_stored(place) else place


def _joined(runs: list[Run]) -> list[Run]:
    """Runs that go on where another leaf begins, as one."""
    joined = runs[:1]
    for run in runs[1:]:
        last = joined[-1]
        expected = last.place + last.blocks if is_stored(last.place) else last.place
        if run.place == expected:
            joined[-1] = last._replace(blocks=last.blocks + run.blocks)
        else:
            joined.append(run)
    return joined


def _add(counts: Counter[int], key: int, by: int) -> None:
    left = counts[key] + by
    if left:
        counts[key] = left
    else:
        del counts[key]
