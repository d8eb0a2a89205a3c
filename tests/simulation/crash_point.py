"""When the power goes, or the process dies: at the n-th operation of any disk that hangs on this crash point."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase


class PowerLoss(BaseException):
    """The machine, or the process, is no more. Not an Exception: no handler of the program may live through it."""


class CrashPoint:
    """Counts disk operations and ends at one of them. Everything that hangs on it is frozen from then on."""

    def __init__(self, cut_at: int | None = None, only: str = "*") -> None:
        """`only` has the cut count just the operations whose description matches it."""
        self.cut_at = cut_at
        self._only = only
        self.operations = 0
        self.dead = False
        self.on_step: Callable[[str], None] | None = None
        """Called with each operation, for a digest of what happened."""

    def step(self, what: str) -> None:
        """One operation is about to happen. Raises PowerLoss at the cut and ever after."""
        if self.dead:
            raise PowerLoss(what)
        counts = self._only == "*" or fnmatchcase(what, self._only)
        self.operations += counts
        if self.on_step is not None:
            self.on_step(what)
        if counts and self.cut_at is not None and self.operations >= self.cut_at:
            self.dead = True
            raise PowerLoss(what)

    def cut(self) -> None:
        """End it now."""
        self.dead = True
