"""The throttle of data that are moved or restored: as much as requests allow, and never less than a floor.

How long requests take without it is measured and not configured: after each MOVE_SECONDS nothing is moved for
PROBE_SECONDS, and what requests took then is what they are to be compared with. Where they take longer beside the move
by more than TOLERATED, the rate falls by a part; else it grows by a step (additive increase, multiplicative decrease:
Chiu and Jain, 1989). Where there are too few requests to compare it grows fourfold, and where there are none at all
there is nobody to disturb.

What is compared is a high quantile of all requests alike, so it is the mix of each that must be the same: it is, since
both are of the same seconds. Requests of other processes are not seen: a device that is overloaded by two is as slow
for those of this one.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

from store.core.clock import Clock

MB: Final = 1_000_000
FLOOR: Final = 10 * MB
"""Bytes a second, whatever requests feel: a lost disk of a terabyte is made anew in little more than a day."""
BEGIN: Final = 40 * MB
STEP: Final = 10 * MB
CEILING: Final = 10_000 * MB
MOVE_SECONDS: Final = 2.0
PROBE_SECONDS: Final = 0.3
SETTLE_SECONDS: Final = 0.05
"""At the beginning of each, what was under way before still shows."""
QUANTILE: Final = 0.95
TOLERATED: Final = 1.6
"""Times as long. The further up, the more a move is felt: with this the 99th percentile is about twice as long."""
DECREASE: Final = 0.7
SAMPLES_MIN: Final = 30
SAMPLES_MAX: Final = 500
"""Of the last probes, and of one move: the latest."""
IDLE_SECONDS: Final = 10.0
"""After so long without a move all begins anew."""


class Governor:
    """The decisions. Sans-I/O: whoever asks says what time it is, in seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self.rate: float = BEGIN
        """Bytes a second."""
        self._free_at = 0.0
        self._began = self._probe_at = self._resume_at = float("-inf")
        """A cycle: moves from `began` on, none from `probe_at` to `resume_at`."""
        self._moved = 0
        self._beside: deque[float] = deque(maxlen=SAMPLES_MAX)
        self._without: deque[float] = deque(maxlen=SAMPLES_MAX)

    def note(self, now: float, took: float) -> None:
        """A request has ended now that took so long."""
        began = now - took
        if self._probe_at + SETTLE_SECONDS <= began and now < self._resume_at:
            self._without.append(took)
        elif self._began + SETTLE_SECONDS <= began and now <= self._probe_at:
            self._beside.append(took)

    def due(self, now: float, count: int) -> float:
        """When so many bytes may be moved: they count as moved then."""
        if now >= self._resume_at:
            self._next(now)
        start = max(self._free_at, now)
        if start >= self._probe_at:
            start = max(start, self._resume_at)
        self._free_at = start + count / self.rate
        self._moved += count
        return start

    def _next(self, now: float) -> None:
        """A cycle is over. The first begins with its probe: what requests take is known before they are disturbed."""
        if now >= self._resume_at + IDLE_SECONDS:
            self.rate = BEGIN
            self._free_at = now
            self._beside.clear()
            self._without.clear()
            self._began = self._probe_at = now
        else:
            self.rate = self._adjusted()
            self._began, self._probe_at = now, now + MOVE_SECONDS
        self._resume_at = self._probe_at + PROBE_SECONDS
        self._moved = 0

    def _adjusted(self) -> float:
        used = self._moved / MOVE_SECONDS
        if not self._beside and not self._without:
            return CEILING
        if len(self._beside) < SAMPLES_MIN or len(self._without) < SAMPLES_MIN:
            wanted = 4 * self.rate
        else:
            felt = _quantile(self._beside) / max(_quantile(self._without), 1e-6)
            self._beside.clear()
            if felt > TOLERATED:
                return max(FLOOR, DECREASE * min(self.rate, used))
            wanted = self.rate + STEP
        # A rate that is not used says nothing: without this it would be far too high when it is.
        return min(wanted, max(self.rate if used < FLOOR else 4 * used, BEGIN), CEILING)


def _quantile(samples: deque[float]) -> float:
    return sorted(samples)[int(QUANTILE * len(samples))]


class Throttle:
    """One for all loops of a process that copy data."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.governor = Governor()

    def note(self, took: float) -> None:
        """A request took so long, without what it waited for its client."""
        self.governor.note(self._clock.monotonic(), took)

    async def spend(self, count: int) -> None:
        """Wait until so many bytes may be written."""
        wait = self.governor.due(self._clock.monotonic(), count) - self._clock.monotonic()
        if wait > 0:
            await trio.sleep(wait)
