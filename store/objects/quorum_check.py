"""A quorum check: whether versions of rows that were read before are the newest still.

It is asked when it is made, of all rows at once, and waited for later: so it goes with what else is asked, in the same
messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from store.core.errors import QuorumError
from store.device.row import STAMP_BYTES
from store.objects.quorum_read import QuorumRead

Questions = Callable[[], Awaitable[None]]
"""Waits for what was asked beside something else, and raises where that must not go on."""


class QuorumCheck:
    """Used once."""

    __slots__ = ("_asked", "_waiting")

    def __init__(self, versions: Collection[tuple[bytes, bytes]], read: Callable[[bytes], QuorumRead]) -> None:
        """`versions` are (packed key, stamp); `read` makes the read of a row."""
        self._asked = [(read(packed), stamp) for packed, stamp in versions]
        self._waiting = [asked for asked, _ in self._asked if not asked.ask()]

    async def holds(self) -> bool:
        """Whether all of them are. False where that cannot be told."""
        with suppress(QuorumError):
            for asked in self._waiting:
                await asked.wait()
        return all(
            asked.enough and all(value is not None and value[:STAMP_BYTES] == stamp for value in asked.values.values())
            for asked, stamp in self._asked
        )
