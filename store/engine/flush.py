"""Flushing: what the log holds goes into the index, and the space that this frees comes back.

The order is what keeps a crash harmless. First the entries note how far log and bulk data are durable; then everything
goes into the index in one transaction; only then are holes punched, drops answered and empty segments removed. So the
index never holds what the log may lose, and never names what is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import trio

from store.core.errors import DrystoneError
from store.core.worker import Worker, call_all, run_in
from store.engine.block_table import BlockTable
from store.engine.bulk import BulkWriter
from store.engine.committer import Committer
from store.engine.entries import Entries
from store.engine.row import Location
from store.engine.segment import SegmentKind, Segments
from store.engine.space import Space
from store.engine.view import View

SLICE = 256
"""Blocks that are dropped between two turns of the loop."""

Done = Callable[[DrystoneError | None], None]


class Flusher:
    """Brings one device's index up to its log."""

    def __init__(
        self,
        entries: Entries,
        space: Space,
        view: View,
        blocks: BlockTable,
        segments: Segments,
        bulk: BulkWriter,
        worker: Worker,
    ) -> None:
        self._entries = entries
        self._blocks = blocks
        self._space = space
        self._view = view
        self._segments = segments
        self._bulk = bulk
        self._worker = worker
        self._one_at_a_time = trio.Lock()
        self._wanted: deque[tuple[bytes, int, Done]] = deque()
        """(data id, blocks submitted before, whom to tell) of drops that are yet to be made."""
        self._drops: list[tuple[int, Done]] = []
        """(blocks submitted before, whom to tell) of drops that wait for the index to say so."""
        self._doomed: dict[bytes, int] = {}
        self.log: Committer
        """From the end of recovery on."""
        self.flushes = 0
        self.written = trio.Event()
        """Set, and another put in its place, whenever a generation was written, or could not be."""

    def drop(self, data_id: bytes, done: Done) -> bool:
        """Have these data dropped by the next flush, and `done` told when that is durable. False where blocks of them
        are still on their way: these are dropped as they arrive, and the next start must not find them either."""
        submitted = self._bulk.submitted
        self._wanted.append((data_id, submitted, done))
        if self._bulk.settled(submitted):
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
            self._drops.append((submitted, done))

    def abandon(self, error: DrystoneError) -> None:
        """The device is out: the index will not say any more that something was dropped."""
        drops = [done for _, _, done in self._wanted] + [done for _, done in self._drops]
        self._wanted.clear()
        self._drops = []
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
        punches, self._space.holes = self._space.holes, []
        settled = self._bulk.settled
        answers = [done for at, done in self._drops if settled(at)]
        self._drops = [(at, done) for at, done in self._drops if not settled(at)]
        self._doomed = {data: at for data, at in self._doomed.items() if not settled(at)}
        try:
            await self.write_index()
        except DrystoneError as error:
            self._space.holes += punches
            call_all(partial(done, error) for done in answers)
            raise
        try:
            await self._punch(punches)
        except (DrystoneError, OSError):
            self._space.holes += punches
            raise
        finally:
            # What was dropped is so, whenever its space comes back.
            call_all(partial(done, None) for done in answers)
        self._space.punched(punches)

    def mark_applied(self) -> None:
        """Note how much of log and bulk data the entries hold."""
        log = self.log
        self._entries.mark(b"log", (log.segment, log.offset, log.durable))
        self._entries.mark(b"bulk", self._bulk.position)

    async def write_index(self) -> None:
        """Write the entries as they are."""
        self._entries.mark(b"next", (self._segments.next_id,))
        self._view.note_usage()
        self._space.note(self._segments.kinds)
        releasing = self._view.take_releasing()
        frozen = self._entries.freeze()
        try:
            await run_in(self._worker, lambda: self._entries.write(frozen))
        except BaseException:
            self._entries.unflushed()
            self._view.released(releasing, durably=False)
            raise
        else:
            self._entries.flushed()
            self._view.released(releasing, durably=True)
            self.flushes += 1
        finally:
            self.written.set()
            self.written = trio.Event()

    async def _punch(self, locations: list[Location]) -> None:
        there = [location for location in locations if location.segment in self._segments.kinds]

        def punch() -> None:
            for segment, offset, length in there:
                self._segments.file(segment).punch(offset, length)

        if there:
            await run_in(self._worker, punch)

    def _empty_segments(self) -> list[int]:
        """Segments in which nothing lives, as the index is about to say, and to which nothing more is written."""
        bulk_from = self._bulk.position[0]
        return [
            segment
            for segment, kind in sorted(self._segments.kinds.items())
            if self._space.live.get(segment, 0) <= 0
            and segment not in (self.log.segment, self._bulk.segment)
            and not (kind is SegmentKind.BULK and segment >= bulk_from)
        ]

    async def _remove(self, segment: int, *, recycle: bool) -> None:
        path = self._segments.path(segment)
        self._segments.forgotten(segment)
        self._space.forget(segment)
        spare = await run_in(self._worker, lambda: self._segments.remove(path, recycle=recycle))
        if spare is not None:
            self._segments.spares.append(spare)
