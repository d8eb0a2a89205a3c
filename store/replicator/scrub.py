"""The scrubber: re-reads everything that the devices hold within a set period, at a bandwidth that leaves room for
work, and hands what is bad or missing to the repairer.

First it walks rows, not bytes: each row that a device holds is read and verified there, and its other replicas are
asked for the same version. The first replica that is there also has its data looked at, wherever the row says that
these are: every block, and the reference to it where it is shared, is read once in a pass. So it finds what a checksum
can tell, and what only the row knows to be missing. Behind the rows of a device it drops what there belongs to nobody
(`orphans`).

It is the net below the hints and repairs on reading, not the mechanism: what a device missed is brought to it long
before.
"""

from __future__ import annotations

import structlog

from store.core.clock import Clock
from store.core.errors import DrystoneError
from store.device.block import BlockKey
from store.device.port import DevicePort
from store.device.row import IndexRow, RowKey, index_key, parse_key
from store.objects.block_lengths import BlockLengths
from store.objects.rowcodec import DataLocation
from store.objects.store import DeviceStore
from store.registry import Registry
from store.replicator.daemon import Daemon, Outcome, Pace, Schedule, Turns, row_place
from store.replicator.orphans import Orphans
from store.replicator.progress import ProgressTable
from store.replicator.repair import Repairer
from store.replicator.restore import Restorer, verify
from store.replicator.scrub_state import IDLE, ScrubState, load, save
from store.ring import ROWS

log = structlog.get_logger()

PERIOD_SECONDS = 14 * 24 * 3600.0
"""Everything is read once in so long: bit rot is found while the other copies are good."""
RATE_BYTES = 20 * 1024 * 1024
"""Read no faster than this a second."""
PAGE = 200
LOOK_SECONDS = 60.0
"""How often it is asked whether a pass is due, and how often a pass notes where it is."""


class Scrubber:
    """Scrubs the devices of this process, one after the other."""

    def __init__(
        self,
        store: DeviceStore,
        repairer: Repairer,
        registry: Registry,
        clock: Clock,
        progress: ProgressTable,
        node: str = "",
    ) -> None:
        self._store = store
        self._node = node
        self._registry = registry
        self._repairer = repairer
        self._clock = clock
        self._daemon = Daemon(progress.loop("scrub"), Schedule(every=LOOK_SECONDS), self._round)
        self._orphans = Orphans(store, self._daemon)
        self._state: ScrubState | None = None
        self._wanted = False
        self.passes = 0
        """Since this process began."""

    def want(self) -> None:
        """Begin a pass now, at full speed: somebody asked for it."""
        self._wanted = True
        self._daemon.wake()

    async def run(self) -> None:
        """A pass whenever one is due or wanted, until cancelled."""
        await self._daemon.run()

    async def scrub(self, rate_bytes: float | None = None) -> int:
        """One pass over all devices; returns how many objects were handed to the repairer."""
        return await self._pass(ScrubState(0.0, device=0), Pace(rate_bytes, self._clock), note=False)

    async def _round(self) -> Outcome:
        state = self._state or await self._load()
        wanted, self._wanted = self._wanted, False
        overdue = self._now() - (state.finished + PERIOD_SECONDS)
        self._daemon.progress.lag_s = max(0.0, overdue)
        if wanted or (state.device == IDLE and overdue >= 0):
            state = state._replace(device=0, after=b"")
        if state.device != IDLE:
            found = await self._pass(state, Pace(None if wanted else RATE_BYTES, self._clock), note=True)
            self.passes += 1
            self._daemon.progress.share = None
            state = ScrubState(self._now())
            await self._save(state)
            log.info("scrubbed", to_repair=found, passes=self.passes)
        self._state = state
        return Outcome()

    async def _load(self) -> ScrubState:
        try:
            state = await load(self._registry, self._node)
        except DrystoneError as error:
            self._daemon.trouble(error)
            return ScrubState(self._now())
        if state is None:
            state = ScrubState(self._now())
            await self._save(state)
        return state

    async def _save(self, state: ScrubState) -> None:
        try:
            await save(self._registry, state, self._node)
        except DrystoneError as error:
            self._daemon.trouble(error)  # at worst something is read twice

    def _now(self) -> float:
        return self._clock.wall_us() / 1e6

    async def _pass(self, state: ScrubState, pace: Pace, *, note: bool) -> int:
        """A pass from where `state` is. How many objects were handed to the repairer."""
        found = 0
        devices = sorted(self._store.own.items())
        for before, (number, device) in enumerate(devices):
            if number < state.device:
                continue
            after = state.after if number == state.device else b""
            try:
                found += await self._scrub_rows(device, after, pace, state if note else None, before, len(devices))
                await self._orphans.drop_intents(device)
                await self._orphans.drop(device)
            except DrystoneError as error:
                self._daemon.trouble(error)
        return found

    async def _scrub_rows(
        self, device: DevicePort, after: bytes, pace: Pace, state: ScrubState | None, before: int, count: int
    ) -> int:
        """`before` devices of `count` are done."""
        found = 0
        noted = float("-inf")
        turns = Turns()
        while True:
            rows, after = await device.walk_rows(after, PAGE)
            for packed, row in rows:
                await turns.take()
                key = parse_key(packed, row.name)
                if not await self._whole(device, key, packed, row, pace):
                    self._repairer.add(key)
                    found += 1
                self._daemon.progress.done += 1
                self._daemon.progress.share = (before + row_place(packed)) / count
                if state is not None and self._clock.monotonic() - noted >= LOOK_SECONDS:
                    noted = self._clock.monotonic()
                    await self._save(state._replace(device=device.id, after=packed))
            if not after:
                return found

    async def _whole(self, device: DevicePort, key: RowKey, packed: bytes, row: IndexRow, pace: Pace) -> bool:
        """Whether the row is intact here, as new at its other replicas, and its data are good where they should be."""
        sync = self._store.rows.ring.in_sync(ROWS, key.ring_hash)
        if device.id not in sync:
            return True  # the rebalancer's
        try:
            if index_key(key) != packed:
                return False
            await device.load_row(packed, row, payload=True)
            await pace.spend(row.location.length)
            for replica in sync:  # one after the other: a task for each would cost more than it asks
                other = self._store.devices.get(replica)
                if other is None or other is device or other.failed is not None:
                    continue
                there = await other.find_stamp(packed)
                if there is None or there < row.stamp:
                    return False
            data_location = Restorer.data_location(row)
            if data_location is not None and self._first_living(sync) == device.id:
                await self._verify_data(row, data_location, pace)
        except DrystoneError:
            try:
                now = await device.find_stamp(packed)
            except DrystoneError:
                return False
            return now != row.stamp  # overwritten meanwhile: nothing is wrong
        return True

    def _first_living(self, replicas: tuple[int, ...]) -> int | None:
        """The replica that has a row's data looked at."""
        for replica in replicas:
            device = self._store.devices.get(replica)
            if device is not None and device.failed is None and device.in_sync:
                return replica
        return None

    async def _verify_data(self, row: IndexRow, data_location: DataLocation, pace: Pace) -> None:
        """Read every block of some data, on each device that is there. Raises DamageError for the first that is bad."""
        lengths = BlockLengths(data_location, row.size)
        for block in range(lengths.count):
            for position, number in enumerate(data_location.devices):
                device = self._store.devices.get(number)
                if device is not None and device.failed is None:
                    key = BlockKey(row.data_id, block, position if data_location.k else 0)
                    await pace.spend(await verify(device, key, data_location, lengths))
