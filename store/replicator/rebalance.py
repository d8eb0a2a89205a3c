"""The rebalancer: moves rows and data to where a new layout wants them.

While two layouts are live every write goes to the homes of both and reads ask the old ones. A device that the new
layout gives partitions takes over all their rows from the devices that have them, begun only when no write is in flight
that knows the old ring alone; then it is marked as synced. When all are, reads move over and the old layout retires
(see store.ring.progress). Rows that a device is no home of any more are forgotten there.

Data follow: an object whose row places it elsewhere than the newest layout does is copied block by block, verified, to
where it belongs, its row is rewritten with the new places, and only then are the old copies dropped; copies that are
being read at that moment are left to the scrubber.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from store.core.errors import DeviceError, DrystoneError, QuorumError, RetryableError
from store.core.stamp import Stamp
from store.engine.block import BlockKey
from store.engine.device import Device
from store.engine.row import SYSTEM, Flag, IndexRow, RowKey, parse_key
from store.objects.model import ObjectHead
from store.objects.placement import data_place
from store.objects.rowcodec import Placed, decode_headers, decode_object, encode_object
from store.objects.store import DeviceStore
from store.replicator.collect import Drop
from store.replicator.progress import ProgressTable
from store.replicator.reconcile import Reconciler
from store.replicator.repair import seal_block
from store.ring import PLACE_BITS, ROWS, Ring, quorum

log = structlog.get_logger()

PAGE = 500
RETRY_SECONDS, RETRY_SECONDS_MAX = 15.0, 1800.0
"""Each round that leaves something to do doubles the wait: it walks all rows again."""

Step = Callable[[Callable[[Ring], Ring]], Awaitable[Ring]]
"""Takes one step on the stored ring, and gives the ring that came of it."""


class Rebalancer:
    """Brings the devices of this process to the newest layout."""

    def __init__(self, store: DeviceStore, reconciler: Reconciler, progress: ProgressTable, step: Step) -> None:
        self._store = store
        self._reconciler = reconciler
        self._step = step
        self._rows = progress.loop("rebalance rows")
        self._data = progress.loop("rebalance data")
        self._wake = trio.Event()

    async def follow(self, ring: Ring) -> None:
        """Use this ring from now on. Returns when no write is in flight that knows only an older one."""
        await self._store.rows.follow(ring)
        self._wake.set()

    async def run(self) -> None:
        """Rebalance whenever the ring has changed, until cancelled."""
        self._wake.set()
        retry_s = RETRY_SECONDS
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            try:
                await self.rebalance()
                retry_s = RETRY_SECONDS
            except DrystoneError as error:
                self._rows.trouble = str(error)
                self._rows.failed += 1
                log.warning("not rebalanced yet", error=str(error))
                with trio.move_on_after(retry_s):
                    await self._wake.wait()
                retry_s = min(2 * retry_s, RETRY_SECONDS_MAX)
                self._wake.set()

    async def rebalance(self) -> None:
        """Bring rows, then data, to where the newest layout wants them.

        An old layout retires behind both: until then a start opens the devices that only it knows, with their data.
        """
        await self._sync_layouts()
        left = await self._move_data()
        await self._retire_layouts()
        if len(self._store.rows.ring.live) == 1:
            await self._forget_strangers()
        if left:
            raise RetryableError(f"{left} objects could not be moved")

    async def _sync_layouts(self) -> None:
        for layout in self._store.rows.ring.live[1:]:
            version = layout.version
            waiting = self._store.rows.ring.unsynced(version)
            for number in sorted(waiting):
                device = self._store.devices.get(number)
                self._rows.left = len(waiting)
                if device is None:
                    continue
                self._need_quorums()
                copied = await self._reconciler.take_rows(device)
                await self._take_step(partial(Ring.mark_synced, version=version, device=number))
                self._rows.done += copied
                log.info("device synced", device=number, layout=version, rows=copied)
        self._rows.left = 0

    def _need_quorums(self) -> None:
        """A device has all that was acknowledged only if a quorum of each row's homes was asked. What the newest layout
        has given up for lost is not waited for.

        Raises QuorumError where too many are absent now.
        """
        ring = self._store.rows.ring
        reading, devices = ring.reading, self._store.devices
        absent = {
            number: DeviceError(f"device {number} is absent or not trusted")
            for number in reading.members
            if (device := devices.get(number)) is None or device.health.failed is not None or not device.trusted
        }
        if not absent:
            return
        for partition in range(1 << reading.part_power):
            homes = reading.homes(ROWS, partition << (PLACE_BITS - reading.part_power))
            there = sum(home not in absent for home in homes)
            awaited = any(home in absent and home in ring.newest.devices for home in homes)
            if there < quorum(len(homes)) and awaited:
                raise QuorumError("copying rows to a new layout", quorum(len(homes)), there, absent)

    async def _retire_layouts(self) -> None:
        for number in sorted(self._store.rows.ring.unenforced()):
            if number in self._store.devices:
                await self._take_step(partial(_enforced, device=number))

    async def _take_step(self, step: Callable[[Ring], Ring]) -> None:
        await self._store.rows.follow(await self._step(step))

    async def _forget_strangers(self) -> None:
        """Forget rows on devices that are no home of theirs in any live layout."""
        ring = self._store.rows.ring
        for device in list(self._store.devices.values()):
            after = b""
            while True:
                page, after = await device.walk_rows(after, PAGE)
                for packed, row in page:
                    if row.name[:1] == SYSTEM:
                        continue  # the settler's: the upload may be under way
                    if device.id not in ring.homes_all(ROWS, parse_key(packed, row.name).place):
                        device.forget_row(packed, row.stamp)
                        self._rows.done += 1
                if not after:
                    break
                await trio.lowlevel.checkpoint()

    async def _move_data(self) -> int:
        """Move every object's data to the homes that the newest layout gives them; returns how many are left. One that
        cannot be moved does not keep the others waiting."""
        left = 0
        for device in list(self._store.devices.values()):
            if device.health.failed is not None:
                continue
            after = b""
            while True:
                page, after = await device.walk_rows(after, PAGE)
                for packed, row in page:
                    if row.data_id and self._wanted(row) is not None:
                        left += not await self._try_move(parse_key(packed, row.name), packed)
                if not after:
                    break
                await trio.lowlevel.checkpoint()
        self._data.left = left
        self._data.rounds += 1
        return left

    async def _try_move(self, key: RowKey, packed: bytes) -> bool:
        try:
            await self._move(key, packed)
        except DrystoneError as error:
            self._data.failed += 1
            self._data.trouble = str(error)
            return False
        return True

    def _wanted(self, row: IndexRow) -> Placed | None:
        """Where the row's data should be, if that is elsewhere and can take them."""
        placed = decode_object(row.summary, Stamp.unpack(row.stamp)).placed
        if placed is None:
            return None
        ring = self._store.rows.ring
        policy = self._store.policies[row.policy]
        homes = ring.write_sets(policy.width, data_place(ring, row.data_id))[-1][: len(placed.devices)]
        if homes == placed.devices or any(self._cannot_take(self._store.devices.get(home)) for home in homes):
            return None
        if not placed.k and set(homes) == set(placed.devices):
            return None  # copies are alike: their order is of no matter
        return placed._replace(devices=homes)

    @staticmethod
    def _cannot_take(device: Device | None) -> bool:
        return device is None or device.health.failed is not None or device.full

    async def _move(self, key: RowKey, packed: bytes) -> None:
        async with self._store.rows.turn(packed):
            found = await self._store.rows.read(key, packed)
            wanted = self._wanted(found.row) if found is not None and found.row.data_id else None
            if found is None or wanted is None:
                return
            row = await self._store.rows.load(key, packed, found)
            summary = decode_object(row.summary, row.stamp)
            before = summary.placed
            assert before is not None
            await self._copy(key, found.row, before, wanted)
            head = ObjectHead(summary.content_type, decode_headers(row.detail), summary.listing)
            new_summary, detail = encode_object(summary.etag, head, summary.created, wanted)
            stamp = self._just_after(row.stamp)
            moved = row._replace(stamp=stamp, summary=new_summary, detail=detail, flags=row.flags & ~Flag.GUARD)
            applied = await self._store.rows.write(moved, packed)
            if applied.stamp != stamp.pack():
                raise RetryableError(f"object {key.name!r} has a newer version that was not acknowledged")
        gone = set(before.devices) - set(wanted.devices)
        if gone and row.data_id not in self._store.pins:
            await Drop(self._store, row.data_id, gone).wait()
        self._data.done += 1

    def _just_after(self, stamp: Stamp) -> Stamp:
        """The next version at the same time: to a tenant nothing has changed. Each layout gives its own, so that moves
        of one version by different layouts, one of which failed half-way, are never taken for each other."""
        writer = stamp.writer + self._store.rows.ring.newest.version
        return Stamp(stamp.time_us, writer) if writer < 1 << 32 else Stamp(stamp.time_us + 1, writer - (1 << 32))

    async def _copy(self, key: RowKey, row: IndexRow, before: Placed, wanted: Placed) -> None:
        """Have every block where it is wanted, durably. Blocks are read with all verification."""
        reader = self._store.reader(key, row.data_id, row.size, before)
        losses: dict[int, int] = {}
        for block in range(-(-row.size // before.block_bytes)):
            fragments = await reader.fragments(block)
            for position, number in enumerate(wanted.devices):
                if number == before.devices[position] or (not wanted.k and number in before.devices):
                    continue
                device = self._store.devices[number]
                losses.setdefault(number, device.data_losses)
                block_key = BlockKey(row.data_id, block, position if wanted.k else 0)
                await device.write_block(block_key, seal_block(block_key, key, fragments[block_key.fragment]))
        for number, lost in losses.items():
            await self._store.devices[number].sync_data(lost)


def _enforced(ring: Ring, device: int) -> Ring:
    return ring.mark_enforced(device, ring.epoch)
