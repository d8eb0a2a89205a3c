"""Version stamps: a hybrid clock with the writer's identity as tie-break.

A stamp orders the versions of one row. It is `max(wall clock, last + 1, seen + 1)` in microseconds, so that it
follows wall time closely, never repeats in one process, and always exceeds what the writer has read, whatever the
clocks do (hybrid logical clocks: Kulkarni et al., OPODIS 2014, with the logical part folded into the microseconds).
Two writers that choose the same microsecond are told apart by their ids. Wall time is never trusted for safety, only
for looking natural.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from store.core.clock import Clock

_PACKED = struct.Struct(">QI")
PACKED_BYTES = _PACKED.size


class Stamp(NamedTuple):
    """A version: microseconds since the epoch, then the writer (32 bits, new at every start of a process)."""

    time_us: int
    writer: int

    def pack(self) -> bytes:
        """12 bytes whose order is the stamps' order."""
        return _PACKED.pack(self.time_us, self.writer)

    @classmethod
    def unpack(cls, packed: bytes) -> Stamp:
        return cls(*_PACKED.unpack(packed))

    @property
    def seconds(self) -> float:
        return self.time_us / 1e6


ZERO = Stamp(0, 0)


class StampSource:
    """Gives out stamps; one a process. `observe` whatever is read, so that the next stamp exceeds it."""

    def __init__(self, clock: Clock, writer: int) -> None:
        self._clock = clock
        self._last_us = 0
        self.writer = writer

    def next(self, seen: Stamp = ZERO) -> Stamp:
        """A stamp above `seen` and above all that this source gave out before."""
        self._last_us = max(self._clock.wall_us(), self._last_us + 1, seen.time_us + 1)
        return Stamp(self._last_us, self.writer)

    def observe(self, seen: Stamp) -> None:
        """Keep the following stamps above `seen`."""
        if seen.time_us > self._last_us:
            self._last_us = seen.time_us
