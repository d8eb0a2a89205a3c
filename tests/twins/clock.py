"""A clock that moves only when a test says so."""

from __future__ import annotations

DAWN_US = 1_700_000_000_000_000
"""Where it starts: an instant that is no round number of days."""


class ManualClock:
    """Wall and monotonic time from one counter of microseconds; every reading advances it by `tick_us`."""

    def __init__(self, start_us: int = DAWN_US, tick_us: int = 0) -> None:
        self.now_us = start_us
        self._start_us = start_us
        self._tick_us = tick_us

    def wall_us(self) -> int:
        self.now_us += self._tick_us
        return self.now_us

    def monotonic(self) -> float:
        return (self.now_us - self._start_us) / 1e6

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_us += int(seconds * 1e6)
