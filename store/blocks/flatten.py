"""Flattening a clone: what it needs of its ancestors is written again in its own log, and it is nobody's clone any
more. It may be used meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.blocks.cleaner import move
from store.blocks.lineage import Lineage
from store.blocks.log_reader import LogReader
from store.blocks.page_table import PAGE_ENTRIES
from store.blocks.place import BLOCK_BYTES, is_stored, unpack
from store.blocks.removal import release, remove
from store.blocks.snapshots import Snapshots
from store.blocks.stored_map import StoredMap
from store.core.errors import ConflictError

if TYPE_CHECKING:
    from store.blocks.volume import Volume

PAGES_AT_ONCE: Final = 8192
"""Of the map, stored anew by one checkpoint."""


class Flattener:
    """Of one volume that is open."""

    def __init__(self, volume: Volume, map_: StoredMap, reader: LogReader, lineage: Lineage) -> None:
        self._volume = volume
        self._map = map_
        self._reader = reader
        self._lineage = lineage

    async def flatten(self) -> None:
        """Need nothing of ancestors any more. May be done again where it was not done to the end. Raises ConflictError
        where the volume has snapshots: these need their ancestors as they are."""
        head = self._volume.head.head
        if not head.origin:
            return
        await self._check_snapshots()
        depth = self._lineage.depth
        for first in range(0, head.size // BLOCK_BYTES, PAGE_ENTRIES):
            await self._move(first, min(PAGE_ENTRIES, head.size // BLOCK_BYTES - first), depth)
        while True:
            await self._volume.checkpointer.store()
            if all(key >> 32 == depth for key in self._map.map.checkpoints):
                break
            await self._map.touch(lambda key: key >> 32 != depth, PAGES_AT_ONCE)
        await self._check_snapshots()
        # Before the parent is let go: who opens the volume then reads what its past needs.
        await self._volume.head.change(lambda now: now._replace(history=now.history[-1:]))
        store, own = self._lineage.own.store, bytes.fromhex(self._lineage.own.container.name)
        parent = await release(store, head.lineage[-1], head.origin, own)
        if parent is not None:  # it was kept for this clone alone
            await remove(store, parent)
        await self._volume.head.change(lambda now: now._replace(origin=""))

    async def _check_snapshots(self) -> None:
        if await Snapshots(self._lineage.own).all():
            raise ConflictError("the volume has snapshots, which need what it is a clone of: delete them first")

    async def _move(self, first: int, count: int, depth: int) -> None:
        await self._map.ensure([(first, count)])
        runs = self._map.map.look(first, count)
        inherited = [run for run in runs if is_stored(run.place) and unpack(run.place).depth != depth]
        await move(self._volume, self._reader, inherited)
