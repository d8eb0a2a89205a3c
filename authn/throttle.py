"""Slows down guessing: after some failures in a row a name must wait before it may try again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from store.core.clock import Clock

FREE_FAILURES: Final = 10
WAIT_SECONDS_MAX: Final = 30.0
"""Whoever guesses at a name keeps its owner out too, so never for long."""

NAMES_MAX: Final = 10_000


class Throttle:
    """Failures by name, in this process only; the names that failed longest ago are forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admits(self, name: str) -> bool:
        """Whether the name may try now."""
        _, until = self._failures.get(name, (0, 0.0))
        return self._clock.monotonic() >= until

    def failed(self, name: str) -> None:
        """It tried in vain."""
        count = self._failures.pop(name, (0, 0.0))[0] + 1
        over = count - FREE_FAILURES
        wait = min(2.0 ** min(over, 10), WAIT_SECONDS_MAX) if over >= 0 else 0.0
        self._failures[name] = count, self._clock.monotonic() + wait
        if len(self._failures) > NAMES_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """It got in."""
        self._failures.pop(name, None)
