"""The expirer: deletes objects that have expired. Reads and listings leave them out from the very second; this gives
their space and their counts back. Each device keeps its rows in order of expiry, so what is due is found at once and
the lag is known: the age of the oldest that is due and still there.
"""

from __future__ import annotations

import structlog
import trio

from store.core.clock import Clock
from store.core.errors import DrystoneError
from store.engine.row import RowKey, parse_key
from store.objects.store import DeviceStore
from store.replicator.progress import ProgressTable

log = structlog.get_logger()

ROUND_SECONDS = 1.0
IDLE_SECONDS = 10.0
BATCH = 1000


class Expirer:
    """Deletes what has expired on the devices of this process."""

    def __init__(self, store: DeviceStore, clock: Clock, progress: ProgressTable) -> None:
        self._store = store
        self._clock = clock
        self._progress = progress.loop("expire objects")

    async def run(self) -> None:
        """Delete what is due, round after round, until cancelled."""
        while True:
            deleted = await self.expire()
            await trio.sleep(ROUND_SECONDS if deleted else IDLE_SECONDS)

    async def expire(self) -> int:
        """One round; returns how many objects were deleted."""
        now = self._clock.wall_us() // 1_000_000
        deleted = 0
        oldest = now
        for device in list(self._store.devices.values()):
            try:
                due = await device.expired(now + 1, BATCH)
            except DrystoneError as error:
                self._progress.trouble = str(error)
                continue
            for expires, packed in due:
                oldest = min(oldest, expires)
                row = device.view.row(packed)
                if row is None:
                    continue
                try:
                    deleted += await self._delete(parse_key(packed, row.name), packed, now)
                except DrystoneError as error:
                    self._progress.failed += 1
                    self._progress.trouble = str(error)
        self._progress.done += deleted
        self._progress.rounds += 1
        self._progress.lag_s = float(now - oldest)
        return deleted

    async def _delete(self, key: RowKey, packed: bytes, now: int) -> int:
        async with self._store.rows.turn(packed):
            found = await self._store.rows.read(key, packed)
            if found is None or not found.row.live or not 0 < found.row.expires <= now:
                return 0
            await self._store.bury(key, packed, found.row)
        return 1
