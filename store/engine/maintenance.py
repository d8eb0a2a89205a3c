"""Maintenance: the index follows the log, space comes back, and what is to be counted anew is; while a device is open.

It sleeps while nothing is written. What cannot be done now is tried again; a disk that fails takes the device out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from store.core.errors import DeviceError, DrystoneError
from store.engine.backlog import Backlog
from store.engine.committer import FULL_ERRNOS
from store.engine.compaction import Compactor
from store.engine.flush import Flusher
from store.engine.health import Health
from store.engine.options import Options
from store.engine.room import Room
from store.engine.row_table import RowTable
from store.engine.spares import Spares

log = structlog.get_logger()

FULL_COMPACT_BELOW = 0.9
"""On a full device even a little garbage is worth copying a segment for."""


class Maintenance:
    """The loop of one device."""

    def __init__(
        self,
        number: int,
        options: Options,
        health: Health,
        room: Room,
        backlog: Backlog,
        spares: Spares,
        row_table: RowTable,
        flusher: Flusher,
        compactor: Compactor,
        before_flush: Callable[[], None],
        on_failed: Callable[[DrystoneError], object],
    ) -> None:
        self._number = number
        self._options = options
        self._health = health
        self._room = room
        self._backlog = backlog
        self._spares = spares
        self._row_table = row_table
        self._flusher = flusher
        self._compactor = compactor
        self._before_flush = before_flush
        self._on_failed = on_failed

    async def run(self) -> None:
        """Follow the log, until cancelled."""
        while True:
            await self._backlog.wait_until_due(self._options.flush_seconds)
            await self._row_table.recount()
            written = await self._try(self.flush, "index not written")
            # Also where the index could not be written: what is compacted may be what makes room for it.
            below = self._options.compact_below if not self._room.full else FULL_COMPACT_BELOW
            compacted = await self._try(partial(self.compact, below), "log not compacted")
            if not (written and compacted):
                await trio.sleep(self._options.flush_seconds)
                self._backlog.wake()

    async def _try(self, work: Callable[[], Awaitable[object]], trouble: str) -> bool:
        """Do what is to be done again if it cannot be done now. A disk that fails takes the device out."""
        try:
            await work()
        except DrystoneError as error:
            log.warning(trouble, device=self._number, error=str(error))
            return False
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                self._on_failed(DeviceError(f"{trouble}: {error}"))
            log.warning(trouble, device=self._number, error=str(error))
            return False
        return True

    async def flush(self) -> None:
        """Write everything published so far to the index, then give back the space that this frees."""
        self._before_flush()
        try:
            removed = await self._flusher.flush(recycle=self._spares.wanted)
        finally:
            self._backlog.written()
        for segment in removed:
            self._compactor.removed(segment)

    async def compact(self, below: float) -> int:
        """Compact one log segment whose share of live bytes is below this, and give it back. Returns the bytes
        copied."""
        victims = self._compactor.compactable(below)
        if not victims:
            return 0
        copied = await self._compactor.compact_segment(victims[0])
        await self.flush()
        return copied

    async def wait_for_index(self) -> None:
        """Wait until the backlog is not too large any more, or the device is out."""
        while self._backlog.too_large and self._health.failed is None:
            await self._flusher.written.wait()
        self._backlog.crowded = False
