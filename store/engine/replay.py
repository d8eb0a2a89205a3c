"""Replay: at a start, what the log and the bulk segments hold beyond the index is taken into the tables.

`recovery` says what of it is to be believed. The loop is held for a slice of records at a time, since it may be one
device of many that is back.
"""

from __future__ import annotations

from collections.abc import Iterator

import trio

from store.core.errors import DamageError
from store.core.worker import Worker, run_in
from store.device.row import Location, Row, index_key, value_of
from store.engine.block_table import BlockTable
from store.engine.committer import PreviousSegment
from store.engine.flush import Flusher
from store.engine.merged_index import MergedIndex
from store.engine.recovery import Tail, read_bulk, read_log
from store.engine.row_table import RowTable
from store.engine.segment import Segments
from store.engine.segment_usage import SegmentUsage
from store.engine.standing import Standing

CHANGES = 50_000
"""The index is written in between when so much has changed: bounds memory."""
BATCH = 2000
"""Records that are read at once."""
SLICE = 100
"""Records that are taken in between two turns of the loop."""


class Replay:
    """The replay of one device."""

    def __init__(
        self,
        segments: Segments,
        index: MergedIndex,
        segment_usage: SegmentUsage,
        row_table: RowTable,
        blocks: BlockTable,
        flusher: Flusher,
        standing: Standing,
        worker: Worker,
    ) -> None:
        self._segments = segments
        self._index = index
        self._segment_usage = segment_usage
        self._row_table = row_table
        self._blocks = blocks
        self._flusher = flusher
        self._standing = standing
        self._worker = worker
        self.tail = Tail(PreviousSegment(0, 0, 0))
        self.lost_index = False
        """The index was lost, and with it what it alone knew: which tombstones are forgotten."""

    async def run(self) -> None:
        """Read what is there. Afterwards `tail` says where the log ends, and what of it could not be read."""
        self._segment_usage.load()
        self._row_table.load()
        (stored_next,) = self._index.position(b"next") or (1,)
        self._segments.next_id = max([stored_next, *(segment + 1 for segment in self._segments.kinds)])
        # A new device's index is written before its first segment is made.
        self.lost_index = self._index.position(b"next") is None and bool(self._segments.kinds)
        position = self._index.position(b"bulk")
        await self._rows()
        blocks = await run_in(self._worker, lambda: list(read_bulk(self._segments, position)))
        for number, block in enumerate(blocks, 1):
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()
            self._blocks.add(*block)
        if self.tail.damage or self.lost_index:
            await self._standing.set_in_sync(in_sync=False)

    async def _rows(self) -> None:
        rows = read_log(self._segments, self._index.position(b"log"), self.tail)
        while True:
            batch = await run_in(self._worker, lambda: _take(rows, BATCH))
            for number, (row, location) in enumerate(batch, 1):
                if number % SLICE == 0:
                    await trio.lowlevel.checkpoint()
                self._apply(row, location)
            if len(batch) < BATCH:
                return
            if self._index.dirty > CHANGES:
                if self.tail.damage and self._standing.in_sync:
                    await self._standing.set_in_sync(in_sync=False)  # before the index says that it was read
                before = self.tail.before
                self._index.set_position(b"log", (before.segment, before.end, before.seq))
                await self._flusher.write_index()

    def _apply(self, row: Row, location: Location) -> None:
        packed = index_key(row.key)
        try:
            self._row_table.apply(packed, row, value_of(row), location)
        except DamageError as error:
            # Whether a guard would have kept it out cannot be told: its other replicas know.
            self.tail.damage.append(f"row {packed.hex()} not replayed: {error}")
        if not self.lost_index:
            self._row_table.note_in_doubt(packed)


def _take(rows: Iterator[tuple[Row, Location] | None], count: int) -> list[tuple[Row, Location]]:
    """Up to `count` rows of the iterator; payloads are left out, since only the index needs them now."""
    taken: list[tuple[Row, Location]] = []
    for entry in rows:
        if entry is None:
            continue
        row, location = entry
        taken.append((row._replace(payload=b""), location))
        if len(taken) == count:
            break
    return taken
