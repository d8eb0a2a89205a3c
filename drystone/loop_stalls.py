"""How long each turn of the event loop takes: what every request waits for that comes meanwhile.

A trio instrument that looks at the clock twice a turn. Everything that is ready is run in one turn, so a turn is as
long as all of it together, and no single piece of work is longer than the turn that it was in.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Final

from trio.abc import Instrument

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the buckets, in seconds; one more is for what is longer."""


class LoopStalls(Instrument):
    """To be added with `trio.lowlevel.add_instrument`."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.worst = 0.0
        self._began = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        self._began = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        took = time.perf_counter() - self._began
        self.seconds += took
        if took > self.worst:
            self.worst = took
        self.buckets[bisect_left(BOUNDS, took)] += 1

    @property
    def turns(self) -> int:
        return sum(self.buckets)

    def quantile(self, share: float) -> float:
        """The bound below which so large a share of turns lies; of the last bucket the worst."""
        wanted = share * self.turns
        running = 0
        for bound, count in zip(BOUNDS, self.buckets, strict=False):
            running += count
            if running >= wanted:
                return min(bound, self.worst)
        return self.worst

    def forget(self) -> None:
        """Begin anew: what was before the first request is nobody's wait."""
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = self.worst = 0.0

    def row(self) -> dict[str, float]:
        """Plain values, for status."""
        return {
            "turns": self.turns,
            "p99_s": self.quantile(0.99),
            "p999_s": self.quantile(0.999),
            "worst_s": round(self.worst, 6),
        }
