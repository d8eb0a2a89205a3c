"""The repairer: makes an object whole again where a copy, a fragment or a row of it was found bad or missing.

It is told which: by a read that had to go around damage, by a device that met some, by the scrubber. What a device
lacks that is out now is left to `hints`, which survive a restart.
"""

from __future__ import annotations

import structlog
import trio

from store.core.errors import DrystoneError
from store.device.row import PREFIX_BYTES, SYSTEM, RowKey, is_long, parse_key
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Retries, Schedule, Turns
from store.replicator.progress import ProgressTable
from store.replicator.restore import Restorer

log = structlog.get_logger()

RETRY_SECONDS, RETRY_SECONDS_MAX = 30.0, 3600.0
"""What could not be repaired is tried again after so long, then after twice as long, and so on: a try reads whole
objects, and what cannot be repaired may stay so for days."""
QUEUE_MAX = 100_000
"""Beyond this the scrubber finds the rest again."""


class Repairer:
    """Repairs objects one after the other."""

    def __init__(self, store: DeviceStore, restorer: Restorer, progress: ProgressTable) -> None:
        self._restorer = restorer
        self._daemon = Daemon(progress.loop("repair"), Schedule(), self._round)
        self._queue = Retries[RowKey](RETRY_SECONDS, RETRY_SECONDS_MAX, QUEUE_MAX)
        store.on_incomplete = self.add

    def add(self, key: RowKey) -> None:
        """Something of this object is bad or missing."""
        # An intent is the janitor's: one that a commit has removed elsewhere must not be brought back.
        if key.name[:1] != SYSTEM and self._queue.add(key):
            self._daemon.wake()

    def damaged(self, packed: bytes) -> None:
        """A device met damage in what it has under this index key."""
        if packed[:1] == b"r" and not is_long(packed):  # of others the whole name is not known: the scrub's
            self.add(parse_key(packed, packed[PREFIX_BYTES:]))

    def device_is_back(self) -> None:
        """What could not be done while it was away may be possible now, and is not to wait as long as for that."""
        self._queue.all_due()
        self._daemon.wake()

    async def run(self) -> None:
        """Repair what is added, until cancelled."""
        await self._daemon.run()

    async def repair_all(self) -> int:
        """Try everything once, also what could not be repaired before; returns how many are left."""
        self._queue.all_due()
        await self._daemon.round()
        return len(self._queue)

    async def _round(self) -> Outcome:
        done = failed = 0
        turns = Turns()
        began = trio.current_time()
        while (key := self._queue.take(began)) is not None:
            try:
                written = await self._restorer.whole(key)
            except DrystoneError as error:
                failed += 1
                self._daemon.trouble(error)
                self._queue.failed(key, began)
            else:
                done += 1
                self._daemon.progress.done += 1
                self._daemon.progress.bytes += written
                self._queue.done(key)
                self._daemon.progress.left = len(self._queue)
            await turns.take()
        if failed:
            log.warning("not repaired yet", objects=failed, error=self._daemon.progress.trouble)
        return Outcome(done, len(self._queue), self._queue.due_in(trio.current_time()))
