"""Exchange: brings the rows of one device in line with those of the replicas whose word counts.

For a device that a new layout gives partitions (`rebalance`), and for one that is to be in sync again (`rejoin`).
Two steps, in this order. First it **loses** what they do not know: a version that none of them has was deleted for good
while this device did not look, or was never acknowledged; were it left, it would win against all of them. Then it
**takes** what they have and it lacks.

Others need not be there for a device to take what those have that are; whether these are enough to have all that was
acknowledged is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

import trio

from store.core.errors import DamageError, ReplacedError, StaleEpochError
from store.device.port import DevicePort
from store.device.row import PREFIX_BYTES, SYSTEM, IndexRow, RowKey, key_shard, parse_key
from store.objects.quorum_read import ReadRow
from store.objects.store import DeviceStore
from store.replicator.bringing import Bringing
from store.replicator.daemon import Turns
from store.replicator.restore import Restorer
from store.ring import ROWS, Ring

PAGE = 128
"""Rows, with their data where these are small, that may be on their way at a time."""

Known = Callable[[RowKey, bytes, bytes], Awaitable[bool]]
"""Whether a version (key, packed key, stamp) is known to those whose word counts. Asked with the row's turn taken: no
write of it is on its way then, of which only one device might know yet."""


class Taken(NamedTuple):
    """How many rows were brought, and who was asked for all that they have. A device that was out in its turn is not
    among them, and one that has come back since is another."""

    rows: int
    asked: Collection[DevicePort]


class Exchange:
    """Exchanges rows between the devices of this process."""

    def __init__(self, store: DeviceStore, restorer: Restorer) -> None:
        self._store = store
        self._restorer = restorer

    async def lose(self, device: DevicePort, concerned: Callable[[int], bool], known: Known) -> int:
        """Forget the versions on `device`, of rows in places that are `concerned`, which nobody knows; how many."""
        lost = 0
        turns = Turns()
        after = b""
        while True:
            page, after = await device.walk_rows(after, PAGE)
            for packed, row in page:
                await turns.take()
                key = parse_key(packed, row.name)
                if row.name[:1] == SYSTEM or not concerned(key.ring_hash):
                    continue
                async with self._store.rows.lock(packed):
                    now = await _stamp(device, packed)
                    if now and not await known(key, packed, now):
                        device.forget_row(packed, now)
                        lost += 1
            if not after:
                return lost
            await trio.lowlevel.checkpoint()

    async def forget_misplaced(self, device: DevicePort) -> None:
        """Forget the rows on `device` that it is no replica of in any live layout."""
        after = b""
        turns = Turns()
        while True:
            page, after = await device.walk_keys(after, PAGE)
            for packed in page:
                await turns.take()
                if packed[PREFIX_BYTES : PREFIX_BYTES + 1] == SYSTEM:
                    continue  # the janitor's: the upload may be under way
                if device.id not in self._store.rows.ring.replicas_all(ROWS, key_shard(packed)[0]):
                    await device.discard_row(packed)
            if not after:
                return
            await trio.lowlevel.checkpoint()

    async def release_retired(self, device: DevicePort, concerned: Callable[[int], bool]) -> None:
        """Have a device refuse nothing any more for what it had retired, of rows in places that are `concerned`, as
        soon as it is flushed: others have gone on without it, and where they have released a tombstone whose clock was
        ahead, what was written since is older and must be taken."""
        after = b""
        while page := await device.retired_tombstones(after, PAGE):
            after = page[-1][0]
            for packed, stamp in page:
                if concerned(key_shard(packed)[0]):
                    device.release_tombstone(packed, stamp)
            await trio.lowlevel.checkpoint()

    async def take(self, device: DevicePort, concerned: Callable[[int], bool]) -> Taken:
        """Bring to `device` every row in places that are `concerned` which others have and it has not, or older."""
        taken = 0
        asked = []
        for other in list(self._store.devices.values()):
            if other is not device and other.failed is None:
                taken += await self._take_from(device, other, concerned)
                asked.append(other)
        return Taken(taken, asked)

    async def _take_from(self, device: DevicePort, other: DevicePort, concerned: Callable[[int], bool]) -> int:
        taken = 0
        after = b""
        while True:
            ring = self._store.rows.ring  # known before the look
            page, more = await other.walk_rows(after, PAGE)
            try:
                taken += await self._take_page(device, other, page, ring, concerned)
            except StaleEpochError:
                await self._store.rows.newer_ring(ring)  # it has taken a step since: look again
                continue
            after = more
            if not after:
                return taken
            await trio.lowlevel.checkpoint()

    async def _take_page(
        self,
        device: DevicePort,
        other: DevicePort,
        page: Sequence[tuple[bytes, IndexRow]],
        ring: Ring,
        concerned: Callable[[int], bool],
    ) -> int:
        """Bring what is lacking of some rows, all durable when this returns; how many. Raises StaleEpochError where the
        ring by which they were looked for has come to be refused."""
        taken = 0
        turns = Turns()
        bringing = Bringing(self._store.rows)
        try:
            for packed, row in page:
                await turns.take()
                key = parse_key(packed, row.name)
                if row.name[:1] == SYSTEM or not concerned(key.ring_hash):
                    continue
                if other.id not in self._store.rows.ring.in_sync(ROWS, key.ring_hash):
                    continue
                here = await _stamp(device, packed)
                if here is not None and here >= row.stamp:
                    continue
                found: ReadRow | None = ReadRow(row, (other.id,), ring.epoch)
                if not other.in_sync:
                    found = await self._restorer.newest(key, packed)
                if found is not None and (here is None or here < found.row.stamp):
                    try:
                        await self._restorer.bring(key, packed, found, [device], bringing)
                    except ReplacedError:
                        continue  # it was just written, to this device as well, or deleted
                    taken += 1
        finally:
            await bringing.wait()
        return taken


async def _stamp(device: DevicePort, packed: bytes) -> bytes | None:
    """The version of a row that a device has; a damaged entry counts as older than any."""
    try:
        return await device.find_stamp(packed)
    except DamageError:
        return b""
