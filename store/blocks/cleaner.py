"""The cleaner: objects of which little is needed are emptied, so that the sweep can drop them.

What an object still has that the map needs is written again at the end of the log, as moves: each counts only where the
map still has the place that it was moved from. Emptied is what gives most space for the bytes that are copied
(greedy: the least needed first), as long as more than a share of what is needed is dead (Rosenblum and Ousterhout, The
Design and Implementation of a Log-Structured File System, 1992).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import structlog
import trio

from store.blocks.block_map import BlockMap, Run
from store.blocks.contents import Contents
from store.blocks.disk import OwnerReplacedError
from store.blocks.frame import Entry, Kind
from store.blocks.log_frame import FRAME_PAGES, LogFrame
from store.blocks.log_reader import LogReader, needed_key
from store.blocks.needs import Needs
from store.blocks.place import BLOCK_BYTES, OBJECT_SHIFT, unpack
from store.blocks.stored_map import StoredMap
from store.core.errors import DrystoneError

if TYPE_CHECKING:
    from store.blocks.volume import Volume

log = structlog.get_logger()

DEAD_SHARE: Final = 0.42
"""It cleans while more than this part of what is needed is stored and not needed. Less would take less space, and have
more written again: overwritten at random, at a third 1.6 blocks for each that is written, here 1.1."""
DEAD_PAGES_MIN: Final = 16 << 20 >> 12
NEEDED_SHARE_MAX: Final = 0.75
"""An object of which more is needed is left: to copy it gives little."""
LOOKS: Final = 128
"""What is needed is looked at each time that the log has grown by one part in so many."""
GONE_SHARE: Final = 16
"""A checkpoint is wanted when more than a sixteenth of what is needed could be dropped behind it."""
PAUSE_SECONDS: Final = 5.0


class Cleaner:
    """Of one volume that is open."""

    def __init__(
        self,
        volume: Volume,
        map_: StoredMap,
        reader: LogReader,
        sizes: Mapping[int, int],
        needs: Needs,
        want_checkpoint: Callable[[], None],
    ) -> None:
        """`sizes` as the checkpointer has it; what snapshots need is left where it is. `want_checkpoint` is called when
        enough could be dropped behind one."""
        self._volume = volume
        self._map = map_
        self._reader = reader
        self._sizes = sizes
        self._needs = needs
        self._want_checkpoint = want_checkpoint

    async def run(self) -> None:
        """Clean whenever there is something to clean, for ever; ends where the volume is another's."""
        looked_at = 0
        while True:
            written = self._volume.applied.object - looked_at
            if written * LOOKS < len(self._sizes) or not written:
                await self._volume.on_applied.wait()
                continue
            while numbers := self.plan():
                for number in numbers:
                    try:
                        await self.clean(number)
                    except OwnerReplacedError:
                        return
                    except DrystoneError as error:
                        log.warning("a log object cannot be cleaned now", object=number, error=str(error))
                        await trio.sleep(PAUSE_SECONDS)
            looked_at = self._volume.applied.object

    def plan(self) -> list[int]:
        """The objects that are to be cleaned, in this order: as many as leave no more than a share of what is needed
        dead."""
        if not self._map.map.counted:  # behind an opening: the next checkpoint counts, and is due soon enough
            return []
        depth = self._volume.head.head.depth
        needed = self._map.map.objects
        oldest = self._volume.root.object
        own = gone = dead = 0
        candidates: list[tuple[float, int, int]] = []
        for number, size in self._sizes.items():
            if self._needs.object(number):
                continue
            pages = needed[needed_key(depth, number)]
            own += pages
            if not pages:
                gone += size
                continue
            dead += size - pages
            if number < oldest and pages <= size * NEEDED_SHARE_MAX:
                candidates.append((pages / size, number, size - pages))
        if gone > max(DEAD_PAGES_MIN, own // GONE_SHARE):
            self._want_checkpoint()
        chosen: list[int] = []
        for _, number, gain in sorted(candidates):
            if dead <= max(DEAD_PAGES_MIN, own * DEAD_SHARE):
                break
            chosen.append(number)
            dead -= gain
        return chosen

    async def clean(self, number: int) -> None:
        """Write again what the map needs of an object."""
        depth = self._volume.head.head.depth
        contents = await self._reader.contents(number)
        key = needed_key(depth, number)
        await move(self._volume, self._reader, await self._needed(contents, key))

    async def _needed(self, contents: Contents, key: int) -> list[Run]:
        """The blocks that the map still has in this object."""
        found: list[Run] = []
        for entry, page in contents.entries():
            if not entry.pages:
                continue
            await self._map.ensure([(entry.first, entry.blocks)])
            found += _still_there(self._map.map, entry, key, page)
        return found


def _still_there(map_: BlockMap, entry: Entry, key: int, page: int) -> Iterator[Run]:
    for run in map_.look(entry.first, entry.blocks):
        if run.place >> OBJECT_SHIFT == key and unpack(run.place).page == page + run.first - entry.first:
            yield run


async def move(volume: Volume, reader: LogReader, runs: list[Run]) -> None:
    """Write blocks again at the end of the log, those that still lie where these runs say. They are in the map when
    this returns."""
    frame: LogFrame | None = None
    for batch in _batches(runs):
        moved = [(run, b"".join(await reader.read(run.place, run.blocks))) for run in batch]
        await volume.may_move()
        for run, data in moved:  # at once, so that they share a frame: each has a page of header
            assert len(data) == run.blocks * BLOCK_BYTES
            frame = volume.append(Entry(Kind.MOVE, run.first, run.blocks, run.place), data)
    if frame is not None:
        await volume.moved(frame)


def _batches(runs: list[Run]) -> Iterator[list[Run]]:
    """Runs, or parts of them, that fill a frame together."""
    batch: list[Run] = []
    room = FRAME_PAGES
    for run in runs:
        start = 0
        while start < run.blocks:
            blocks = min(room, run.blocks - start)
            batch.append(Run(run.first + start, blocks, run.place + start))
            start += blocks
            room -= blocks
            if not room:
                yield batch
                batch, room = [], FRAME_PAGES
    if batch:
        yield batch
