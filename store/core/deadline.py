"""The end of patience: whoever waits for a disk that may hang says for how long.

A timeout of trio's own costs some microseconds. Where thousands wait equally long, and nearly none of them to the end,
`Patience` keeps one timer for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from store.core.errors import BusyError


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises BusyError where what is waited for inside has not come after so many seconds. It may still come."""
    with trio.move_on_after(seconds) as waiting:
        yield
    if waiting.cancelled_caught:
        raise BusyError(f"it was not done within {seconds:.0f} s")


class Patience:
    """Calls whoever has waited for so many seconds. Made and used on the event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Callable[[], None], float] = {}
        self._watched = False

    def begin(self, give_up: Callable[[], None]) -> None:
        """Call it when the time is over, unless `end` comes first."""
        self._waiting[give_up] = trio.current_time() + self._seconds
        if not self._watched:
            self._watched = True
            trio.lowlevel.spawn_system_task(self._watch)

    def end(self, give_up: Callable[[], None]) -> None:
        """It need not be called any more."""
        self._waiting.pop(give_up, None)

    async def _watch(self) -> None:
        """Until nobody waits: there is one such task at most, and it wakes once in so many seconds."""
        try:
            while self._waiting:
                give_up, due = next(iter(self._waiting.items()))
                now = trio.current_time()
                if due > now:
                    await trio.sleep(due - now)
                else:
                    del self._waiting[give_up]
                    give_up()
        finally:
            self._watched = False
