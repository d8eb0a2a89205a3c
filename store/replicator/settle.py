"""The settler: ends uploads that nobody will end, so that their space comes back.

An upload leaves a mark in the homes of its row-to-be before its first block. If a process dies, or a commit's outcome
is unknown, the mark remains. Then every home is asked: if any has the row, the upload was committed, and is brought to
all; if not, an **abort mark** goes to every home, each of which refuses the commit from then on, and refuses the mark
if the commit has come first. Only when all homes have the abort mark are the data dropped. All, not a quorum: then no
home can hold a committed row of dropped data, and nothing ever has to be taken back (docs/adr/0002). No grace period
decides.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from store.core.errors import DrystoneError
from store.core.stamp import ZERO
from store.engine.device import Device
from store.engine.row import Flag, RowKey, index_key, parse_key
from store.engine.view import UPLOAD, Applied
from store.objects.rows import ReadRow, prepare
from store.objects.store import DeviceStore
from store.objects.upload import mark_row
from store.replicator.collect import Drop
from store.replicator.progress import ProgressTable
from store.ring import ROWS

log = structlog.get_logger()

RETRY_SECONDS = 10.0
BATCH = 10_000
AT_ONCE = 64


class Settler:
    """Settles uploads of this process that ended without an outcome, and all that earlier processes left."""

    def __init__(self, store: DeviceStore, progress: ProgressTable) -> None:
        self._store = store
        self._progress = progress.loop("settle uploads")
        self._wake = trio.Event()
        self._open: dict[bytes, RowKey] = {}
        store.on_unsettled = self.add

    def add(self, target: RowKey, data_id: bytes) -> None:
        """This upload will not be committed any more by anyone who knows its outcome."""
        if data_id not in self._open:
            self._store.pins.add(data_id)  # its blocks are nobody else's to drop
        self._open[data_id] = target
        self._progress.left = len(self._open)
        self._wake.set()

    async def find_left_behind(self) -> None:
        """Add every upload that is marked: to be called before this process begins its first."""
        for device in self._store.devices.values():
            after = b""
            try:
                while page := await device.uploads(after, BATCH):
                    for data_id, packed in page:
                        row = device.view.row(packed)
                        if row is not None:
                            self.add(parse_key(packed, row.summary), data_id)
                    after = page[-1][0]
            except DrystoneError as error:
                self._progress.trouble = str(error)  # its other homes have the marks too

    def targets(self) -> list[RowKey]:
        """What the uploads that are not settled were to become."""
        return list(self._open.values())

    async def run(self) -> None:
        """Settle what is added, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            await self.settle_all()
            if self._open:
                with trio.move_on_after(RETRY_SECONDS):
                    await self._wake.wait()
                self._wake.set()

    async def settle_all(self) -> None:
        """Try to settle each open upload once. Many at once: each waits for syncs and for an index to be written."""
        limiter = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for data_id, target in list(self._open.items()):
                nursery.start_soon(self._try_one, limiter, data_id, target)
        self._progress.rounds += 1

    async def _try_one(self, limiter: trio.CapacityLimiter, data_id: bytes, target: RowKey) -> None:
        async with limiter:
            try:
                settled = await self._settle(target, data_id)
            except DrystoneError as error:
                self._progress.trouble = str(error)
                self._progress.failed += 1
                return
        if settled and self._open.pop(data_id, None) is not None:
            self._store.pins.remove(data_id)
            self._progress.done += 1
        self._progress.left = len(self._open)

    async def _settle(self, target: RowKey, data_id: bytes) -> bool:
        homes = self._store.rows.ring.homes_all(ROWS, target.place)
        devices = [self._store.devices[home] for home in homes if home in self._store.devices]
        if len(devices) < len(homes):
            return False
        packed = index_key(target)
        async with self._store.rows.turn(packed):
            if await self._committed(target, packed, data_id, devices):
                self._forget_marks(target, data_id)
                return True
            mark = mark_row(target, data_id, Flag.ABORT)
            mark = mark._replace(stamp=self._store.rows.stamps.next(ZERO))
            answers = _Answers(len(devices))
            for device in devices:
                device.submit_row(prepare(mark), answers.reply)
            if not await answers.all_took_effect():
                return False
        if self._store.pins.shared(data_id):
            return False  # it was committed, overwritten, and is still being read
        # On all devices of the ring: one that is away would come back with blocks whose mark is forgotten.
        if not await Drop(self._store, data_id, self._store.rows.ring.devices).wait():
            return False
        self._forget_marks(target, data_id)
        return True

    async def _committed(self, target: RowKey, packed: bytes, data_id: bytes, devices: list[Device]) -> bool:
        """Whether any home has the upload's row; if so, a quorum has it when this returns."""
        for device in devices:
            row = await device.find_row(packed)
            if row is not None and row.data_id == data_id:
                whole = await self._store.rows.load(target, packed, ReadRow(row, (device.id,)))
                await self._store.rows.write(whole._replace(flags=whole.flags & ~Flag.GUARD), packed, new=False)
                return True
        return False

    def _forget_marks(self, target: RowKey, data_id: bytes) -> None:
        """On all devices: the mark may have been written to the homes of a layout that has retired since."""
        packed = index_key(target._replace(name=UPLOAD + data_id))
        for device in self._store.devices.values():
            row = device.view.row(packed)
            if row is not None:
                device.forget_row(packed, row.stamp)


class _Answers:
    """Waits for every home's answer."""

    def __init__(self, count: int) -> None:
        self._open = count
        self._good = True
        self._finished = trio.Event()
        self.reply: Callable[[Applied | None, DrystoneError | None], None] = self._reply

    def _reply(self, applied: Applied | None, _error: DrystoneError | None) -> None:
        self._open -= 1
        self._good = self._good and applied is not None and not applied.refused
        if not self._open:
            self._finished.set()

    async def all_took_effect(self) -> bool:
        await self._finished.wait()
        return self._good
