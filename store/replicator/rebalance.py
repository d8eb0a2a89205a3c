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

from store.core.errors import DrystoneError
from store.core.stamp import Stamp
from store.engine.block import BlockKey
from store.engine.device import Device
from store.engine.row import Flag, IndexRow, RowKey, parse_key
from store.objects.model import ObjectHead
from store.objects.rowcodec import Placed, decode_headers, decode_object, encode_object
from store.objects.store import DeviceStore
from store.replicator.collect import Drop
from store.replicator.progress import ProgressTable
from store.replicator.reconcile import Reconciler
from store.replicator.repair import seal_block
from store.ring import ROWS, Ring

log = structlog.get_logger()

PAGE = 500
RETRY_SECONDS = 15.0

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
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            try:
                await self.rebalance()
            except DrystoneError as error:
                self._rows.trouble = str(error)
                self._rows.failed += 1
                log.warning("not rebalanced yet", error=str(error))
                with trio.move_on_after(RETRY_SECONDS):
                    await self._wake.wait()
                self._wake.set()

    async def rebalance(self) -> None:
        """Bring rows, then data, to where the newest layout wants them."""
        await self._sync_layouts()
        if len(self._store.rows.ring.live) == 1:
            await self._forget_strangers()
            await self._move_data()

    async def _sync_layouts(self) -> None:
        for layout in self._store.rows.ring.live[1:]:
            version = layout.version
            waiting = self._store.rows.ring.unsynced(version)
            for number in sorted(waiting):
                device = self._store.devices.get(number)
                self._rows.left = len(waiting)
                if device is None:
                    continue
                copied, _ = await self._reconciler.take_rows(device)
                await self._take_step(partial(Ring.mark_synced, version=version, device=number))
                self._rows.done += copied
                log.info("device synced", device=number, layout=version, rows=copied)
        for number in sorted(self._store.rows.ring.unenforced()):
            if number in self._store.devices:
                await self._take_step(partial(_enforced, device=number))
        self._rows.left = 0

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
                    if device.id not in ring.homes_all(ROWS, parse_key(packed, row.name).place):
                        device.forget_row(packed, row.stamp)
                        self._rows.done += 1
                if not after:
                    break
                await trio.lowlevel.checkpoint()

    async def _move_data(self) -> None:
        """Move every object's data to the homes that the newest layout gives them."""
        for device in list(self._store.devices.values()):
            after = b""
            while True:
                page, after = await device.walk_rows(after, PAGE)
                for packed, row in page:
                    if row.data_id and self._wanted(row) is not None:
                        await self._move(parse_key(packed, row.name), packed)
                if not after:
                    break
                await trio.lowlevel.checkpoint()
        self._data.rounds += 1

    def _wanted(self, row: IndexRow) -> Placed | None:
        """Where the row's data should be, if that is elsewhere and can take them."""
        placed = decode_object(row.summary, Stamp.unpack(row.stamp)).placed
        if placed is None:
            return None
        ring = self._store.rows.ring
        policy = self._store.policies[row.policy]
        homes = ring.write_sets(policy.width, ring.place(b"data", row.data_id))[-1][: len(placed.devices)]
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
            moved = row._replace(summary=new_summary, detail=detail, flags=row.flags & ~Flag.GUARD)
            await self._store.rows.write_next(moved, packed)
        gone = set(before.devices) - set(wanted.devices)
        if gone and row.data_id not in self._store.pins:
            await Drop(self._store, row.data_id, gone).wait()
        self._data.done += 1

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
