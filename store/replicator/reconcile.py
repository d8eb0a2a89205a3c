"""Reconciling: brings a device back to trust that was made anew in place of a lost one, or has lost part of its log.

Its silence about a row proves nothing until it has been compared with every other home of every row that it should
have. So: every row that the other devices hold, and that this one is a home of, is written here if it is missing or
older; a row that only this device has, while all of its other homes are trusted and know nothing of it, was never
acknowledged (or was deleted for good while this one's memory of that was lost), and is forgotten. Then the blocks that
rows place on this device are repaired, and it is trusted again.
"""

from __future__ import annotations

import structlog
import trio

from store.core.errors import DrystoneError
from store.core.stamp import Stamp
from store.engine.device import Device
from store.engine.row import parse_key
from store.objects.rowcodec import decode_object
from store.objects.store import DeviceStore
from store.replicator.progress import ProgressTable
from store.replicator.repair import Repairer
from store.ring import ROWS

log = structlog.get_logger()

PAGE = 500
RETRY_SECONDS = 30.0


class Reconciler:
    """Reconciles the devices of this process that are not trusted."""

    def __init__(self, store: DeviceStore, repairer: Repairer, progress: ProgressTable) -> None:
        self._store = store
        self._repairer = repairer
        self._progress = progress.loop("reconcile")

    async def run(self) -> None:
        """Reconcile until every device is trusted."""
        while untrusted := [device for device in self._store.devices.values() if not device.trusted]:
            self._progress.left = len(untrusted)
            for device in untrusted:
                try:
                    await self.reconcile(device)
                except DrystoneError as error:
                    self._progress.failed += 1
                    self._progress.trouble = str(error)
                    log.warning("device not reconciled yet", device=device.id, error=str(error))
            if any(not device.trusted for device in untrusted):
                await trio.sleep(RETRY_SECONDS)
        self._progress.left = 0

    async def reconcile(self, device: Device) -> None:
        """Compare one device with all others, then trust it. Raises DrystoneError where that could not be done."""
        copied, placed = await self.take_rows(device)
        forgotten = await self._forget_unknown(device)
        if await self._repairer.repair_all():
            raise DrystoneError("some objects could not be repaired: see the loop 'repair'")
        await device.flush()
        await device.set_trusted(trusted=True)
        self._progress.done += 1
        log.info("device reconciled", device=device.id, rows=copied, objects=placed, forgotten=forgotten)

    async def take_rows(self, device: Device) -> tuple[int, int]:
        """Bring every row here that the other devices hold and this one should: (rows brought, objects to repair)."""
        copied = placed = 0
        for other in list(self._store.devices.values()):
            if other is not device:
                rows, objects = await self._take_from(other, device)
                copied += rows
                placed += objects
        return copied, placed

    async def _take_from(self, other: Device, device: Device) -> tuple[int, int]:
        """Have every row of `other` that belongs on `device` too brought there; (rows, objects with data there)."""
        rows = objects = 0
        after = b""
        while True:
            page, after = await other.walk_rows(after, PAGE)
            for packed, row in page:
                key = parse_key(packed, row.name)
                if device.id in self._store.rows.ring.homes_all(ROWS, key.place):
                    here = await device.find_row(packed)
                    if here is None or here.stamp < row.stamp:
                        await self._repairer.repair(key)
                        rows += 1
                        continue  # its data were looked at as well
                if row.data_id and self._places(row.summary, row.stamp, device.id):
                    self._repairer.add(key)
                    objects += 1
            if not after:
                return rows, objects
            await trio.lowlevel.checkpoint()

    @staticmethod
    def _places(summary: bytes, stamp: bytes, number: int) -> bool:
        placed = decode_object(summary, Stamp.unpack(stamp)).placed
        return placed is not None and number in placed.devices

    async def _forget_unknown(self, device: Device) -> int:
        """Forget rows that no other home knows, where all of them would."""
        forgotten = 0
        after = b""
        while True:
            page, after = await device.walk_rows(after, PAGE)
            for packed, row in page:
                homes = self._store.rows.ring.homes_all(ROWS, parse_key(packed, b"").place)
                others = [self._store.devices.get(home) for home in homes if home != device.id]
                if not others or any(other is None or not other.trusted for other in others):
                    continue
                known = [other for other in others if other is not None and await other.find_row(packed) is not None]
                if not known:
                    device.forget_row(packed, row.stamp)
                    forgotten += 1
            if not after:
                return forgotten
