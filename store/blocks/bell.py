"""Bells: tasks that wait until something may have changed, and look for themselves what it was."""

from __future__ import annotations

import trio


class Bell:
    """Whoever waits is woken by the next ring. Those who look, find nothing to do, and wait, miss none."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        if self._event.statistics().tasks_waiting:
            self._event.set()
            self._event = trio.Event()

    async def wait(self, seconds: float = float("inf")) -> None:
        """Until the next ring, or for so many seconds."""
        with trio.move_on_after(seconds):
            await self._event.wait()
