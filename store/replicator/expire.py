"""The expirer: deletes objects that have expired. Reads and listings leave them out from the very second; this gives
their space and their counts back. Each device keeps its rows in order of expiry, so what is due is found at once and
the lag is known: the age of the oldest that is due and still there.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.core.clock import Clock
from store.device.port import DevicePort
from store.device.row import parse_key
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, walk
from store.replicator.progress import ProgressTable

SCHEDULE = Schedule(every=10.0, retry=10.0)
PAGE = 1000


class Expirer:
    """Deletes what has expired on the devices of this process."""

    def __init__(self, store: DeviceStore, clock: Clock, progress: ProgressTable) -> None:
        self._store = store
        self._clock = clock
        self._daemon = Daemon(progress.loop("expire objects"), SCHEDULE, self._round)

    async def run(self) -> None:
        """Delete what is due, round after round, until cancelled."""
        await self._daemon.run()

    async def expire(self) -> int:
        """One round; returns how many objects were deleted."""
        return (await self._daemon.round()).done

    async def _round(self) -> Outcome:
        now = self._clock.wall_us() // 1_000_000
        oldest = now

        async def page(device: DevicePort, after: bytes) -> tuple[Sequence[tuple[int, bytes]], bytes]:
            behind = (int.from_bytes(after[:8]), after[8:]) if after else None
            due = await device.expired(now + 1, PAGE, behind)
            return due, due[-1][0].to_bytes(8) + due[-1][1] if len(due) == PAGE else b""

        async def visit(device: DevicePort, due: tuple[int, bytes]) -> bool | None:
            nonlocal oldest
            expires, packed = due
            row = await device.find_row(packed)
            if row is None or row.expires != expires:
                device.forget_expiry(expires, packed)
                return None
            oldest = min(oldest, expires)
            return await self._store.delete_expired(parse_key(packed, row.name), packed, now) or None

        outcome = await walk(self._store.own, page, visit, self._daemon)
        self._daemon.progress.lag_s = float(now - oldest)
        return outcome
