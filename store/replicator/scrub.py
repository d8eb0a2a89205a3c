"""The scrubber: re-reads everything that the devices hold within a set period, at a bandwidth that leaves room for
work, and hands what is bad or missing to the repairer.

First it walks rows, not bytes: each row that a device holds is read and verified there, its other homes are asked for
the same version, and its blocks are read wherever the row says that they are. So it finds what a checksum can tell, and
what only the row knows to be missing. Then it walks blocks: data that no row names on this device, and no upload's mark
speaks for, belong to nobody (a crash came between a move and its clean-up), and are dropped.

A pass is due a period after the last; and as soon as all devices are well again after one was out or full, or missed a
write for whatever reason: what it missed has a copy too few, and its counts lag.
"""

from __future__ import annotations

from typing import Final

import structlog
import trio

from store.core.clock import Clock
from store.core.errors import DrystoneError
from store.core.stamp import Stamp
from store.engine.block import BlockKey
from store.engine.device import Device
from store.engine.row import IndexRow, RowKey, index_key, parse_key
from store.engine.view import UPLOAD
from store.objects.rowcodec import decode_object
from store.objects.store import DeviceStore
from store.registry import Registry
from store.replicator.collect import Drop
from store.replicator.progress import ProgressTable
from store.replicator.repair import Repairer
from store.replicator.scrub_state import IDLE, ScrubState, load, save
from store.ring import ROWS

log = structlog.get_logger()

PERIOD_SECONDS = 14 * 24 * 3600.0
"""Everything is read once in so long: bit rot is found while the other copies are good."""
RATE_BYTES = 20 * 1024 * 1024
"""Read no faster than this a second and device."""
PAGE = 200
OWED_SECONDS: Final = 600.0
"""A pass that is owed begins no sooner after the last: devices that are full now and then are not scrubbed for ever."""
LOOK_SECONDS: Final = 60.0
"""How often devices are looked at between passes, and how often a pass notes where it is."""


class Scrubber:
    """Scrubs the devices of this process, one after the other."""

    def __init__(
        self, store: DeviceStore, repairer: Repairer, registry: Registry, clock: Clock, progress: ProgressTable
    ) -> None:
        self._store = store
        self._registry = registry
        self._repairer = repairer
        self._clock = clock
        self._progress = progress.loop("scrub")
        self._misses = store.rows.misses
        self._wanted = trio.Event()

    def want(self) -> None:
        """Begin a pass now, at full speed: somebody asked for it."""
        self._wanted.set()

    async def run(self, period_s: float = PERIOD_SECONDS) -> None:
        """A pass whenever one is due or wanted, until cancelled."""
        state = await self._load()
        while True:
            state = await self._wait(state, period_s)
            wanted, self._wanted = self._wanted.is_set(), trio.Event()
            if wanted or state.device == IDLE:
                state = state._replace(owed=False, device=0, after=b"")
            self._misses = self._store.rows.misses
            found, owed = await self._pass(state, None if wanted else RATE_BYTES)
            state = ScrubState(self._now(), owed)
            await self._save(state)
            log.info("scrubbed", to_repair=found, passes=self._progress.rounds)

    async def _wait(self, state: ScrubState, period_s: float) -> ScrubState:
        """Wait until a pass is due. Notes meanwhile that one is owed."""
        while state.device == IDLE and not self._wanted.is_set():
            if not state.owed and self._behind():
                state = state._replace(owed=True)
                await self._save(state)
            left = state.finished + period_s - self._now()
            self._progress.lag_s = max(0.0, -left)
            if state.owed and self._all_well():
                left = min(left, state.finished + OWED_SECONDS - self._now())
            if left <= 0:
                break
            with trio.move_on_after(min(left, LOOK_SECONDS)):
                await self._wanted.wait()
        return state

    async def _load(self) -> ScrubState:
        try:
            state = await load(self._registry)
        except DrystoneError as error:
            self._progress.trouble = str(error)
            return ScrubState(self._now(), owed=True)
        if state is None:
            state = ScrubState(self._now())
            await self._save(state)
        return state

    async def _save(self, state: ScrubState) -> None:
        try:
            await save(self._registry, state)
        except DrystoneError as error:
            self._progress.trouble = str(error)  # at worst something is read twice

    def _behind(self) -> bool:
        """Whether a device may lack something since the last pass began."""
        return self._store.rows.misses != self._misses or not self._all_well()

    def _all_well(self) -> bool:
        """Whether every device of the ring is there and takes all that it should."""
        devices = [self._store.devices.get(number) for number in self._store.rows.ring.devices]
        return all(
            device is not None and device.health.failed is None and (not device.full or device.look_for_room())
            for device in devices
        )

    def _now(self) -> float:
        return self._clock.wall_us() / 1e6

    async def scrub(self, rate_bytes: float | None = None) -> int:
        """One pass over all devices; returns how many objects were handed to the repairer."""
        found, _ = await self._pass(ScrubState(0.0, device=0), rate_bytes, note=False)
        return found

    async def _pass(self, state: ScrubState, rate_bytes: float | None, *, note: bool = True) -> tuple[int, bool]:
        """A pass from where `state` is. How many objects were handed to the repairer, and whether another is owed."""
        found = 0
        noted = float("-inf")
        for number, device in sorted(self._store.devices.items()):
            if number < state.device:
                continue
            after = state.after if number == state.device else b""
            try:
                while True:
                    if note and self._clock.monotonic() - noted >= LOOK_SECONDS:
                        noted = self._clock.monotonic()
                        state = state._replace(owed=state.owed or self._behind(), device=number, after=after)
                        await self._save(state)
                    rows, after = await device.walk_rows(after, PAGE)
                    found += await self._scrub_page(device, rows, rate_bytes)
                    if not after:
                        break
                await self._drop_orphans(device)
            except DrystoneError as error:
                self._progress.trouble = str(error)
        self._progress.rounds += 1
        return found, state.owed or self._behind()

    async def _drop_orphans(self, device: Device) -> None:
        after = b""
        while True:
            owners, after = await device.owners(after, PAGE)
            drops = [drop for owned in owners if (drop := await self._drop_orphan(device, *owned)) is not None]
            for drop in drops:
                await drop.wait()
            if drops:
                log.warning("data without an owner dropped", device=device.id, count=len(drops))
            if not after:
                return

    async def _drop_orphan(self, device: Device, data_id: bytes, owner: RowKey) -> Drop | None:
        """Begin to drop data that nobody claims. With the turn of their row no commit and no move can come between the
        look and the drop; what is uploaded, settled, read or repaired is pinned, which is asked last."""
        async with self._store.rows.turn(index_key(owner)):
            try:
                claimed = await self._claimed(device, data_id, owner)
            except DrystoneError as error:
                self._progress.trouble = str(error)
                return None  # who cannot be asked may claim them
            return None if claimed or data_id in self._store.pins else Drop(self._store, data_id, [device.id])

    async def _claimed(self, device: Device, data_id: bytes, owner: RowKey) -> bool:
        """Whether a row names these data on this device, or an upload under way may yet."""
        if data_id in self._store.pins:
            return True
        mark = owner._replace(name=UPLOAD + data_id)
        # The mark first: a commit between the two reads has then put the row in place. Each home is asked by itself:
        # what only some have must not be brought to the others, where a commit may have removed it.
        for home in self._store.rows.ring.homes_all(ROWS, mark.place):
            having = self._store.devices.get(home)
            if having is not None and await having.find_row(index_key(mark)) is not None:
                return True
        found = await self._store.rows.read(owner, index_key(owner))
        if found is None or found.row.data_id != data_id:
            return False
        placed = decode_object(found.row.summary, Stamp.unpack(found.row.stamp)).placed
        return placed is not None and device.id in placed.devices

    async def _scrub_page(self, device: Device, rows: list[tuple[bytes, IndexRow]], rate_bytes: float | None) -> int:
        found = 0
        began = self._clock.monotonic()
        size = 0
        for packed, row in rows:
            key = parse_key(packed, row.name)
            size += row.location.length
            if not await self._whole(device, key, packed, row):
                self._repairer.add(key)
                found += 1
            self._progress.done += 1
        if rate_bytes is not None:
            await trio.sleep(max(0.0, size / rate_bytes - (self._clock.monotonic() - began)))
        await trio.lowlevel.checkpoint()
        return found

    async def _whole(self, device: Device, key: RowKey, packed: bytes, row: IndexRow) -> bool:
        """Whether the row is intact here, as new at its other homes, and the blocks kept here are good."""
        try:
            if index_key(key) != packed:
                return False
            await device.load_row(packed, row, payload=True)
            for home in self._store.rows.ring.homes_all(ROWS, key.place):
                other = self._store.devices.get(home)
                if other is None or other is device:
                    continue
                there = await other.find_row(packed)
                if there is None or there.stamp < row.stamp:
                    return False
            if row.data_id:
                await self._check_blocks(row)
        except DrystoneError:
            now = device.view.row(packed)
            return now is None or now.stamp != row.stamp  # overwritten meanwhile: nothing is wrong
        return True

    async def _check_blocks(self, row: IndexRow) -> None:
        placed = decode_object(row.summary, Stamp.unpack(row.stamp)).placed
        if placed is None:
            return
        for block in range(-(-row.size // placed.block_bytes)):
            for position, number in enumerate(placed.devices):
                device = self._store.devices.get(number)
                if device is not None:
                    await device.read_block(BlockKey(row.data_id, block, position if placed.k else 0))
