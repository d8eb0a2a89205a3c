"""Spares: the next log segments, made in the background before they are needed."""

from __future__ import annotations

from collections.abc import Callable

import outcome
import structlog

from store.core.errors import DeviceError, DrystoneError
from store.core.worker import Worker
from store.engine.committer import FULL_ERRNOS
from store.engine.options import Options
from store.engine.room import Room
from store.engine.segment import Segments

log = structlog.get_logger()


class Spares:
    """Keeps one device's spare log segments."""

    def __init__(
        self,
        number: int,
        segments: Segments,
        options: Options,
        room: Room,
        worker: Worker,
        on_failed: Callable[[DrystoneError], object],
    ) -> None:
        self._number = number
        self._segments = segments
        self._options = options
        self._room = room
        self._worker = worker
        self._on_failed = on_failed
        self._making = False

    def wanted(self) -> bool:
        """Whether one more should be kept."""
        return len(self._segments.spares) < self._options.spares and not self._room.full

    def rolled(self, _segment: int) -> None:
        """A log segment was taken into use: have the next one ready before it is needed."""
        if self._making or not self.wanted():
            return
        self._making = True
        self._worker.submit(self._segments.make_spare, self._made)

    def _made(self, result: outcome.Maybe[str]) -> None:
        self._making = False
        if isinstance(result, outcome.Value):
            self._segments.spares.append(result.value)
            return
        error = result.error
        log.warning("no spare log segment", device=self._number, error=repr(error))
        if not (isinstance(error, OSError) and error.errno in FULL_ERRNOS):
            self._on_failed(DeviceError(f"a log segment cannot be made: {error}"))
