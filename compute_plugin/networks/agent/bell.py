"""`Bell`: wakes one who waits; rung before it is waited for, it wakes at once."""

from __future__ import annotations

import trio


class Bell:
    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        """Until it has rung since this last returned."""
        await self._rung.wait()
        self._rung = trio.Event()
