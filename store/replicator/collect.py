"""The collector: drops data that a newer row has displaced, and forgets tombstones that every home has.

A home notes displaced data in the same step as the row that displaced them, so a crash forgets nothing. Data are
dropped once a quorum read says that their row names them no more and nobody is reading them; only when every device
has confirmed that durably is the note forgotten. A tombstone goes only when all homes of all live layouts have that
same version and are trusted: a home that was away could bring the deleted row back, however long ago that was, so time
alone never decides.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
import trio

from store.core.errors import DrystoneError
from store.core.stamp import ZERO
from store.engine.row import index_key, parse_key
from store.engine.view import Garbage
from store.objects.rowcodec import decode_object
from store.objects.store import DeviceStore
from store.replicator.progress import ProgressTable
from store.ring import ROWS

log = structlog.get_logger()

BATCH = 2000
RETRY_SECONDS = 5.0
"""What could not be dropped (a reader, a device that is out) is tried again after this."""
TOMBSTONE_SECONDS = 60.0
"""Between rounds over the tombstones. Load, not safety, sets this."""


class Collector:
    """Drops displaced data and forgets tombstones, on all devices of this process."""

    def __init__(self, store: DeviceStore, progress: ProgressTable) -> None:
        self._store = store
        self._devices = store.devices
        self._wake = trio.Event()
        self._data = progress.loop("collect data")
        self._tombstones = progress.loop("collect tombstones")
        store.on_garbage = self.wake

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Collect displaced data as they come, until cancelled."""
        self.wake()  # what an earlier process left
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            left = await self.collect_data()
            if left:
                with trio.move_on_after(RETRY_SECONDS):
                    await self._wake.wait()
                self._wake.set()

    async def run_tombstones(self) -> None:
        """Forget tombstones now and then, until cancelled."""
        while True:
            await trio.sleep(TOMBSTONE_SECONDS)
            await self.collect_tombstones()

    async def collect_data(self) -> int:
        """One round over all notes; returns how many data ids are still to be dropped."""
        left = 0
        seen: set[bytes] = set()
        for device in list(self._devices.values()):
            try:
                notes = await device.garbage(BATCH)
            except DrystoneError as error:
                self._data.trouble = str(error)
                continue
            fresh = [note for note in notes if note.data_id not in seen]
            seen.update(note.data_id for note in fresh)
            left += await self._drop_all(fresh)
        self._data.left = left
        self._data.rounds += 1
        return left

    async def _drop_all(self, notes: Iterable[Garbage]) -> int:
        """Drop data whose rows are gone; returns how many could not be."""
        drops: list[tuple[Garbage, Drop]] = []
        left = 0
        for note in notes:
            try:
                if await self._named(note):
                    self._forget(note)
                    continue
                if note.data_id in self._store.pins:  # asked last: a reader may have come while the row was read
                    left += 1
                    continue
                placed = decode_object(note.summary, ZERO).placed
                known = self._store.rows.ring.devices  # one that has left the ring has taken its copy with it
                places = [number for number in placed.devices if number in known] if placed else []
                drops.append((note, Drop(self._store, note.data_id, places)))
            except DrystoneError as error:
                left += 1
                self._data.trouble = str(error)
        for note, drop in drops:
            if await drop.wait():
                self._forget(note)
                self._data.done += 1
            else:
                left += 1
        return left

    async def _named(self, note: Garbage) -> bool:
        """Whether the data's row names them after all."""
        found = await self._store.rows.read(note.owner, index_key(note.owner))
        return found is not None and found.row.data_id == note.data_id

    def _forget(self, note: Garbage) -> None:
        """On all devices: homes of a layout that has retired may have noted it too."""
        for device in self._devices.values():
            device.forget_garbage(note.data_id)

    async def collect_tombstones(self) -> int:
        """One round over all tombstones; returns how many were forgotten."""
        forgotten = 0
        for device in list(self._devices.values()):
            after = b""
            try:
                while page := await device.tombstones(after, BATCH):
                    for packed, stamp in page:
                        forgotten += await self._forget_tombstone(packed, stamp)
                    after = page[-1][0]
                    await trio.lowlevel.checkpoint()
            except DrystoneError as error:
                self._tombstones.trouble = str(error)
        self._tombstones.done += forgotten
        self._tombstones.rounds += 1
        return forgotten

    async def _forget_tombstone(self, packed: bytes, stamp: bytes) -> int:
        homes = self._store.rows.ring.homes_all(ROWS, parse_key(packed, b"").place)
        for home in homes:
            device = self._devices.get(home)
            if device is None or not device.trusted:
                return 0
            row = await device.find_row(packed)
            if row is None or row.stamp != stamp:
                return 0
        for home in homes:
            self._devices[home].forget_row(packed, stamp)
        return 1


class Drop:
    """Drops data from their devices, and waits until that is durable on all of them."""

    def __init__(self, store: DeviceStore, data_id: bytes, places: Iterable[int]) -> None:
        self._open = 1
        self._good = True
        self._finished = trio.Event()
        for number in dict.fromkeys(places):
            device = store.devices.get(number)
            try:
                if device is None:
                    self._good = False
                    continue
                device.submit_drop(data_id, self._done)
                self._open += 1
            except DrystoneError:
                self._good = False
        self._done(None)

    def _done(self, error: DrystoneError | None) -> None:
        self._open -= 1
        self._good = self._good and error is None
        if not self._open:
            self._finished.set()

    async def wait(self) -> bool:
        """Whether every device has dropped them. What is not is tried again later."""
        await self._finished.wait()
        return self._good
