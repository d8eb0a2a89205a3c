"""The tombstone collector: forgets tombstones that every replica has.

A tombstone goes only when all replicas in all live layouts have that same version and are trusted, and no device is
still to forget rows that it lost with a retired layout: one that was away, or has kept a partition's rows, could bring
the deleted row back, however long ago that was. So time alone never decides. Those that a device which is out keeps
from being collected are passed over at the price of one look at the ring.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.engine.device import Device
from store.engine.row import key_shard
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, walk
from store.replicator.progress import ProgressTable
from store.ring import ROWS

SCHEDULE = Schedule(every=60.0)
"""Load, not safety, sets this."""
PAGE = 2000


class TombstoneCollector:
    """Forgets tombstones, on all devices of this process."""

    def __init__(self, store: DeviceStore, progress: ProgressTable) -> None:
        self._store = store
        self._daemon = Daemon(progress.loop("collect tombstones"), SCHEDULE, self._round)

    async def run(self) -> None:
        """Collect tombstones now and then, until cancelled."""
        await self._daemon.run()

    async def collect_tombstones(self) -> int:
        """One round over all tombstones; returns how many were forgotten."""
        return (await self._daemon.round()).done

    async def _round(self) -> Outcome:
        unclean = self._store.rows.ring.unclean
        if unclean:
            self._daemon.progress.trouble = f"devices {sorted(unclean)} are still to forget rows of an older layout"
            return Outcome()
        return Outcome((await walk(self._store.devices, _page, self._visit, self._daemon)).done)

    async def _visit(self, device: Device, tombstone: tuple[bytes, bytes]) -> bool | None:
        packed, stamp = tombstone
        homes = self._store.rows.ring.homes_all(ROWS, key_shard(packed)[0])
        if homes[0] != device.id and device.id in homes:
            first = self._store.devices.get(homes[0])
            if first is not None and first.health.failed is None:
                return None  # it is looked at there
        replicas: list[Device] = []
        for home in homes:
            replica = self._store.devices.get(home)
            if replica is None or replica.health.failed is not None or not replica.trusted:
                return None
            replicas.append(replica)
        for replica in replicas:
            if await replica.find_stamp(packed) != stamp:
                return None
        for replica in replicas:
            replica.forget_row(packed, stamp)
        return True


async def _page(device: Device, after: bytes) -> tuple[Sequence[tuple[bytes, bytes]], bytes]:
    page = await device.tombstones(after, PAGE)
    return page, page[-1][0] if len(page) == PAGE else b""
