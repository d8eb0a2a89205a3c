"""Orphans: data that no row names on a device, and no upload's intent speaks for, belong to nobody and are dropped.

They are what a crash left between a move and its clean-up, or after a version that a device lost. Data that are open
(`DataLocation.is_open`) are their writer's wherever they lie. The scrubber looks for orphans behind its walk over rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from store.core.errors import DamageError, DrystoneError
from store.device.port import DevicePort
from store.device.row import PREFIX_BYTES, UPLOAD, RowKey, index_key, key_shard
from store.objects.hedge import ask_at_once
from store.objects.pins import Need
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, walk
from store.replicator.drop import Drop
from store.replicator.restore import Restorer
from store.ring import ROWS

log = structlog.get_logger()

PAGE = 200
IN_WORK = (Need.USE, Need.END)
"""What speaks for data that no row names."""


class Orphans:
    """Finds and drops them."""

    def __init__(self, store: DeviceStore, daemon: Daemon) -> None:
        self._store = store
        self._daemon = daemon

    async def drop(self, device: DevicePort) -> int:
        """Drop all orphans of one device; how many data ids that were."""
        outcome = await walk([device], self._page, self._visit, self._daemon)
        if outcome.done:
            log.warning("data without an owner dropped", device=device.id, count=outcome.done)
        return outcome.done

    async def drop_intents(self, device: DevicePort) -> int:
        """Discard intents of uploads whose entries are damaged here, where no other replica has them any more: they
        were ended, and nobody else would look at what cannot be read. How many that were."""

        async def page(device: DevicePort, after: bytes) -> tuple[Sequence[bytes], bytes]:
            keys, after = await device.walk_keys(after, PAGE)
            return [key for key in keys if key[PREFIX_BYTES : PREFIX_BYTES + len(UPLOAD)] == UPLOAD], after

        return (await walk([device], page, self._visit_intent, self._daemon)).done

    async def _visit_intent(self, device: DevicePort, packed: bytes) -> bool | None:
        try:
            await device.find_stamp(packed)
        except DamageError:
            replicas = self._store.rows.ring.replicas_all(ROWS, key_shard(packed)[0])
            others = [
                other for h in replicas if (other := self._store.devices.get(h)) is not None and other is not device
            ]
            if len(others) < len(replicas) - (device.id in replicas):
                return None  # one is away, and may have it
            for other in others:
                if await other.find_stamp(packed) is not None:
                    return None
            data_id = packed[PREFIX_BYTES + len(UPLOAD) :]
            if data_id in await self._store.pins.unpinned([data_id], IN_WORK):
                await device.discard_row(packed)
                return True
        return None

    @staticmethod
    async def _page(device: DevicePort, after: bytes) -> tuple[Sequence[tuple[bytes, RowKey]], bytes]:
        return await device.owners(after, PAGE)

    async def _visit(self, device: DevicePort, owned: tuple[bytes, RowKey]) -> bool | None:
        """With the turn of their row no commit and no move of this process can come between the look and the drop; what
        is uploaded, ended, read, repaired or moved, here or elsewhere, is pinned, which is asked last. A move that
        begins then finds these pinned before it trusts in what is here (`Rebalancer`)."""
        data_id, owner = owned
        pins = self._store.pins
        with pins.holding(data_id, Need.DROP):
            async with self._store.rows.lock(index_key(owner)):
                try:
                    claimed = await self._claimed(device, data_id, owner) or not await pins.unpinned([data_id], IN_WORK)
                except DrystoneError as error:
                    self._daemon.trouble(error)
                    return None  # who cannot be asked may claim them
                if claimed:
                    return None
                drop = Drop(self._store, data_id, [device.id])
            return await drop.wait()

    async def _claimed(self, device: DevicePort, data_id: bytes, owner: RowKey) -> bool:
        """Whether a row names these data on this device, or an upload under way may yet."""
        if self._store.pins.held([data_id], IN_WORK):
            return True
        intent = owner._replace(name=UPLOAD + data_id)
        # The intent first: a commit between the two reads has then put the row in place. Each replica is asked by
        # itself: what only some have must not be brought to the others, where a commit may have removed it.
        here = [n for n in self._store.rows.ring.replicas_all(ROWS, intent.ring_hash) if n in self._store.devices]

        async def ask(replica: int) -> bool:
            return await self._store.devices[replica].find_row(index_key(intent)) is not None

        answers, failures = await ask_at_once(here, len(here), ask)
        if any(answers.values()):
            return True
        for error in failures.values():
            raise error
        found = await self._store.rows.read(owner, index_key(owner))
        if found is None or found.row.data_id != data_id:
            return False
        data_location = Restorer.data_location(found.row)
        return data_location is not None and (data_location.is_open or device.id in data_location.devices)
