"""The collector: drops data that a newer row has displaced.

A replica notes displaced data in the same step as the row that displaced them, so a crash forgets nothing. Data are
dropped once a quorum read says that their row names them no more, and then no process has them pinned. A device that is
out is left a hint (`hints`) to drop them when it is back, so that notes about what it has do not pile up in front of
others; only when every other has confirmed its drop durably is the note forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.core.errors import DrystoneError
from store.core.stamp import ZERO
from store.device.port import DevicePort, Garbage
from store.device.row import index_key
from store.objects.rowcodec import decode_object
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, Turns, walk
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
        self._displaced: list[Garbage] = []
        """Data that no look finds any more."""
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

        async def visit(_device: DevicePort, note: Garbage) -> None:
            await self._look(note)
            if len(self._displaced) >= AT_ONCE:
                ended.append(await self._drop())

        found = await walk(self._store.own, _page, visit, self._daemon)
        ended.append(await self._drop())
        return Outcome(sum(each.done for each in ended), found.left + sum(each.left for each in ended))

    async def _look(self, note: Garbage) -> None:
        """Look whether the row of some data is gone."""
        if note.data_id in self._seen:
            return
        self._seen.add(note.data_id)
        found = await self._store.rows.read(note.owner, index_key(note.owner))
        if found is not None and found.row.data_id == note.data_id:
            self._forget(note)
        else:
            self._displaced.append(note)

    async def _drop(self) -> Outcome:
        """Drop what was displaced and nobody needs; wait until that is done. What cannot be dropped now is left."""
        displaced, self._displaced = self._displaced, []
        try:
            free = await self._store.pins.unpinned([note.data_id for note in displaced])
        except DrystoneError as error:
            self._daemon.trouble(error)
            return Outcome(0, len(displaced))
        drops = []
        turns = Turns()
        for note in displaced:
            if note.data_id in free:
                drops.append((note, *self._begin(note)))
                await turns.take()
        done = 0
        for note, out, drop in drops:
            if await drop.wait():
                if out:
                    replicas = self._store.rows.ring.replicas_all(ROWS, note.owner.ring_hash)
                    self._store.rows.on_missed(b"d" + note.data_id, out, replicas)
                self._forget(note)
                done += 1
        return Outcome(done, len(displaced) - done)

    def _begin(self, note: Garbage) -> tuple[list[int], Drop]:
        """A drop under way, and the devices that are to drop the same when they are back."""
        data_location = decode_object(note.summary, ZERO).data_location
        known = self._store.rows.ring.devices  # one that has left the ring has taken its copy with it
        places = [number for number in data_location.devices if number in known] if data_location else []
        out = [n for n in places if (device := self._store.devices.get(n)) is None or device.failed is not None]
        return out, Drop(self._store, note.data_id, [number for number in places if number not in out])

    def _forget(self, note: Garbage) -> None:
        """On all devices: replicas of a layout that has retired may have noted it too."""
        for device in self._store.devices.values():
            if device.failed is None:
                device.forget_garbage(note.data_id)


async def _page(device: DevicePort, after: bytes) -> tuple[Sequence[Garbage], bytes]:
    page = await device.garbage(after, PAGE)
    return page, page[-1].data_id if len(page) == PAGE else b""
