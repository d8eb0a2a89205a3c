"""In-doubt writes: those that a crash left at some of their replicas are brought to a quorum. What a crash of this
process left, before anyone is served; what writers of other processes have not settled, and whatever could not be
resolved before, by a daemon.

Nobody was told what became of such a write, so it may have taken effect or not. But whoever looks must not be shown
first the one and then the other: reads ask a quorum, which need not have it, and sooner or later a daemon that looks at
all replicas would find it and bring it to them. So what may be in doubt is looked at before the first request: the rows
that a device found in its log behind its index (which it notes until they were looked at), and those that marked
uploads were to become, however old.

Of those that name data the repairer looks at all places: an upload is answered when enough of them have everything, and
the others may have lost what was on its way. That is for later, and anyone may read meanwhile.

A replica that is away may still come back with such a write. That is as if the write had taken so long. What only a
device says that is not in sync is no doubt: it may have been deleted for good, and is forgotten then when the device is
rejoined; a write of unknown outcome to a row that others have, too, takes effect when it is scrubbed.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from store.core.errors import DamageError, DrystoneError
from store.device.port import DevicePort
from store.device.row import SYSTEM, RowKey, index_key, parse_key
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, many_at_once
from store.replicator.progress import ProgressTable
from store.replicator.repair import Repairer
from store.replicator.upload_janitor import UploadJanitor

log = structlog.get_logger()

PAGE = 1000
SCHEDULE = Schedule(every=60.0, retry=5.0, retry_max=60.0)


class InDoubt:
    """Resolves in-doubt writes on the devices of this process."""

    def __init__(self, store: DeviceStore, janitor: UploadJanitor, repairer: Repairer, progress: ProgressTable) -> None:
        self._store = store
        self._janitor = janitor
        self._repairer = repairer
        self._daemon = Daemon(progress.loop("resolve in-doubt writes"), SCHEDULE, self._round)

    async def run(self) -> None:
        """Resolve what comes to be in doubt, until cancelled."""
        await self._daemon.run()

    def wake(self) -> None:
        """There may be something in doubt."""
        self._daemon.wake()

    async def resolve_all(self) -> Outcome:
        """Look at all that may be in doubt, also what uploads were to become that nobody has ended: to be called before
        the first request. What cannot be resolved now is logged, and left to the daemon."""
        ended = await self._resolve(self._janitor.targets())
        found = await self._daemon.round()
        return Outcome(ended.done + found.done, ended.left + found.left)

    async def resolve_of(self, device: DevicePort) -> Outcome:
        """What one device has in doubt."""
        done = left = 0
        after = b""
        try:
            while page := await device.in_doubt(after, PAGE):
                outcome = await self._resolve(await _keys(device, page))
                done, left = done + outcome.done, left + outcome.left
                after = page[-1]
        except DrystoneError as error:
            self._daemon.trouble(error)
            left += 1
        return Outcome(done, left)

    async def _round(self) -> Outcome:
        outcomes = [await self.resolve_of(device) for device in list(self._store.own.values())]
        return Outcome(sum(each.done for each in outcomes), sum(each.left for each in outcomes))

    async def _resolve(self, keys: Iterable[RowKey]) -> Outcome:
        done = left = 0

        async def resolve(key: RowKey) -> None:
            nonlocal done, left
            try:
                await self._resolve_one(key)
                done += 1
            except DrystoneError as error:
                left += 1
                self._daemon.trouble(error)
                log.warning("a write of unknown outcome is still in doubt", error=str(error))

        await many_at_once(keys, resolve)
        return Outcome(done, left)

    async def _resolve_one(self, key: RowKey) -> None:
        packed = index_key(key)
        row, asked = await self._store.rows.resolve(key, packed)
        if row is not None and row.data_id:
            self._repairer.add(key)
        for device in asked:
            if device.failed is None:
                device.forget_in_doubt(packed)


async def _keys(device: DevicePort, page: list[bytes]) -> list[RowKey]:
    """The keys of rows that are still there. An entry that is damaged is left out: its other replicas have it."""
    keys = []
    for packed in page:
        try:
            row = await device.find_row(packed)
        except DamageError:
            continue
        if row is None or row.name[:1] == SYSTEM:
            device.forget_in_doubt(packed)
        else:
            keys.append(parse_key(packed, row.name))
    return keys
