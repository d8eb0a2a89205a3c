"""Pages of a map: those in memory, and where the others are stored. Pure.

A page is 512 numbers of 8 bytes. One that was changed since the last checkpoint is **dirty**. `freeze` hands all of
these out to be stored; until that is done they are **frozen**: who changes one changes a copy of it. A page that is
neither is **clean**: it may leave memory, since it can be had from where it is stored.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict

PAGE_SHIFT = 9
PAGE_ENTRIES = 1 << PAGE_SHIFT
_EMPTY = bytes(8 * PAGE_ENTRIES)


class PageTable:
    """Pages by their numbers. Whoever asks for one has seen to it that it is in memory, if it is stored at all
    (`has`)."""

    def __init__(self) -> None:
        self._dirty: dict[int, array[int]] = {}
        self._frozen: dict[int, array[int]] = {}
        self._clean: OrderedDict[int, array[int]] = OrderedDict()
        """The one that was used last is last."""

    def has(self, number: int) -> bool:
        return number in self._dirty or number in self._frozen or number in self._clean

    def get(self, number: int) -> array[int] | None:
        """A page to be looked at; None where it is not in memory."""
        page = self._dirty.get(number) or self._frozen.get(number)
        if page is None and (page := self._clean.get(number)) is not None:
            self._clean.move_to_end(number)
        return page

    def writable(self, number: int) -> array[int]:
        """A page to be changed: a new one where there was none."""
        page = self._dirty.get(number)
        if page is None:
            if (frozen := self._frozen.get(number)) is not None:
                page = frozen[:]
            else:
                page = self._clean.pop(number, None) or array("Q", _EMPTY)
            self._dirty[number] = page
        return page

    def add_stored(self, number: int, page: bytes | memoryview) -> None:
        """A page as it is stored, which was not in memory."""
        if not self.has(number):
            self._clean[number] = array("Q", page)

    @property
    def unstored(self) -> list[int]:
        """The numbers of those that are not known to be stored as they are."""
        return [*self._dirty, *self._frozen]

    @property
    def dirty(self) -> int:
        """How many have changed since they were last frozen."""
        return len(self._dirty)

    @property
    def frozen(self) -> int:
        """How many are frozen."""
        return len(self._frozen)

    def freeze(self) -> dict[int, array[int]]:
        """What has changed, to be stored as it is now. Not before the last that were frozen are stored."""
        assert not self._frozen, "frozen twice"
        self._frozen, self._dirty = self._dirty, {}
        return self._frozen

    def stored(self) -> None:
        """What was frozen is stored."""
        for number, page in self._frozen.items():
            if number not in self._dirty:
                self._clean[number] = page
        self._frozen = {}

    @property
    def pages(self) -> int:
        """How many are in memory."""
        return len(self._dirty) + len(self._frozen) + len(self._clean)

    @property
    def clean(self) -> int:
        """How many could leave memory."""
        return len(self._clean)

    def evict(self, keep: int) -> None:
        """Have no more clean pages in memory than this: those go that were used longest ago."""
        while len(self._clean) > keep:
            self._clean.popitem(last=False)
