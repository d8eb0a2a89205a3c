"""One line for what cannot be done just now, such as writing to full disks: a warning, and not one for each request."""

from __future__ import annotations

from typing import Any, Final

import structlog

from store.core.clock import Clock

PAUSE_SECONDS: Final = 10.0
"""Between two lines of the same status; the later one says how many there were."""

_log = structlog.get_logger(__name__)


class RefusalLog:
    """What was refused with each status of 500 and above, though nothing is wrong with the program."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[int, float] = {}
        self._unsaid: dict[int, int] = {}

    def note(self, status: int, error: BaseException, **about: Any) -> None:
        """Say it, unless it was said a moment ago."""
        now = self._clock.monotonic()
        if now < self._next.get(status, 0.0):
            self._unsaid[status] = self._unsaid.get(status, 0) + 1
            return
        self._next[status] = now + PAUSE_SECONDS
        unsaid = self._unsaid.pop(status, 0)
        _log.warning("request refused", status=status, error=str(error), others=unsaid, **about)
