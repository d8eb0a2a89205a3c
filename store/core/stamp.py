"""Version stamps: a hybrid clock with the writer's identity as tie-break.

A stamp orders the versions of one row. It is `max(wall clock, last + 1, seen + 1)` in microseconds, so that it
follows wall time closely, never repeats in one process, and always exceeds what the writer has read, whatever the
clocks do (hybrid logical clocks: Kulkarni et al., OPODIS 2014, with the logical part folded into the microseconds).
Two writers that choose the same microsecond are told apart by their ids. Wall time is never trusted for safety, only
for looking natural.

How far stamps may run ahead of the wall clock is bounded by `DRIFT_MAX_US`. A version that a clock in 2036 wrote is
exceeded by whoever writes that row, each time under another id, but drags no other row there; and a process whose own
clock was there goes on with the right time once that is set, under another id, so that no stamp is given out twice.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from store.core.clock import Clock

DRIFT_MAX_US = 60_000_000
"""A clock that is so far off is wrong, not just early or late."""
_PACKED = struct.Struct(">QI")


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


def _another(writer: int, number: int) -> int:
    """An id that is no other process's, as far as any is not: they are drawn at random."""
    return xxh3_64_intdigest(struct.pack("<IQ", writer, number)) & 0xFFFFFFFF


class StampSource:
    """Gives out stamps; one a process. `observe` whatever is read, so that the next stamp exceeds it."""

    def __init__(self, clock: Clock, writer: int) -> None:
        self._clock = clock
        self._last_us = 0
        self._observed = b""
        self._ahead = 0
        """So many stamps lay in a future which the clock does not share."""
        self.writer = writer

    def next(self, seen: Stamp = ZERO) -> Stamp:
        """A stamp above `seen`, and above all that this source gave out or observed before, but for those that lie in
        a future which the clock does not share: whoever meets such a version must have `seen` it."""
        now = self._clock.wall_us()
        if self._last_us > now + DRIFT_MAX_US:
            self._last_us = 0
            self._observed = b""
            self.writer = _another(self.writer, 0)
        time_us = max(now, self._last_us + 1, seen.time_us + 1)
        if time_us <= now + DRIFT_MAX_US:
            self._last_us = time_us
            return Stamp(time_us, self.writer)
        # This time is not remembered, and may be given out again: under an id that is of this stamp alone.
        self._ahead += 1
        return Stamp(time_us, _another(self.writer, self._ahead))

    def observe_packed(self, seen: bytes) -> None:
        """The same of a packed stamp; nearly all that is read is older than something that was."""
        if seen > self._observed:
            self._observed = seen
            self.observe(Stamp.unpack(seen))

    def observe(self, seen: Stamp) -> None:
        """Keep the following stamps above `seen`, if it is not of a clock that is far ahead."""
        if self._last_us < seen.time_us <= self._clock.wall_us() + DRIFT_MAX_US:
            self._last_us = seen.time_us
