"""The mover: brings the data of objects to where the newest layout wants them, some objects at a time.

Copies come first: each block is read with all verification, written where it is wanted, and durable there before the
row says so; only then do the old ones go. The key's lock is held for the row alone, so a client that writes the object
does not wait for its move: then the copies were made for nothing, and go again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from store.core.deadline import within
from store.core.errors import DrystoneError, ReplacedError, RetryableError
from store.device.block import BlockKey
from store.device.port import DURABLE_SECONDS
from store.device.row import Flag, IndexRow, Row, RowKey
from store.objects.block_lengths import BlockLengths
from store.objects.model import ObjectHead
from store.objects.pins import Need
from store.objects.placement import newest_replicas, refusal
from store.objects.quorum_read import ReadRow
from store.objects.rowcodec import DataLocation, decode_headers, decode_object, encode_object
from store.objects.store import DeviceStore
from store.replicator.drop import Drop
from store.replicator.restore import Restorer, seal_block
from store.replicator.throttle import Throttle


class Moved(NamedTuple):
    """An object that was moved, as its row was before."""

    key: RowKey
    row: IndexRow
    before: DataLocation
    wanted: DataLocation


class Mover:
    """Moves one object at a call; several may be under way."""

    def __init__(self, store: DeviceStore, throttle: Throttle, on_moved: Callable[[int], None]) -> None:
        """`on_moved` is called with the bytes of each block that was written."""
        self._store = store
        self._throttle = throttle
        self._on_moved = on_moved

    def wanted(self, row: IndexRow) -> DataLocation | None:
        """Where the row's data should be, if that is elsewhere and can take them. Those that are open are not moved
        before they are sealed."""
        data_location = Restorer.data_location(row)
        if data_location is None:
            return None
        ring = self._store.rows.ring
        policy = self._store.policies[row.policy]
        replicas = newest_replicas(ring, policy, row.data_id, len(data_location.devices))
        if replicas == data_location.devices or any(
            refusal(replica, self._store.devices.get(replica)) is not None for replica in replicas
        ):
            return None
        if not data_location.k and set(replicas) == set(data_location.devices):
            return None  # copies are alike: their order is of no matter
        return data_location._replace(devices=replicas)

    async def move(self, key: RowKey, packed: bytes) -> Moved | None:
        """Move one object's data, if they are elsewhere: then the old copies are still to be dropped. Raises
        DrystoneError where that cannot be done now."""
        found = await self._store.rows.read(key, packed)
        wanted = self.wanted(found.row) if found is not None and found.row.data_id else None
        if found is None or wanted is None or wanted.is_open:
            return None
        before = Restorer.data_location(found.row)
        assert before is not None
        with self._store.pins.holding(found.row.data_id):
            if not await self._store.rows.pinned(key, packed, found):
                raise ReplacedError(f"object {key.name!r} changed while it was to be moved")
            try:
                await self.copy(key, found.row, before, wanted)
            except DrystoneError:
                if await self._is_replaced(key, packed, found.row.data_id):
                    return None  # by another: what was read is no damage
                raise
            moved = await self._place(key, packed, found.row.data_id, before, wanted)
        if moved is not None:
            return Moved(key, moved, before, wanted)
        if await self._is_replaced(key, packed, found.row.data_id):
            await self._drop_copies(found.row.data_id, before, wanted)
        return None

    async def _place(
        self, key: RowKey, packed: bytes, data_id: bytes, before: DataLocation, wanted: DataLocation
    ) -> IndexRow | None:
        """Have the row say where the copies are: the row before; None where it is another by now."""
        moved: IndexRow | None = None

        async def edited(found: ReadRow | None) -> Row | None:
            nonlocal moved
            moved = None
            if found is None or found.row.data_id != data_id or Restorer.data_location(found.row) != before:
                return None
            row = await self._store.rows.load(key, packed, found)
            moved = found.row
            summary = decode_object(row.summary, row.shown)
            head = ObjectHead(summary.content_type, decode_headers(row.detail), summary.listing)
            new_summary, detail = encode_object(summary.etag, head, summary.created, wanted)
            return row._replace(summary=new_summary, detail=detail, flags=row.flags & ~Flag.GUARD)

        async with self._store.rows.lock(packed):
            placed = await self._store.rows.change(key, packed, edited, keep_shown=True)
        return None if placed is None else moved

    async def copy(self, key: RowKey, row: IndexRow, before: DataLocation, wanted: DataLocation) -> None:
        """Have every block where it is wanted, durably. Blocks are read with all verification."""
        reader = self._store.reader(key, row.data_id, row.size, before)
        losses: dict[int, int] = {}
        lengths = BlockLengths(before, row.size)
        for block in range(lengths.count):
            targets = [
                (position, number)
                for position, number in enumerate(wanted.devices)
                if number != before.devices[position] and (wanted.k or number not in before.devices)
            ]
            await self._throttle.spend(len(targets) * -(-lengths.length(block) // max(wanted.k, 1)))
            fragments = await reader.fragments(block)
            for position, number in targets:
                device = self._store.devices[number]
                losses.setdefault(number, device.data_losses)
                block_key = BlockKey(row.data_id, block, position if wanted.k else 0)
                fragment = fragments[block_key.fragment]
                with within(DURABLE_SECONDS):
                    await device.write_block(block_key, seal_block(block_key, key, fragment))
                self._on_moved(len(fragment))
        for number, lost in losses.items():
            with within(DURABLE_SECONDS):
                await self._store.devices[number].sync_data(lost)

    async def drop_old(self, key: RowKey, row: IndexRow, before: DataLocation, wanted: DataLocation) -> None:
        """Drop the copies that no row names any more, unless they are read. Takes as long as it takes until an index
        is written, so it is apart from the move.

        What was moved may have been taken for orphans by who looked at the row before it named them. He has them pinned
        since before that look; and once he is done, what he has dropped is seen to be missing.
        """
        gone = set(before.devices) - set(wanted.devices)
        if not gone or not await self._store.pins.unpinned([row.data_id], (Need.USE, Need.DROP)):
            return
        blocks = range(BlockLengths(wanted, row.size).count)
        for position, number in enumerate(wanted.devices):
            fragment = position if wanted.k else 0
            has = await self._store.devices[number].has_blocks(row.data_id)
            if not {(block, fragment) for block in blocks} <= set(has):  # there may be more than were sealed
                self._store.on_incomplete(key)
                raise RetryableError(f"device {number} has not all of object {key.name!r} that was moved to it")
        await Drop(self._store, row.data_id, gone).wait()

    async def _is_replaced(self, key: RowKey, packed: bytes, data_id: bytes) -> bool:
        """Whether the object has other data now, or none."""
        found = await self._store.rows.read(key, packed)
        return found is None or found.row.data_id != data_id

    async def _drop_copies(self, data_id: bytes, before: DataLocation, wanted: DataLocation) -> None:
        """Drop what was copied of data that were replaced meanwhile, which no row has ever named there; unless somebody
        else is at them. The old copies go as those of any object that is replaced."""
        if await self._store.pins.unpinned([data_id], (Need.USE, Need.DROP)):
            await Drop(self._store, data_id, set(wanted.devices) - set(before.devices)).wait()
