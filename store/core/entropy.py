"""The seam to randomness, so that a simulated run is repeated by its seed."""

from __future__ import annotations

import os
from typing import Protocol

_POOL_BYTES = 4096


class Random(Protocol):
    """A source of unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        ...


class SystemRandom:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


class PooledRandom:
    """The same, asked for a page at a time: for ids, of which every request wants some, since each call of the system
    costs a small GET a tenth of its time. Used by one thread; keys and salts are better drawn by `SystemRandom`."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def bytes(self, count: int) -> bytes:
        stop = self._used + count
        if stop > len(self._pool):
            self._pool = os.urandom(max(count, _POOL_BYTES))
            self._used, stop = 0, count
        drawn = self._pool[self._used : stop]
        self._used = stop
        return drawn
