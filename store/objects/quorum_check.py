"""A quorum check: whether versions of rows that were read before are the newest still.

It is asked when it is made, of all rows at once, and waited for later: so it goes with what else is asked, in the same
messages. Many requests ask the same of a container that is in much use. One check answers for all that began before it
was asked: so while one is under way, those that come wait for the next together, as writes do for a sync
(`SharedChecks`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from store.core.errors import QuorumError
from store.device.row import STAMP_BYTES
from store.objects.quorum_read import QuorumRead

Questions = Callable[[], Awaitable[None]]
"""Waits for what was asked beside something else, and raises where that must not go on."""
Versions = tuple[tuple[bytes, bytes], ...]
"""(packed key, stamp) of each row."""
Read = Callable[[bytes], QuorumRead]
"""Makes the read of a row by its packed key."""


class QuorumCheck:
    """Any number may wait for it."""

    __slots__ = ("_asked", "_waiting")

    def __init__(self, versions: Versions, read: Read) -> None:
        self._asked = [(read(packed), stamp) for packed, stamp in versions]
        self._waiting = [asked for asked, _ in self._asked if not asked.ask()]

    @property
    def answered(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return all(asked.enough for asked in self._waiting)

    async def holds(self) -> bool:
        """Whether all of them are. False where that cannot be told."""
        with suppress(QuorumError):
            for asked in self._waiting:
                if not asked.enough:
                    await asked.wait()
        return all(
            asked.enough and all(value is not None and value[:STAMP_BYTES] == stamp for value in asked.answers.values())
            for asked, stamp in self._asked
        )


class _NextCheck:
    """The one after that which is under way: asked by whoever first finds that one over."""

    __slots__ = ("_ask", "_before", "check")

    def __init__(self, before: QuorumCheck, ask: Callable[[], QuorumCheck]) -> None:
        self._before = before
        self._ask = ask
        self.check: QuorumCheck | None = None

    async def holds(self) -> bool:
        if self.check is None:
            await self._before.holds()
        check = self.check or self._ask()
        return await check.holds()


class SharedChecks:
    """Checks of many requests, of the same versions one at a time."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._under_way: dict[Versions, QuorumCheck] = {}
        self._next: dict[Versions, _NextCheck] = {}

    def ask(self, versions: Versions) -> Callable[[], Awaitable[bool]]:
        """Have it asked, now or in the next turn. What is returned says whether they are the newest still at a moment
        after this was called; False where that cannot be told."""
        before = self._under_way.get(versions)
        if before is None or before.answered:
            return self._ask_now(versions).holds
        known = self._next.get(versions)
        if known is None:
            known = self._next[versions] = _NextCheck(before, lambda: self._ask_now(versions))
        return known.holds

    def _ask_now(self, versions: Versions) -> QuorumCheck:
        """For all who wait for the next; from now on who asks comes too late for this one."""
        self._forget_answered()
        check = QuorumCheck(versions, self._read)
        waiting = self._next.pop(versions, None)
        if waiting is not None:
            waiting.check = check
        if not check.answered:
            self._under_way[versions] = check
        return check

    def _forget_answered(self) -> None:
        """Keep what is under way alone."""
        for versions in [versions for versions, check in self._under_way.items() if check.answered]:
            del self._under_way[versions]
