"""What a check of a volume says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

TOLD_MAX: Final = 200
"""Problems, and notes, that are told: the others are counted alone."""


class Problem(NamedTuple):
    """Something is wrong."""

    text: str


class Note(NamedTuple):
    """Something that is no fault, and worth to be known."""

    text: str


class Progress(NamedTuple):
    """So many `of` all are done; 0 where that is not known."""

    doing: str
    done: int
    of: int


class Summary(NamedTuple):
    """How many problems there are, and what was gone through: `maps`, places of blocks in them, log objects in which
    these are, bytes of data."""

    problems: int
    maps: int
    blocks: int
    objects: int
    read_bytes: int


Report = Problem | Note | Progress


class Reported:
    """Tells, and counts."""

    def __init__(self, tell: Callable[[Report], Awaitable[None]]) -> None:
        self._tell = tell
        self._notes = 0
        self.problems = 0

    async def problem(self, text: str) -> None:
        self.problems += 1
        if self.problems <= TOLD_MAX:
            await self._tell(Problem(text))

    async def note(self, text: str) -> None:
        self._notes += 1
        if self._notes <= TOLD_MAX:
            await self._tell(Note(text))

    async def progress(self, progress: Progress) -> None:
        await self._tell(progress)
