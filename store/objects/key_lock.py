"""Locks by key: writers of one key go one after the other, readers do not wait.

A lock that nobody contends for is one dictionary entry, since every write takes one.
"""

from __future__ import annotations

from types import TracebackType

import trio

from store.core.waits import waited_for_key_lock


class KeyLocks:
    """The locks of all keys. `async with locks.of(key):` takes one."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, trio.lowlevel.ParkingLot | None] = {}

    def of(self, key: bytes) -> _KeyLock:
        return _KeyLock(self._waiting, key)


class _KeyLock:
    __slots__ = ("_key", "_waiting")

    def __init__(self, waiting: dict[bytes, trio.lowlevel.ParkingLot | None], key: bytes) -> None:
        self._waiting = waiting
        self._key = key

    async def __aenter__(self) -> None:
        waiting = self._waiting
        if self._key not in waiting:
            waiting[self._key] = None
            return
        lot = waiting[self._key]
        if lot is None:
            lot = waiting[self._key] = trio.lowlevel.ParkingLot()
        since = trio.current_time()
        await lot.park()  # whoever unparks us hands the lock over
        waited_for_key_lock(since)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lot = self._waiting[self._key]
        if lot:
            lot.unpark()
        else:
            del self._waiting[self._key]
