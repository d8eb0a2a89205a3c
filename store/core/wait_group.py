"""Waiting for many answers at once: hand `done` to each of several calls that answer later, then wait for the last."""

from __future__ import annotations

import trio

from store.core.errors import DrystoneError


class WaitGroup:
    """Counts answers down, and keeps the first error among them."""

    def __init__(self) -> None:
        self._open = 1  # held until `wait`, so that answers which come at once do not end it early
        self._error: DrystoneError | None = None
        self._empty = trio.Event()

    def add(self) -> None:
        """One more answer will come."""
        self._open += 1

    def done(self, error: DrystoneError | None = None) -> None:
        """One answer came."""
        self._open -= 1
        self._error = self._error or error
        if not self._open:
            self._empty.set()

    async def wait(self) -> None:
        """Wait for the last answer. Raises the first error. Once only."""
        self.done()
        await self._empty.wait()
        if self._error is not None:
            raise self._error
