"""Compaction: copy what lives out of log segments that are mostly dead, so that their space comes back.

Copies go through the same committer as every other record. The index moves to a copy only if it still points at the
record that was copied: a version that came meanwhile wins, and the copy is dead on arrival. The segment itself is
removed by the flush after, which finds nothing living in it; a record that cannot be read keeps its segment alive, so
the last trace of damage is never thrown away. Such a segment is not tried again before less of it is alive: it must not
keep the others waiting.

Bulk segments need none of this: dropped blocks are given back by punching holes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio

from store.core.errors import DamageError, DrystoneError
from store.core.wait_group import WaitGroup
from store.device.port import Done
from store.device.record import Kind, seal
from store.device.row import Location, decode_meta, index_key
from store.engine.committer import Committer
from store.engine.reads import Reads
from store.engine.recovery import Found
from store.engine.row_table import RowTable
from store.engine.segment import HEADER_BYTES, SegmentKind, Segments
from store.engine.segment_usage import SegmentUsage

CHUNK_BYTES = 2 * 1024 * 1024
"""Read, copied and committed at a time: bounds memory, and how long foreground writes wait behind copies."""
TURN_RECORDS = 64
"""Looked at in one turn of the loop: a chunk may hold thousands of tombstones, and requests wait meanwhile."""


class Compactor:
    """Compacts one device's log. What it copied out of is given back by the next flush."""

    def __init__(
        self,
        segments: Segments,
        segment_usage: SegmentUsage,
        row_table: RowTable,
        reads: Reads,
        committer: Committer,
        on_changed: Callable[[], None],
    ) -> None:
        self._segments = segments
        self._segment_usage = segment_usage
        self._row_table = row_table
        self._reads = reads
        self._committer = committer
        self._on_changed = on_changed
        self._stuck: dict[int, int] = {}
        """Live bytes of segments when they were last compacted."""

    def compactable(self, below: float) -> list[int]:
        """Log segments that nothing more is written to and whose share of live bytes is below this, emptiest first."""
        limit = below * self._segments.log_bytes
        live = self._segment_usage.live
        found = [
            segment
            for segment in self._segments.of_kind(SegmentKind.LOG)
            if segment < self._committer.segment
            and 0 < live.get(segment, 0) < limit
            and live[segment] != self._stuck.get(segment)
        ]
        return sorted(found, key=lambda segment: live[segment])

    def removed(self, segment: int) -> None:
        """A segment is gone."""
        self._stuck.pop(segment, None)

    async def compact_segment(self, segment: int) -> int:
        """Copy every living row out of a segment. Returns the bytes copied."""
        self._stuck[segment] = self._segment_usage.live[segment]
        offset = HEADER_BYTES
        copied = 0
        while True:
            records, offset = await self._reads.records(segment, offset, CHUNK_BYTES)
            if not records:
                return copied
            waiting = WaitGroup()
            for number, found in enumerate(records, 1):
                if number % TURN_RECORDS == 0:
                    await trio.lowlevel.checkpoint()
                if found.header.kind != Kind.ROW:
                    continue
                packed = index_key(decode_meta(found.meta).key)
                row = None
                with suppress(DamageError):  # whether it lives cannot be told: then the segment stays
                    row = self._row_table.row(packed)
                if row is not None and row.location == found.location:
                    waiting.add()
                    self._move(packed, found, waiting.done)
                    copied += found.location.length
            await waiting.wait()

    def _move(self, packed_key: bytes, found: Found, done: Done) -> None:
        """Copy a live row's record to the end of the log, and point the index at the copy if it is still current."""
        copy = seal(Kind.ROW, bytes(found.meta), bytes(found.payload))

        def published(location: Location | None, error: DrystoneError | None) -> None:
            if location is not None:
                try:
                    self._row_table.move(packed_key, found.location, location)
                except DamageError as damage:
                    done(damage)
                    return
                self._on_changed()
            done(error)

        self._committer.submit(copy, published)
