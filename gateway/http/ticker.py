"""One coarse clock for all connections: timers and the Date field cost a request nothing but reading an attribute."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, Protocol

import trio

NEVER: Final = float("inf")


class Watched(Protocol):
    """Something whose waits end at a deadline."""

    def expire(self, now: float) -> None:
        """Ends every wait whose deadline lies before `now`."""


class Ticker:
    """Ticks once a second. A deadline is never early, and at most two ticks late."""

    __slots__ = ("_wall", "_watched", "date", "interval", "now")

    def __init__(self, interval: float = 1.0, wall: Callable[[], float] = time.time) -> None:
        self.interval = interval
        self._wall = wall
        self._watched: set[Watched] = set()
        self.now = 0.0
        self.date = b""
        self.tick()

    def tick(self) -> None:
        """Reads the clocks and ends what is overdue."""
        self.now = trio.current_time()
        self.date = b"Date: %b\r\n" % formatdate(self._wall(), usegmt=True).encode("ascii")
        for watched in self._watched:
            watched.expire(self.now)

    async def run(self) -> None:
        """Ticks until cancelled."""
        while True:
            await trio.sleep(self.interval)
            self.tick()

    def deadline(self, seconds: float) -> float:
        """The time that lies at least so far ahead."""
        return self.now + self.interval + seconds

    def watch(self, watched: Watched) -> None:
        """Expires the waits of `watched` from now on."""
        self._watched.add(watched)

    def forget(self, watched: Watched) -> None:
        """Stops watching."""
        self._watched.discard(watched)
