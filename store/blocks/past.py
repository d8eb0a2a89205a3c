"""The past of a volume: since the log keeps what was written until nobody needs it, the volume can be seen as it was at
any time of its window. That is kept as a snapshot.

The head remembers roots of the window. The last one before the time is taken, and the log behind it gone through as far
as it was written by then.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from store.blocks.block_map import LEAVES_DIRTY_MAX
from store.blocks.checkpointer import Checkpointer
from store.blocks.checkpoints import Checkpoints
from store.blocks.disk import OwnerReplacedError
from store.blocks.head import Past, Root
from store.blocks.log_reader import LogReader
from store.blocks.replay import replay
from store.blocks.rooted_map import load_map
from store.blocks.snapshots import Snapshot, Snapshots
from store.blocks.stored_map import StoredMap
from store.core.clock import Clock
from store.core.errors import DrystoneError, InvalidError

if TYPE_CHECKING:
    from store.blocks.volume import Volume

MAP_PAGES: Final = 4096
"""Of such a map, so many pages that could be had again stay in memory."""


class PastMaps:
    """Of one volume that is open."""

    def __init__(
        self,
        volume: Volume,
        reader: LogReader,
        checkpoints: Checkpoints,
        checkpointer: Checkpointer,
        snapshots: Snapshots,
        clock: Clock,
    ) -> None:
        self._volume = volume
        self._reader = reader
        self._checkpoints = checkpoints
        self._checkpointer = checkpointer
        self._snapshots = snapshots
        self._clock = clock

    async def snapshot(self, name: str, time_us: int) -> Snapshot:
        """Make a snapshot of what the volume was at a time. Raises InvalidError where that is not known, ConflictError
        where there is one of this name."""
        with self._snapshots.making(name):
            async with self._checkpointer.nothing_dropped():
                past = self._before(time_us)
                begun = Snapshot(self._volume.head.epoch, self._volume.size, None, time_us)
                return await self._make(name, begun, past)

    async def _make(self, name: str, begun: Snapshot, past: Past) -> Snapshot:
        try:
            await self._snapshots.begin(name, begun)
            return await self._snapshots.finish(name, begun, await self._store(past, begun.created_us))
        except OwnerReplacedError as error:
            self._volume.replaced(error)
            raise
        except DrystoneError:
            with suppress(DrystoneError):  # else the sweep does
                await self._snapshots.give_up(name, begun.epoch + 1)
            raise

    def _before(self, time_us: int) -> Past:
        """The last root that is remembered of before a time."""
        history, now_us = self._volume.head.head.history, self._clock.wall_us()
        if not history:
            raise InvalidError("the volume keeps nothing of its past: it was made without a window")
        if time_us > now_us:
            raise InvalidError("that time is still to come")
        before = [each for each in history if each.time_us <= time_us]
        if not before:
            raise InvalidError(f"the past of the volume reaches back {(now_us - history[0].time_us) / 1e6:.0f} s")
        return before[-1]

    async def _store(self, past: Past, time_us: int) -> Root:
        """A checkpoint of what the volume was."""
        await self._volume.roll()
        root, depth = past.root, self._volume.head.head.depth

        async def make_room(stored_map: StoredMap) -> None:
            if stored_map.map.dirty_leaves >= LEAVES_DIRTY_MAX // 2:  # as much as a checkpoint has room for
                await self._write(stored_map, depth)

        stored_map, _ = await load_map(root, self._checkpoints, self._reader, MAP_PAGES, make_room)
        for number in range(root.object, self._volume.sealed_to):
            contents = await self._reader.contents(number)
            root, more = await replay(
                stored_map, depth, root, number, contents, until_us=time_us, make_room=partial(make_room, stored_map)
            )
            if not more:
                break
        return Root(depth, await self._write(stored_map, depth), root.object, root.sequence)

    async def _write(self, stored_map: StoredMap, depth: int) -> int:
        """A checkpoint of a map: its number."""
        number = await self._checkpointer.draw_number()
        self._checkpointer.made(number, await stored_map.store_part(depth, number))
        return number
