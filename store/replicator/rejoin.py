"""Rejoin: brings a device back in sync that was made anew in place of a lost one, has lost part of its log, or
was away while it was not waited for.

That it has no row of a key proves nothing, and neither does what it alone says, until it has been compared with every
other replica of every row that it should have. So it exchanges its rows with all others (`exchange`): a version that
only this device has, while all other replicas are in sync, was never acknowledged, or was deleted for good, and is
lost; what it lacks is brought. Then the blocks that rows place on it are restored, and it is in sync again.

All other devices must be there for that: a write that this one and an absent one acknowledged would be unknown to a
quorum of the others. Upload intents are left alone: they are the janitor's, and one that a commit has removed
elsewhere must not come back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import structlog

from store.core.errors import DamageError, DeviceError, DrystoneError, RetryableError
from store.device.port import DevicePort
from store.device.row import IndexRow, RowKey, parse_key
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, row_place, walk
from store.replicator.exchange import Exchange
from store.replicator.progress import ProgressTable
from store.replicator.restore import Restorer
from store.ring import ROWS

log = structlog.get_logger()

SCHEDULE = Schedule(retry=30.0, retry_max=300.0)
PAGE = 500


class Rejoiner:
    """Has the devices of this process rejoin that are not in sync."""

    def __init__(self, store: DeviceStore, restorer: Restorer, exchange: Exchange, progress: ProgressTable) -> None:
        self._store = store
        self._restorer = restorer
        self._exchange = exchange
        self._daemon = Daemon(progress.loop("rejoin"), SCHEDULE, self._round)

    def wake(self) -> None:
        """There may be a device that is not in sync."""
        self._daemon.wake()

    async def run(self) -> None:
        """Have every device rejoin that is not in sync, until cancelled."""
        await self._daemon.run()

    async def rejoin_all(self) -> int:
        """Try to bring every device in sync; returns how many are left."""
        return (await self._daemon.round()).left

    async def _round(self) -> Outcome:
        done = left = 0
        for device in [device for device in self._store.own.values() if not device.in_sync]:
            try:
                await self.rejoin(device)
                done += 1
            except DrystoneError as error:
                left += 1
                self._daemon.trouble(error)
                log.warning("device not rejoined yet", device=device.id, error=str(error))
        return Outcome(done, left)

    async def rejoin(self, device: DevicePort) -> None:
        """Compare one device with all others; then it is in sync. Raises DrystoneError where that could not be done."""
        self._need_all_others(device, self._living())

        def kept_here(ring_hash: int) -> bool:
            return device.id in self._store.rows.ring.replicas_all(ROWS, ring_hash)

        async def known(key: RowKey, packed: bytes, stamp: bytes) -> bool:
            return await self._known_elsewhere(device, key, packed, stamp)

        # First: others may send it what was deleted for good, of which it has no memory perhaps.
        await device.enforce(self._store.rows.ring.epoch)
        await device.drain()
        await self._exchange.release_retired(device, lambda _: True)
        await device.flush()  # only then does it take what is older
        await self._exchange.forget_misplaced(device)
        lost = await self._exchange.lose(device, kept_here, known)
        taken = await self._exchange.take(device, kept_here)
        self._need_all_others(device, taken.asked)
        objects = await self._restore_data(device)
        await device.flush()
        await device.set_in_sync(in_sync=True)
        log.info("device rejoined", device=device.id, rows=taken.rows, objects=objects, lost=lost)

    def _living(self) -> list[DevicePort]:
        return [device for device in self._store.devices.values() if device.failed is None]

    def _need_all_others(self, device: DevicePort, asked: Collection[DevicePort]) -> None:
        """Raise DeviceError unless all devices that the newest layout knows are among those asked."""
        ring = self._store.rows.ring
        if not any(device.id in layout.members for layout in ring.live):
            return  # nobody has asked it to keep anything yet
        for number in ring.newest.devices:
            other = self._store.devices.get(number)
            if other is not device and other not in asked:
                raise DeviceError(f"device {number} is out: bring it back, or remove it from the ring if it is lost")

    async def _known_elsewhere(self, device: DevicePort, key: RowKey, packed: bytes, stamp: bytes) -> bool:
        """Whether another replica has this version, or one may have it and cannot be believed."""
        replicas = self._store.rows.ring.in_sync(ROWS, key.ring_hash)
        others = [self._store.devices.get(replica) for replica in replicas if replica != device.id]
        for other in others:
            if other is None or not other.in_sync:
                return True
            try:
                if await other.find_stamp(packed) == stamp:
                    return True
            except DamageError:
                return True
        return not others

    async def _restore_data(self, device: DevicePort) -> int:
        """Have all blocks here that rows place on this device; returns of how many objects."""

        async def page(other: DevicePort, after: bytes) -> tuple[Sequence[tuple[bytes, IndexRow]], bytes]:
            return await other.walk_rows(after, PAGE)

        async def visit(other: DevicePort, entry: tuple[bytes, IndexRow]) -> bool | None:
            packed, row = entry
            data_location = self._restorer.data_location(row)
            if data_location is None or device.id not in data_location.devices:
                return None
            key = parse_key(packed, row.name)
            if await self._first_replica(key, packed) is not other:
                return None  # each object is looked at once
            with self._store.pins.holding(row.data_id):
                # The newest: data that were open by the row that was met may have been sealed since.
                now = await self._restorer.newest(key, packed)
                if now is not None and now.row.data_id == row.data_id:
                    data_location = self._restorer.data_location(now.row) or data_location
                    written = await self._restorer.data(key, now.row, data_location, only={device.id})
                    self._daemon.progress.bytes += written
            return True

        outcome = await walk(self._living(), page, visit, self._daemon, row_place)
        if outcome.left:
            raise RetryableError(f"{outcome.left} objects could not be restored: {self._daemon.progress.trouble}")
        return outcome.done

    async def _first_replica(self, key: RowKey, packed: bytes) -> DevicePort | None:
        for replica in self._store.rows.ring.in_sync(ROWS, key.ring_hash):
            device = self._store.devices.get(replica)
            with suppress(DrystoneError):  # one that does not answer restores nothing now
                if device is not None and await device.find_row(packed) is not None:
                    return device
        return None
