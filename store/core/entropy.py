"""The seam to randomness, so that a simulated run is repeated by its seed."""

from __future__ import annotations

import os
from typing import Protocol


class Random(Protocol):
    """A source of unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        ...


class SystemRandom:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)
