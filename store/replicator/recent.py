"""How fast something grew of late, and when it will be where it is to be. Sans-I/O: whoever looks says what time it is.

A rate since the start says little of a loop that slept for a week; one between two looks jumps. So samples are kept of
the last minute, and the rate is that between the oldest of them and now.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 60.0


class Recent:
    """Samples of one figure that grows, or begins anew."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def note(self, now: float, figure: float) -> None:
        """It is this now. Where that is less than before it has begun anew, and what was before tells nothing."""
        samples = self._samples
        if samples and figure < samples[-1][1]:
            samples.clear()
        samples.append((now, figure))
        # The oldest is the one that is just as old as the window, or the first: a rate is over all of the window.
        while len(samples) > 2 and samples[1][0] <= now - WINDOW_SECONDS:
            samples.popleft()

    def rate(self) -> float:
        """Each second, between the oldest sample and the newest; 0 where there are not two."""
        if len(self._samples) < 2:
            return 0.0
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended > began else 0.0


def ends_in(left: float, rate: float) -> float | None:
    """Seconds until so much is done; None where nothing moves, or nothing is known to be left."""
    return left / rate if left > 0 and rate > 0 else None
