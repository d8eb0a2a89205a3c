"""Guests whose state changed, where libvirt tells nothing by itself: it is asked again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import trio

from compute_plugin.hypervisors.interface import GuestState

LOOK_SECONDS: Final = 3.0

Look = Callable[[], Awaitable[Mapping[str, GuestState]]]


class PolledChanges:
    def __init__(self, look: Look, known: Mapping[str, GuestState]) -> None:
        self._look = look
        self._known = known
        self._pending: list[str] = []

    async def next(self) -> str:
        """Raises RetryableError where nobody answers."""
        await trio.lowlevel.checkpoint()
        while not self._pending:
            await trio.sleep(LOOK_SECONDS)
            now = await self._look()
            self._pending = [id_ for id_ in {**self._known, **now} if self._known.get(id_) != now.get(id_)]
            self._known = now
        return self._pending.pop(0)
