"""One seed, one course of events: trio's scheduler, time and randomness, all drawn from the seed."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from math import inf
from random import Random
from typing import Any, NoReturn, TypeVar

import structlog
import trio

T = TypeVar("T")

DAWN_US = 1_700_000_000_000_000


class SimClock:
    """Time as the run's clock has it; `skew_us` sets the wall clock off, and may be changed at any time."""

    def __init__(self, skew_us: int = 0) -> None:
        self.skew_us = skew_us

    def wall_us(self) -> int:
        return DAWN_US + self.skew_us + int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


def now() -> float:
    """Seconds since the epoch, without any skew."""
    return DAWN_US / 1e6 + trio.current_time()


class SeededRandom:
    """Unpredictable bytes that are the same for the same seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


class Digest:
    """A hash of everything that happened, to tell whether two runs were the same."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.events = 0

    def add(self, event: str) -> None:
        self.events += 1
        self._hash.update(event.encode() + b"\n")

    def value(self) -> str:
        return self._hash.hexdigest()


class JumpingClock(trio.abc.Clock):
    """Time jumps to the next deadline as soon as no task has anything to do. As a MockClock that jumps by itself, for
    runs without threads and sockets; but it takes no turn of the loop to find out that there is nothing to do."""

    def __init__(self, start: float) -> None:
        self._now = start

    def start_clock(self) -> None:
        """It stands until it jumps."""

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Asked for when no task can go on."""
        if deadline < inf:
            self._now = max(self._now, deadline)
            return 0.0
        return inf


def run(main: Callable[[], Awaitable[T]], random: Random, start: float = 0.0) -> T:
    """Run `main` under trio with its scheduler drawn from `random`, and time that jumps when nobody has work."""
    state: Any = trio._core._run
    before = state._ALLOW_DETERMINISTIC_SCHEDULING
    state._ALLOW_DETERMINISTIC_SCHEDULING = True
    state._r.seed(random.getrandbits(64))
    try:
        return trio.run(main, clock=JumpingClock(start))
    finally:
        state._ALLOW_DETERMINISTIC_SCHEDULING = before


def quiet() -> None:
    """Say nothing in the log: faults are what these runs are made of."""
    structlog.configure(processors=[_drop])


def _drop(_logger: object, _name: str, _event: MutableMapping[str, Any]) -> NoReturn:
    raise structlog.DropEvent
