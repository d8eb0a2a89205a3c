"""Reconciling: brings a device back to trust that was made anew in place of a lost one, or has lost part of its log.

Its silence about a row proves nothing until it has been compared with every other home of every row that it should
have. So: every row that the other devices hold, and that this one is a home of, is written here if it is missing or
older; a row that only this device has, while all of its other homes are trusted and know nothing of it, was never
acknowledged (or was deleted for good while this one's memory of that was lost), and is forgotten. Then the blocks that
rows place on this device are repaired, and it is trusted again.

All other devices must be there for that: a write that this one and an absent one acknowledged would be unknown to a
quorum of the others. Marks of uploads are left alone: they are the settler's, and one that a commit has removed
elsewhere must not come back.
"""

from __future__ import annotations

import structlog
import trio

from store.core.errors import DamageError, DeviceError, DrystoneError, RetryableError
from store.core.stamp import Stamp
from store.engine.device import Device
from store.engine.row import SYSTEM, IndexRow, RowKey, parse_key
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
        self._wake = trio.Event()

    def wake(self) -> None:
        """There may be a device that is not trusted."""
        self._wake.set()

    async def run(self) -> None:
        """Reconcile every device that is not trusted, until cancelled."""
        while True:
            self._wake = trio.Event()
            left = await self.reconcile_all()
            with trio.move_on_after(RETRY_SECONDS if left else float("inf")):
                await self._wake.wait()

    async def reconcile_all(self) -> int:
        """Try to bring every device to trust; returns how many are left."""
        for device in [device for device in self._store.devices.values() if not device.trusted]:
            try:
                await self.reconcile(device)
            except DrystoneError as error:
                self._progress.failed += 1
                self._progress.trouble = str(error)
                log.warning("device not reconciled yet", device=device.id, error=str(error))
        self._progress.left = sum(not device.trusted for device in self._store.devices.values())
        return self._progress.left

    async def reconcile(self, device: Device) -> None:
        """Compare one device with all others, then trust it. Raises DrystoneError where that could not be done."""
        self._need_all_others(device)
        copied = await self.take_rows(device)
        forgotten = await self._forget_unknown(device)
        placed = await self._repair_data(device)
        await device.flush()
        await device.set_trusted(trusted=True)
        self._progress.done += 1
        log.info("device reconciled", device=device.id, rows=copied, objects=placed, forgotten=forgotten)

    def _need_all_others(self, device: Device) -> None:
        ring = self._store.rows.ring
        if not any(device.id in layout.members for layout in ring.live):
            return  # nobody has asked it to keep anything yet
        for number in ring.newest.devices:
            other = self._store.devices.get(number)
            if other is not device and (other is None or other.health.failed is not None):
                raise DeviceError(f"device {number} is out: bring it back, or remove it from the ring if it is lost")

    async def take_rows(self, device: Device) -> int:
        """Bring every row here that the other devices hold and this one should; how many were brought."""
        copied = 0
        for other in self._others(device):
            after = b""
            while True:
                page, after = await other.walk_rows(after, PAGE)
                for packed, row in page:
                    key = parse_key(packed, row.name)
                    if key.name[:1] == SYSTEM or device.id not in self._store.rows.ring.homes_all(ROWS, key.place):
                        continue
                    here = await _stamp(device, packed)
                    if here is None or here < row.stamp:
                        await self._repairer.repair_row(key)
                        copied += 1
                if not after:
                    break
                await trio.lowlevel.checkpoint()
        return copied

    async def _repair_data(self, device: Device) -> int:
        """Have all blocks here that rows place on this device; returns of how many objects."""
        objects = failed = 0
        for other in self._store.devices.values():
            if other.health.failed is not None:
                continue
            after = b""
            while True:
                page, after = await other.walk_rows(after, PAGE)
                for packed, row in page:
                    key = parse_key(packed, row.name)
                    # Each row is looked at once: at the first of its homes that has it.
                    if row.data_id and self._places(row, device.id) and await self._first_home(key, packed) is other:
                        objects += 1
                        try:
                            await self._repairer.repair(key)
                        except DrystoneError as error:
                            failed += 1
                            self._progress.trouble = str(error)
                if not after:
                    break
                await trio.lowlevel.checkpoint()
        if failed:
            raise RetryableError(f"{failed} of {objects} objects could not be repaired: {self._progress.trouble}")
        return objects

    def _others(self, device: Device) -> list[Device]:
        devices = self._store.devices.values()
        return [other for other in devices if other is not device and other.health.failed is None]

    @staticmethod
    def _places(row: IndexRow, number: int) -> bool:
        placed = decode_object(row.summary, Stamp.unpack(row.stamp)).placed
        return placed is not None and number in placed.devices

    async def _first_home(self, key: RowKey, packed: bytes) -> Device | None:
        for home in self._store.rows.ring.homes_all(ROWS, key.place):
            device = self._store.devices.get(home)
            if device is not None and device.health.failed is None and await _stamp(device, packed):
                return device
        return None

    async def _forget_unknown(self, device: Device) -> int:
        """Forget rows that no other home knows, where all of them would."""
        forgotten = 0
        after = b""
        while True:
            page, after = await device.walk_rows(after, PAGE)
            for packed, row in page:
                if row.name[:1] != SYSTEM:
                    # With the row's turn no write of it is on its way, of which only this home might know yet.
                    async with self._store.rows.turn(packed):
                        forgotten += await self._forget_if_unknown(device, packed, row.stamp)
            if not after:
                return forgotten
            await trio.lowlevel.checkpoint()

    async def _forget_if_unknown(self, device: Device, packed: bytes, stamp: bytes) -> bool:
        homes = self._store.rows.ring.homes_all(ROWS, parse_key(packed, b"").place)
        others = [self._store.devices.get(home) for home in homes if home != device.id]
        for other in others:
            if other is None or not other.trusted or await _stamp(other, packed) is not None:
                return False
        if others:
            device.forget_row(packed, stamp)
        return bool(others)


async def _stamp(device: Device, packed: bytes) -> bytes | None:
    """The version of a row that a device has; a damaged entry counts as older than any."""
    try:
        row = await device.find_row(packed)
    except DamageError:
        return b""
    return None if row is None else row.stamp
