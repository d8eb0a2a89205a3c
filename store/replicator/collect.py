"""The collector: drops data that a newer row has displaced.

A replica notes displaced data in the same step as the row that displaced them, so a crash forgets nothing. Data are
dropped once a quorum read says that their row names them no more and nobody is reading them. A device that is out is
left a hint (`hints`) to drop them when it is back, so that notes about what it has do not pile up in front of others;
only when every other has confirmed its drop durably is the note forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.core.stamp import ZERO
from store.device.port import DevicePort, Garbage
from store.device.row import index_key
from store.objects.rowcodec import decode_object
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, walk
from store.replicator.drop import Drop
from store.replicator.progress import ProgressTable
from store.ring import ROWS

SCHEDULE = Schedule(retry=5.0, retry_max=300.0)
PAGE = 2000
AT_ONCE = 2000
"""Drops that wait for one writing of the index."""


class Collector:
    """Drops displaced data, on all devices of this process."""

    def __init__(self, store: DeviceStore, progress: ProgressTable) -> None:
        self._store = store
        self._daemon = Daemon(progress.loop("collect data"), SCHEDULE, self._round)
        self._seen: set[bytes] = set()
        self._drops: list[tuple[Garbage, list[int], Drop]] = []
        """Under way, and the devices that are to drop the same when they are back."""
        store.on_garbage = self._daemon.wake

    async def run(self) -> None:
        """Collect displaced data as they come, until cancelled."""
        await self._daemon.run()

    async def collect_data(self) -> int:
        """One round over all notes; returns how many data ids are still to be dropped."""
        return (await self._daemon.round()).left

    async def _round(self) -> Outcome:
        self._seen.clear()
        ended: list[Outcome] = []

        async def visit(_device: DevicePort, note: Garbage) -> bool | None:
            begun = await self._begin(note)
            if len(self._drops) >= AT_ONCE:
                ended.append(await self._end())
            return begun

        found = await walk(self._store.own, _page, visit, self._daemon)
        ended.append(await self._end())
        return Outcome(sum(each.done for each in ended), found.left + sum(each.left for each in ended))

    async def _begin(self, note: Garbage) -> bool | None:
        """Begin to drop data if their row is gone; False where they cannot be dropped now."""
        if note.data_id in self._seen:
            return None
        self._seen.add(note.data_id)
        found = await self._store.rows.read(note.owner, index_key(note.owner))
        if found is not None and found.row.data_id == note.data_id:
            self._forget(note)
            return None
        if note.data_id in self._store.pins:  # asked last: a reader may have come while the row was read
            return False
        data_location = decode_object(note.summary, ZERO).data_location
        known = self._store.rows.ring.devices  # one that has left the ring has taken its copy with it
        places = [number for number in data_location.devices if number in known] if data_location else []
        out = [n for n in places if (device := self._store.devices.get(n)) is None or device.failed is not None]
        drop = Drop(self._store, note.data_id, [number for number in places if number not in out])
        self._drops.append((note, out, drop))
        return None

    async def _end(self) -> Outcome:
        """Wait for the drops under way."""
        drops, self._drops = self._drops, []
        done = left = 0
        for note, out, drop in drops:
            if await drop.wait():
                if out:
                    replicas = self._store.rows.ring.replicas_all(ROWS, note.owner.ring_hash)
                    self._store.rows.on_missed(b"d" + note.data_id, out, replicas)
                self._forget(note)
                done += 1
            else:
                left += 1
        return Outcome(done, left)

    def _forget(self, note: Garbage) -> None:
        """On all devices: replicas of a layout that has retired may have noted it too."""
        for device in self._store.devices.values():
            if device.failed is None:
                device.forget_garbage(note.data_id)


async def _page(device: DevicePort, after: bytes) -> tuple[Sequence[Garbage], bytes]:
    page = await device.garbage(after, PAGE)
    return page, page[-1].data_id if len(page) == PAGE else b""
