"""How long the event loop is held: what every request waits for that comes meanwhile.

Two things are measured. A **turn** runs everything that is ready, one task after the other, and is as long as all of
it together: what a request waits for before its own turn comes, and what grows when there is too much to do. A
**piece** is what one task does until it waits again, and nothing can interrupt it: a long one is a stall, whatever the
load. Each turn is measured, at the cost of two looks at the clock; of pieces those of one turn in so many.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import trio
from trio.abc import Instrument

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the buckets, in seconds; one more is for what is longer."""
SAMPLED: Final = 32
"""Of so many turns one has its pieces measured: all would cost a small request two hundredths of its time."""


class Durations:
    """A histogram of seconds."""

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        """`bounds` are the upper bounds of the buckets."""
        self.bounds = bounds
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.buckets = [0] * (len(self.bounds) + 1)
        self.seconds = 0.0
        self.worst = 0.0

    def note(self, took: float) -> None:
        """Count one."""
        self.seconds += took
        if took > self.worst:
            self.worst = took
        self.buckets[bisect_left(self.bounds, took)] += 1

    def add(self, others: Durations) -> None:
        """Count what others have counted, by the same bounds."""
        self.seconds += others.seconds
        self.worst = max(self.worst, others.worst)
        self.buckets = [mine + more for mine, more in zip(self.buckets, others.buckets, strict=True)]

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    def quantile(self, share: float) -> float:
        """The bound below which so large a share lies; of the last bucket the worst."""
        wanted = share * self.total
        running = 0
        for bound, count in zip(self.bounds, self.buckets, strict=False):
            running += count
            if running >= wanted:
                return min(bound, self.worst)
        return self.worst

    def row(self) -> dict[str, float]:
        """Plain values, for status."""
        return {
            "count": self.total,
            "p99_s": self.quantile(0.99),
            "p999_s": self.quantile(0.999),
            "worst_s": round(self.worst, 6),
        }


class _Pieces(Instrument):
    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._began:
            self._durations.note(time.perf_counter() - self._began)


class LoopStalls(Instrument):
    """To be added with `trio.lowlevel.add_instrument`."""

    def __init__(self) -> None:
        self.turns = Durations()
        self.pieces = Durations()
        self._instrument: _Pieces | None = None
        self._until_sampled = SAMPLED
        self._began = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        self._until_sampled -= 1
        if not self._until_sampled:
            self._until_sampled = SAMPLED
            self._instrument = _Pieces(self.pieces)
            trio.lowlevel.add_instrument(self._instrument)
        self._began = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        self.turns.note(time.perf_counter() - self._began)
        if self._instrument is not None:
            trio.lowlevel.remove_instrument(self._instrument)
            self._instrument = None

    def forget(self) -> None:
        """Begin anew: what was before the first request is nobody's wait."""
        self.turns.forget()
        self.pieces.forget()

    def row(self) -> dict[str, dict[str, float]]:
        """Plain values, for status."""
        return {"turns": self.turns.row(), "pieces": self.pieces.row()}
