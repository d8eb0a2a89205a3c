"""The end of patience: whoever waits for a disk that may hang says for how long."""

from __future__ import annotations

from collections.abc import Iterator
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
