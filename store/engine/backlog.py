"""Backlog: what the log has and the index has not yet, and who is to hear of it.

Whoever changes something says so here; maintenance sleeps until then. The backlog is bounded, and with it the memory
table: beyond CHANGES_MAX writers wait until the index has taken some in, and who does not is refused.
"""

from __future__ import annotations

import trio

from store.core.errors import BusyError
from store.engine.merged_index import MergedIndex

FLUSH_CHANGES = 20_000
"""The index is written sooner when so much has changed."""
CHANGES_MAX = 10 * FLUSH_CHANGES
"""Bounds the memory table."""


class Backlog:
    """The backlog of one device."""

    def __init__(self, number: int, index: MergedIndex) -> None:
        self._number = number
        self._index = index
        self._changed = trio.Event()
        self._large = trio.Event()
        self.crowded = False
        """Whether it is so large that writers should wait."""

    @property
    def too_large(self) -> bool:
        """The same, as it is this moment."""
        return self._index.unwritten >= CHANGES_MAX

    def changed(self) -> None:
        """Something has, and the index is to learn of it."""
        self._changed.set()
        if self._index.dirty >= FLUSH_CHANGES:
            self._large.set()
            self.crowded = self.too_large

    def wake(self) -> None:
        """There is something to be done, though nothing may have changed."""
        self._changed.set()

    def written(self) -> None:
        """The index has taken something in, or could not."""
        self.crowded = self.too_large

    def admit(self) -> None:
        """Raises BusyError where no more is taken."""
        if self.crowded:
            raise BusyError(f"the index of device {self._number} is {CHANGES_MAX:,} changes behind its log")

    async def wait_until_due(self, seconds: float) -> None:
        """Wait until something has changed, and then for so long, unless it becomes large before."""
        await self._changed.wait()
        with trio.move_on_after(seconds):
            await self._large.wait()
        self._changed = trio.Event()
        self._large = trio.Event()
