"""The rebalancer: moves rows and data to where a new layout wants them.

While two layouts are live every write goes to the replicas of both, and reads ask the old ones. A device that the new
layout gives partitions first loses what it may hold of them from before and a read quorum does not know, then takes all
their rows from those that have them (`exchange`), begun only when no write is in flight that knows the old ring alone;
then it is marked as synced. When all are, reads move over and the old layout retires (see store.ring.progress). Only
devices of the new layout are waited for: one that is gone, or out and removed, holds nothing up.

Each device then forgets the rows that it is no replica of any more, durably, and says that it is clean. Until all have,
no tombstone is collected (`tombstones`).

Data follow (`move`): an object whose row places it elsewhere than the newest layout does is copied block by block,
verified, to where it belongs, its row is rewritten with the new places, and only then are the old copies dropped;
copies that are being read at that moment are left to the scrubber. How fast is for the `throttle` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import structlog
import trio

from store.core.errors import DeviceError, DrystoneError, QuorumError
from store.device.port import DevicePort
from store.device.row import IndexRow, RowKey, key_shard, parse_key
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, Slots, row_place, walk
from store.replicator.exchange import Exchange
from store.replicator.move import Moved, Mover
from store.replicator.progress import ProgressTable
from store.replicator.step import Step
from store.replicator.throttle import Throttle
from store.ring import RING_HASH_BITS, ROWS, Layout, Ring, quorum

log = structlog.get_logger()

SCHEDULE = Schedule(retry=15.0, retry_max=1800.0)
"""Each round that leaves something to do doubles the wait: it walks all rows again."""
PAGE = 500
MOVES_AT_ONCE = 16
"""Objects: while one is read another is written, and a third waits for its sync. Each has a block or two in memory."""
DROPS_AT_ONCE = 256
"""Objects that were moved, whose old copies go when an index is written: about once a second."""
CLEAN_SECONDS = 600.0
"""A device that has not forgotten what it lost after so long hangs, and is tried again later: others do not wait."""


class Rebalancer:
    """Brings the devices of this process to the newest layout."""

    def __init__(
        self, store: DeviceStore, exchange: Exchange, throttle: Throttle, progress: ProgressTable, step: Step
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._step = step
        self._seen = store.rows.ring
        """The last ring that came here: rows may use a newer one, that of a step which another daemon took."""
        self._daemon = Daemon(progress.loop("rebalance rows"), SCHEDULE, self.rebalance)
        self._data = Daemon(progress.loop("rebalance data"), SCHEDULE, self._move_data)
        self._mover = Mover(store, throttle, self._on_moved)
        self._for_others: int | None = None
        """Objects that the last round left to other processes."""
        self._take_over = False

    async def follow(self, ring: Ring) -> None:
        """Use this ring from now on. Returns when no write is in flight that knows only an older one."""
        # What devices say within an epoch concerns those that wait for all of them; the last one's word is a step.
        same = ring.epoch == self._seen.epoch or ring.places_as(self._seen)
        await self._see(ring)
        if not same:
            self._daemon.wake()

    async def _see(self, ring: Ring) -> None:
        if self._seen.is_behind(ring):
            self._seen = ring
        await self._store.rows.follow(ring)

    def wake(self) -> None:
        """A device is back that may be waited for."""
        self._daemon.wake()

    async def run(self) -> None:
        """Rebalance whenever the ring has changed, until cancelled."""
        await self._daemon.run()

    async def rebalance(self) -> Outcome:
        """Bring rows, then data, to where the newest layout wants them.

        An old layout retires behind both: until then a start opens the devices that only it knows, with their data.
        Where none of those is there any more, nothing is gained by waiting for data that cannot be moved.
        """
        await self._enforce()
        synced = await self._sync_layouts()
        data = await self._data.round()
        if not (data.left and self._leaving()):
            await self._retire_layouts()
        await self._clean()
        ring = self._store.rows.ring
        lagging = [*ring.unclean, *(number for layout in ring.live for number in ring.unsynced(layout.version))]
        # What another process has to do it does, and nobody would say so here: a step that leaves all where it is.
        left = sum(number in self._store.own for number in lagging)
        return Outcome(synced + data.done, left + (len(ring.live) > 1) + data.left)

    async def _enforce(self) -> None:
        """Every device refuses from now on what an older ring asks: before rows are taken over from it."""
        epoch = self._store.rows.ring.epoch
        for device in self._living():
            if device.enforced < epoch and len(self._store.rows.ring.live) > 1:
                await device.enforce(epoch)

    def _living(self) -> list[DevicePort]:
        return [device for device in self._store.devices.values() if device.failed is None]

    def _leaving(self) -> list[DevicePort]:
        """Those that the newest layout no longer knows."""
        return [device for device in self._living() if device.id not in self._store.rows.ring.newest.devices]

    # -- rows ----------------------------------------------------------------------------------------------------

    async def _sync_layouts(self) -> int:
        """Sync every device of this process that can be; how many rows were taken over. One that fails does not hold up
        the others."""
        taken = 0
        for layout in self._store.rows.ring.live[1:]:
            for number in sorted(self._store.rows.ring.unsynced(layout.version)):
                device = self._store.own.get(number)
                if device is None or device.failed is not None:
                    continue
                try:
                    taken += await self._sync(layout, device)
                except DrystoneError as error:
                    self._daemon.trouble(error)
                    log.warning("device not synced yet", device=number, layout=layout.version, error=str(error))
        return taken

    async def _sync(self, layout: Layout, device: DevicePort) -> int:
        self._need_quorums(self._living())

        def gained(ring_hash: int) -> bool:
            return device.id in layout.replicas(ROWS, ring_hash) and device.id not in self._store.rows.ring.in_sync(
                ROWS, ring_hash
            )

        async def known(key: RowKey, packed: bytes, stamp: bytes) -> bool:
            found = await self._store.rows.read(key, packed)
            return found is not None and found.row.stamp == stamp

        await self._exchange.release_retired(device, gained)
        await device.flush()  # only then does it take what is older
        lost = await self._exchange.lose(device, gained, known)
        taken = await self._exchange.take(device, lambda ring_hash: device.id in layout.replicas(ROWS, ring_hash))
        self._need_quorums([device, *taken.asked])
        await device.flush()  # what it lost must not be back after a crash
        await self._take_step(partial(Ring.mark_synced, version=layout.version, device=device.id))
        log.info("device synced", device=device.id, layout=layout.version, rows=taken.rows, lost=lost)
        return taken.rows

    def _need_quorums(self, asked: Collection[DevicePort]) -> None:
        """A device has all that was acknowledged only if a quorum of each row's replicas was asked. What the newest
        layout has given up for lost is not waited for.

        Raises QuorumError where too many are absent now.
        """
        ring = self._store.rows.ring
        reading, devices = ring.reading, self._store.devices
        absent = {
            number: DeviceError(f"device {number} is absent or not in sync")
            for number in reading.members
            if (device := devices.get(number)) is None or device not in asked or not device.in_sync
        }
        if not absent:
            return
        for partition in range(1 << reading.part_power):
            replicas = reading.replicas(ROWS, partition << (RING_HASH_BITS - reading.part_power))
            there = sum(replica not in absent for replica in replicas)
            awaited = any(replica in absent and replica in ring.newest.devices for replica in replicas)
            if there < quorum(len(replicas)) and awaited:
                raise QuorumError("copying rows to a new layout", quorum(len(replicas)), there, absent)

    async def _retire_layouts(self) -> None:
        """Have every living device of this process refuse the rings before; others say so when they are back."""
        for number in sorted(self._store.rows.ring.unenforced()):
            device = self._store.own.get(number)
            if device is not None and device.failed is None:
                epoch = self._store.rows.ring.epoch
                await device.enforce(epoch)
                await self._take_step(partial(Ring.mark_enforced, device=number, epoch=epoch))

    async def _take_step(self, step: Callable[[Ring], Ring]) -> None:
        await self._see(await self._step(step))

    async def _clean(self) -> None:
        """Forget rows on devices that are no replica of theirs in any live layout, for good."""
        for number in sorted(self._store.rows.ring.unclean):
            device = self._store.own.get(number)
            if device is None or device.failed is not None:
                continue
            ring = self._store.rows.ring
            with trio.move_on_after(CLEAN_SECONDS) as waiting:
                try:
                    # Whoever knows the old layout may still write by it, and what it sent may be queued.
                    await device.enforce(ring.epoch)
                    await device.drain()
                    await self._exchange.forget_misplaced(device)
                    await self._exchange.release_retired(device, partial(self._is_elsewhere, device.id))
                    await device.flush()
                except DrystoneError as error:
                    self._daemon.trouble(error)
                    continue
            if not waiting.cancelled_caught:
                await self._take_step(partial(_cleaned, number, ring))

    def _is_elsewhere(self, device: int, ring_hash: int) -> bool:
        return device not in self._store.rows.ring.replicas_all(ROWS, ring_hash)

    # -- data ----------------------------------------------------------------------------------------------------

    async def _move_data(self) -> Outcome:
        """Move every object's data to the devices that the newest layout gives them. One that cannot be moved does not
        keep the others waiting.

        Of the processes that have an object's row one moves it: that of its first replica that is there. The others
        wait for that, and take over what has not become less since they looked last: it may lack the row.
        """
        done = failed = for_others = 0

        async def page(device: DevicePort, after: bytes) -> tuple[Sequence[tuple[bytes, IndexRow]], bytes]:
            return await device.walk_rows(after, PAGE)

        async def visit(_device: DevicePort, entry: tuple[bytes, IndexRow]) -> bool | None:
            nonlocal for_others
            packed, row = entry
            wanted = self._mover.wanted(row)
            if wanted is None or packed in moves:
                return None
            if wanted.is_open:
                return False  # it is moved when it is sealed: until then devices that are to go have to stay
            if not (self._take_over or self._moves_here(packed)):
                for_others += 1
                return False
            await moves.begin(packed, partial(move, parse_key(packed, row.name), packed))
            return None

        async def move(key: RowKey, packed: bytes) -> None:
            nonlocal failed
            try:
                moved = await self._mover.move(key, packed)
            except DrystoneError as error:
                self._data.trouble(error)
                failed += 1
            else:
                if moved is not None:
                    await drops.begin(packed, partial(drop, moved))

        async def drop(moved: Moved) -> None:
            nonlocal done, failed
            try:
                await self._mover.drop_old(*moved)
            except DrystoneError as error:
                self._data.trouble(error)
                failed += 1
            else:
                done += 1
                self._data.progress.done += 1

        own = [device for device in self._store.own.values() if device.failed is None]
        async with Slots(DROPS_AT_ONCE) as drops, Slots(MOVES_AT_ONCE) as moves:
            outcome = await walk(own, page, visit, self._data, row_place)
        self._take_over = self._for_others is not None and 0 < self._for_others <= for_others
        self._for_others = for_others
        return Outcome(done, outcome.left + failed)

    def _moves_here(self, packed: bytes) -> bool:
        """Whether an object is for this process to move."""
        for replica in self._store.rows.ring.in_sync(ROWS, key_shard(packed)[0]):
            device = self._store.devices.get(replica)
            if device is not None and device.failed is None and device.in_sync:
                return replica in self._store.own
        return True

    def _on_moved(self, count: int) -> None:
        self._data.progress.bytes += count


def _cleaned(device: int, by: Ring, now: Ring) -> Ring:
    """The step that says so, where the layouts are still those by which it was cleaned: of one that has retired since,
    it may have rows that it was yet a replica of."""
    same = [layout.version for layout in now.live] == [layout.version for layout in by.live]
    return now.mark_clean(device) if same else now
