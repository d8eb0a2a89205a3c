"""Compaction: copy what lives out of log segments that are mostly dead, so that their space comes back.

Copies go through the same committer as every other record. The index moves to a copy only if it still points at the
record that was copied: a version that came meanwhile wins, and the copy is dead on arrival. The segment itself is
removed by the flush after, which finds nothing living in it; a record that cannot be read keeps its segment alive, so
the last trace of damage is never thrown away. Such a segment is not tried again before less of it is alive: it must not
keep the others waiting. One with a record that only a newer program knows (`kinds`) is not emptied, and stays.

Bulk segments need none of this: dropped blocks are given back by punching holes.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from store.core.errors import DamageError, DrystoneError, NewerError
from store.core.wait_group import WaitGroup
from store.device.port import Done
from store.device.record import seal
from store.device.row import Location
from store.engine.committer import Committer
from store.engine.kinds import LogHandlers, handler_of
from store.engine.reads import Reads
from store.engine.recovery import Found
from store.engine.segment import HEADER_BYTES, SegmentKind, Segments
from store.engine.segment_usage import SegmentUsage

log = structlog.get_logger()

CHUNK_BYTES = 2 * 1024 * 1024
"""Read, copied and committed at a time: bounds memory, and how long foreground writes wait behind copies."""
TURN_RECORDS = 64
"""Looked at in one turn of the loop: a chunk may hold thousands of tombstones, and requests wait meanwhile."""


class Compactor:
    """Compacts one device's log. What it copied out of is given back by the next flush."""

    def __init__(
        self,
        number: int,
        segments: Segments,
        segment_usage: SegmentUsage,
        handlers: LogHandlers,
        reads: Reads,
        committer: Committer,
        on_changed: Callable[[], None],
    ) -> None:
        self._number = number
        self._segments = segments
        self._segment_usage = segment_usage
        self._handlers = handlers
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
            and segment not in self._segment_usage.held
        ]
        return sorted(found, key=lambda segment: live[segment])

    def removed(self, segment: int) -> None:
        """A segment is gone."""
        self._stuck.pop(segment, None)

    async def compact_segment(self, segment: int) -> int:
        """Copy every living record out of a segment. Returns the bytes copied."""
        self._stuck[segment] = self._segment_usage.live[segment]
        offset = HEADER_BYTES
        copied = 0
        while segment not in self._segment_usage.held:
            records, offset = await self._reads.records(segment, offset, CHUNK_BYTES)
            if not records:
                break
            waiting = WaitGroup()
            for number, found in enumerate(records, 1):
                if number % TURN_RECORDS == 0:
                    await trio.lowlevel.checkpoint()
                if self._lives(found):
                    waiting.add()
                    self._copy(found, waiting.done)
                    copied += found.location.length
            await waiting.wait()
        return copied

    def _lives(self, found: Found) -> bool:
        """Whether a record is to be copied. One of which that cannot be told stays, and its segment with it."""
        try:
            return handler_of(self._handlers, found).lives(found)
        except NewerError as error:
            self._hold(found, error)
        except DamageError:
            pass  # it counts as living in its segment still
        return False

    def _hold(self, found: Found, error: NewerError) -> None:
        """Keep a segment, since a newer program may need what is in it."""
        segment = found.location.segment
        if segment not in self._segment_usage.held:
            self._segment_usage.held.add(segment)
            log.warning("a log segment is kept for a newer program", device=self._number, why=str(error))

    def _copy(self, found: Found, done: Done) -> None:
        """Copy a living record to the end of the log, and have what needs it need the copy."""
        header, meta, payload = found.header, bytes(found.meta), bytes(found.payload)

        def published(location: Location | None, error: DrystoneError | None) -> None:
            if location is not None:
                try:
                    handler_of(self._handlers, found).move(found, location)
                except DamageError as damage:
                    done(damage)
                    return
                self._on_changed()
            done(error)

        self._committer.submit(seal(header.kind, meta, payload), published)
