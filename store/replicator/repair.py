"""The repairer: makes an object whole again where a copy, a fragment or a row of it was found bad or missing.

It is told which (a read that had to go around damage, the scrubber, an upload that a device missed), reads what is good
with all verification, and writes what is missing. A block that is bad is written anew beside it; the index then points
at the good one. Nothing is removed here, and nothing is written that was not verified.
"""

from __future__ import annotations

from contextlib import suppress

import structlog
import trio

from store.core.countdown import Countdown
from store.core.errors import DamageError, DeviceError, DrystoneError
from store.core.stamp import Stamp
from store.engine.block import BlockKey, encode_meta
from store.engine.device import Device
from store.engine.record import Buffer, Kind, Sealed, seal
from store.engine.row import SYSTEM, Flag, IndexRow, RowKey, index_key
from store.objects.reading import DataReader
from store.objects.rowcodec import Placed, decode_object
from store.objects.rows import ReadRow, prepare
from store.objects.store import DeviceStore
from store.replicator.progress import ProgressTable
from store.ring import ROWS, quorum

log = structlog.get_logger()

RETRY_SECONDS, RETRY_SECONDS_MAX = 30.0, 3600.0
"""What could not be repaired is tried again after so long, then after twice as long, and so on while nothing can be: a
try reads whole objects, and a device that is out may be so for days."""
QUEUE_MAX = 100_000
"""Beyond this the scrubber finds the rest again."""


class Repairer:
    """Repairs objects one after the other."""

    def __init__(self, store: DeviceStore, progress: ProgressTable) -> None:
        self._store = store
        self._progress = progress.loop("repair")
        self._queue: dict[RowKey, None] = {}
        self._later: dict[RowKey, None] = {}
        """What could not be repaired: tried again after a while, whoever finds it bad meanwhile."""
        self._wake = trio.Event()
        store.on_incomplete = self.add

    def add(self, key: RowKey) -> None:
        """Something of this object is bad or missing."""
        if key not in self._later and self._left() < QUEUE_MAX:
            self._queue[key] = None
            self._wake.set()

    def _left(self) -> int:
        return len(self._queue) + len(self._later)

    async def run(self) -> None:
        """Repair what is added, until cancelled."""
        retry_at, wait_s = float("inf"), RETRY_SECONDS
        while True:
            with trio.move_on_at(retry_at):
                await self._wake.wait()
            self._wake = trio.Event()
            if trio.current_time() >= retry_at:
                retry_at, left = float("inf"), self._left()
                wait_s = RETRY_SECONDS if await self.repair_all() < left else min(2 * wait_s, RETRY_SECONDS_MAX)
            elif self._queue:
                await self._repair_queue()
            if self._later:
                retry_at = min(retry_at, trio.current_time() + wait_s)
            else:
                wait_s = RETRY_SECONDS

    async def repair_all(self) -> int:
        """Try everything once, also what could not be repaired before; returns how many are left."""
        self._queue = self._later | self._queue
        self._later = {}
        return await self._repair_queue()

    async def _repair_queue(self) -> int:
        failed = 0
        for key in list(self._queue):
            self._queue.pop(key, None)  # before: what is found from now on is another version's, perhaps
            try:
                await self.repair(key)
            except DrystoneError as error:
                failed += 1
                self._progress.trouble = str(error)
                self._later[key] = None
                self._queue.pop(key, None)
                continue
            self._progress.done += 1
        if failed:
            log.warning("not repaired yet", objects=failed, error=self._progress.trouble)
        self._progress.failed += failed
        self._progress.left = self._left()
        self._progress.rounds += 1
        return self._left()

    async def repair(self, key: RowKey) -> None:
        """Make one object whole. Raises DamageError where too little of it is left."""
        if key.name[:1] == SYSTEM:
            return  # a mark is the settler's: one that a commit has removed elsewhere must not be brought back
        packed = index_key(key)
        found = await self._newest(key, packed)
        if found is None:
            return
        # Pinned before anything is waited for: blocks written after their data were dropped would stay for ever.
        self._store.pins.add(found.row.data_id)
        try:
            try:
                await self._repair_row(key, packed, found)
            finally:
                if found.row.data_id:
                    placed = decode_object(found.row.summary, Stamp.unpack(found.row.stamp)).placed
                    if placed is not None:
                        await self._repair_data(key, found.row, placed)
        finally:
            self._store.pins.remove(found.row.data_id)

    async def repair_row(self, key: RowKey) -> None:
        """Bring the newest version of a row to all of its homes, intact, and leave its data alone."""
        packed = index_key(key)
        found = await self._newest(key, packed)
        if found is not None and key.name[:1] != SYSTEM:
            await self._repair_row(key, packed, found)

    async def _newest(self, key: RowKey, packed: bytes) -> ReadRow | None:
        """The newest version that any home has: a write that a crash left at a single one is brought to all too.

        Not one that only homes have which are not trusted, where so many others are silent that it was never
        acknowledged, or was deleted for good: that is forgotten when they are reconciled.
        """
        homes = self._store.rows.ring.homes_all(ROWS, key.place)
        rows: dict[int, IndexRow] = {}
        trusted = silent = 0
        for home in homes:
            device = self._store.devices.get(home)
            if device is None or device.health.failed is not None:
                continue
            with suppress(DamageError):
                row = await device.find_row(packed)
                if row is not None:
                    rows[home] = row
                    trusted += device.trusted
                else:
                    silent += device.trusted
        if not rows or (not trusted and len(homes) - silent < quorum(len(homes))):
            return None
        newest = max(rows.values(), key=lambda row: row.stamp)
        return ReadRow(newest, tuple(home for home, row in rows.items() if row.stamp == newest.stamp))

    async def _repair_row(self, key: RowKey, packed: bytes, found: ReadRow) -> None:
        """Every home gets this version, intact, unless it has a newer one. Raises the last reason why one did not."""
        bad: list[Device] = []
        reason: DrystoneError | None = None
        for home in self._store.rows.ring.homes_all(ROWS, key.place):
            device = self._store.devices.get(home)
            if device is None:
                continue
            try:
                row = await device.find_row(packed)
                if row is None or row.stamp < found.row.stamp:
                    bad.append(device)
                elif row.stamp == found.row.stamp:
                    await device.load_row(packed, row, payload=True)
            except DamageError:
                bad.append(device)
            except DeviceError as error:
                reason = error
        if bad:
            whole = await self._store.rows.load(key, packed, found)
            write = prepare(whole._replace(flags=whole.flags & ~Flag.GUARD), packed)
            waiting = Countdown()
            for device in bad:
                try:
                    device.admit_row(whole)
                    device.submit_row(write, lambda _, error: waiting.done(error))
                    waiting.add()
                except DrystoneError as error:
                    reason = error
            await waiting.wait()
        if reason is not None:
            raise reason

    async def _repair_data(self, key: RowKey, row: IndexRow, placed: Placed) -> None:
        """Every device that should have blocks has them, verified. Raises the last reason why one does not."""
        reason: DrystoneError | None = None
        store = self._store
        reader = DataReader(store.devices, store.worker, row.data_id, row.size, placed, _known)
        losses: dict[int, int] = {}
        for block in range(-(-row.size // placed.block_bytes)):
            missing = [
                (position, device)
                for position, number in enumerate(placed.devices)
                if (device := self._store.devices.get(number)) is not None
                and not await self._good(device, BlockKey(row.data_id, block, position if placed.k else 0))
            ]
            if missing:
                fragments = await reader.fragments(block)
                for position, device in missing:
                    losses.setdefault(device.id, device.data_losses)
                    block_key = BlockKey(row.data_id, block, position if placed.k else 0)
                    try:
                        await device.write_block(block_key, seal_block(block_key, key, fragments[block_key.fragment]))
                    except DrystoneError as error:
                        reason = error
        for number, lost in losses.items():
            try:
                await self._store.devices[number].sync_data(lost)
            except DrystoneError as error:
                reason = error
        if reason is not None:
            raise reason

    @staticmethod
    async def _good(device: Device, key: BlockKey) -> bool:
        try:
            await device.read_block(key)
        except DrystoneError:
            return False
        return True


def _known() -> None:
    """What the repairer's own reading finds bad is what it is about to mend."""


def seal_block(key: BlockKey, owner: RowKey, payload: Buffer) -> Sealed:
    """A block's record, ready for any device."""
    return seal(Kind.BLOCK, encode_meta(key, owner), payload)
