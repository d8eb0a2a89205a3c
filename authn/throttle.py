"""Slows down guessing: after some failures in a row a name must wait before it may be tried again from there.

Failures count by name and address together, so that whoever guesses keeps out nobody but themselves. Guesses from many
addresses count by name as well; they keep its owner out where the owner has never got in from, and for seconds only.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple, TypeVar

from store.core.clock import Clock

FREE_FAILURES: Final = 10
"""In a row, of one name at one address."""
WAIT_SECONDS_MAX: Final = 30.0

FREE_FAILURES_EVERYWHERE: Final = 100
"""Of one name, from wherever."""
SECONDS_EACH: Final = 5.0
"""After so long one of these is forgotten, and so one more guess is free."""

PLACES_MAX: Final = 10_000
"""Names, and names at addresses, that are remembered."""

K = TypeVar("K")
V = TypeVar("V")


class LoginSource(NamedTuple):
    """A name as it is tried at one address."""

    address: str
    name: str


class Throttle:
    """What failed and who got in, in this process only; the oldest is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[LoginSource, tuple[int, float]] = OrderedDict()
        self._everywhere: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._familiar: OrderedDict[LoginSource, None] = OrderedDict()

    def admits(self, source: LoginSource) -> bool:
        """Whether the name may be tried there now."""
        _, until = self._failures.get(source, (0, 0.0))
        if self._clock.monotonic() < until:
            return False
        return source in self._familiar or self._level(source.name) < FREE_FAILURES_EVERYWHERE

    def is_familiar(self, source: LoginSource) -> bool:
        """Whether the name has got in there before."""
        return source in self._familiar

    def failed(self, source: LoginSource) -> None:
        """It was tried in vain."""
        now = self._clock.monotonic()
        count = self._failures.pop(source, (0, 0.0))[0] + 1
        over = count - FREE_FAILURES
        wait = min(2.0 ** min(over, 10), WAIT_SECONDS_MAX) if over >= 0 else 0.0
        _keep(self._failures, source, (count, now + wait))
        if over >= 0:
            self._familiar.pop(source, None)
        if source not in self._familiar:
            _keep(self._everywhere, source.name, (self._level(source.name) + 1, now))

    def succeeded(self, source: LoginSource) -> None:
        """It got in."""
        self._failures.pop(source, None)
        _keep(self._familiar, source, None)

    def _level(self, name: str) -> float:
        level, at = self._everywhere.get(name, (0.0, 0.0))
        return max(0.0, level - (self._clock.monotonic() - at) / SECONDS_EACH)


def _keep(held: OrderedDict[K, V], key: K, value: V) -> None:
    held[key] = value
    held.move_to_end(key)
    if len(held) > PLACES_MAX:
        held.popitem(last=False)
