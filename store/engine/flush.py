"""Flushing: what the log holds goes into the index, and the space that this frees comes back.

The order is what keeps a crash harmless. First the index notes how far log and bulk data are durable; then everything
goes into the index in one transaction; only then are holes punched, drops answered and empty segments removed. So the
index never holds what the log may lose, and never names what is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import trio

from store.core.errors import DrystoneError
from store.core.worker import Worker, call_all, run_in
from store.device.port import Done
from store.device.row import Location
from store.engine.block_table import BlockTable
from store.engine.bulk import BulkWriter
from store.engine.committer import Committer
from store.engine.merged_index import MergedIndex
from store.engine.row_table import RowTable
from store.engine.segment import SegmentKind, Segments
from store.engine.segment_usage import SegmentUsage

SLICE = 256
"""Blocks that are dropped between two turns of the loop."""


class Flusher:
    """Brings one device's index up to its log."""

    def __init__(
        self,
        index: MergedIndex,
        segment_usage: SegmentUsage,
        row_table: RowTable,
        blocks: BlockTable,
        segments: Segments,
        log: Committer,
        bulk: BulkWriter,
        worker: Worker,
    ) -> None:
        self._index = index
        self._blocks = blocks
        self._segment_usage = segment_usage
        self._row_table = row_table
        self._segments = segments
        self.log = log
        self._bulk = bulk
        self._worker = worker
        self._one_at_a_time = trio.Lock()
        self._wanted: deque[tuple[bytes, int, Done]] = deque()
        """(data id, blocks submitted before, whom to tell) of drops that are yet to be made."""
        self._waiting: list[tuple[int, Done]] = []
        """(blocks submitted before, whom to tell) of drops, and whoever else waits for the index to say so."""
        self._bulk_position = (0, 0)
        """Behind this the next start looks for blocks, as the index says durably."""
        self._doomed: dict[bytes, int] = {}
        self.flushes = 0
        self.written = trio.Event()
        """Set, and another put in its place, whenever a generation was written, or could not be."""

    def drop(self, data_id: bytes, done: Done) -> bool:
        """Have these data dropped by the next flush, and `done` told when that is durable. False where blocks of them
        are still on their way: these are dropped as they arrive, and the next start must not find them either."""
        submitted = self._bulk.submitted
        self._wanted.append((data_id, submitted, done))
        if self._bulk.completed(submitted):
            return True
        self._doomed[data_id] = submitted
        return False

    async def make_drops(self) -> None:
        """Drop what is wanted: a slice at a time, since data may have thousands of blocks."""
        while self._wanted:
            data_id, submitted, done = self._wanted[0]
            while self._blocks.drop_some(data_id, SLICE):
                await trio.lowlevel.checkpoint()
            self._wanted.popleft()
            self._waiting.append((submitted, done))

    def may_bring_back_blocks(self) -> bool:
        """Whether the next start may find blocks that count as lost."""
        return self._bulk.has_lost_behind(self._bulk_position)

    def when_written(self, submitted: int, done: Done) -> None:
        """Have `done` told when the index says, durably, what has become of so many blocks."""
        self._waiting.append((submitted, done))

    def abandon(self, error: DrystoneError) -> None:
        """The device is out: the index will not say any more that something was dropped."""
        drops = [done for _, _, done in self._wanted] + [done for _, done in self._waiting]
        self._wanted.clear()
        self._waiting = []
        call_all(partial(done, error) for done in drops)

    def doomed(self, data_id: bytes, number: int) -> bool:
        """Whether the block of this number came too late, since its data were dropped."""
        return number <= self._doomed.get(data_id, 0)

    async def flush(self, *, recycle: Callable[[], bool]) -> list[int]:
        """Write everything published so far to the index, then give back the space that this frees. `recycle` tells
        whether one more spare log segment is wanted. Returns the segments that were removed."""
        async with self._one_at_a_time:
            await self.make_drops()
            empty = self._empty_segments()
            await self.write_all()
            for segment in empty:
                is_log = self._segments.kinds[segment] is SegmentKind.LOG
                await self._remove(segment, recycle=is_log and recycle())
            return empty

    async def write_all(self) -> None:
        """The same without removing anything."""
        self.mark_applied()
        bulk_position = self._bulk.position
        punches, self._segment_usage.holes = self._segment_usage.holes, []
        completed = self._bulk.completed
        answers = [done for at, done in self._waiting if completed(at)]
        self._waiting = [(at, done) for at, done in self._waiting if not completed(at)]
        self._doomed = {data: at for data, at in self._doomed.items() if not completed(at)}
        try:
            await self.write_index()
        except DrystoneError as error:
            self._segment_usage.holes += punches
            call_all(partial(done, error) for done in answers)
            raise
        self._bulk_position = bulk_position
        try:
            await self._punch(punches)
        except (DrystoneError, OSError):
            self._segment_usage.holes += punches
            raise
        finally:
            # What was dropped is so, whenever its space comes back.
            call_all(partial(done, None) for done in answers)
        self._segment_usage.punched(punches)

    def mark_applied(self) -> None:
        """Note how much of log and bulk data the index holds."""
        log = self.log
        self._index.set_position(b"log", (log.segment, log.offset, log.durable))
        self._index.set_position(b"bulk", self._bulk.position)

    async def write_index(self) -> None:
        """Write the index as it is."""
        self._index.set_position(b"next", (self._segments.next_id,))
        self._row_table.note_usage()
        self._segment_usage.note(self._segments.kinds)
        releasing = self._row_table.take_releasing()
        frozen = self._index.freeze()
        try:
            await run_in(self._worker, lambda: self._index.write(frozen))
        except BaseException:
            self._index.unflushed()
            self._row_table.released(releasing, durably=False)
            raise
        else:
            self._index.flushed()
            self._row_table.released(releasing, durably=True)
            self.flushes += 1
        finally:
            self.written.set()
            self.written = trio.Event()

    async def _punch(self, locations: list[Location]) -> None:
        there = sorted(location for location in locations if location.segment in self._segments.kinds)

        def punch() -> None:
            for segment, offset, length in joined(there):
                self._segments.file(segment).punch(offset, length)

        if there:
            await run_in(self._worker, punch)

    def _empty_segments(self) -> list[int]:
        """Segments in which nothing lives, as the index is about to say, and to which nothing more is written."""
        bulk_from = self._bulk.position[0]
        return [
            segment
            for segment, kind in sorted(self._segments.kinds.items())
            if self._segment_usage.live.get(segment, 0) <= 0
            and segment not in self._segment_usage.held
            and segment not in (self.log.segment, self._bulk.segment)
            and not (kind is SegmentKind.BULK and segment >= bulk_from)
        ]

    async def _remove(self, segment: int, *, recycle: bool) -> None:
        path = self._segments.path(segment)
        self._segments.forgotten(segment)
        self._segment_usage.forget(segment)
        spare = await run_in(self._worker, lambda: self._segments.remove(path, recycle=recycle))
        if spare is not None:
            self._segments.spares.append(spare)


def joined(locations: Iterable[Location]) -> Iterator[Location]:
    """Locations in their order, those that lie beside each other as one: a hole costs the file system as much, however
    large it is."""
    last: Location | None = None
    for location in locations:
        if last is not None and location.segment == last.segment and location.offset == last.offset + last.length:
            last = last._replace(length=last.length + location.length)
            continue
        if last is not None:
            yield last
        last = location
    if last is not None:
        yield last
