"""`Kept`: what was made of some records, for as long as they are the same.

Plans are made after every change of anything; what is made of what did not change is the very same object then, and
whoever compares two plans sees that at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Kept:
    """By keys: inputs, and what was made of them."""

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[object, object]] = {}
        self._used: set[Hashable] = set()

    def get(self, key: Hashable, inputs: object, make: Callable[[], T]) -> T:
        """What `make` has made of the same inputs, or makes now. A key is always of one type."""
        self._used.add(key)
        held = self._held.get(key)
        if held is not None and held[0] == inputs:
            return cast(T, held[1])
        made = make()
        self._held[key] = (inputs, made)
        return made

    def sweep(self) -> None:
        """Forget what was not asked for since this was last called."""
        self._held = {key: held for key, held in self._held.items() if key in self._used}
        self._used = set()
