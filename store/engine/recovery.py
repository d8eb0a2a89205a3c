"""What a start makes of what a crash left.

The index says how far into the log it goes; everything behind that is read again. A segment's end is known from the
previous-segment record that begins the next one, so only the last segment can end in a **torn tail**: records of a
batch whose sync did not finish, none of which was acknowledged. A bad record is a torn tail exactly when nothing says
that it was durable: it lies in the last segment, and no valid record behind it was written after it had been made
durable. Then the log is cut there; a segment of which nothing is left is stepped over by the previous-segment record of
the next, so what was cut once stays cut. Any other bad record is **damage**: it is stepped over, counted, and the
device must rejoin its peers before it counts again that it has no row of a key. The two are never confused:
cutting at damage would lose what was acknowledged, and repairing a torn tail would wait for what never was.

What a crash of the process alone left in the page cache is synced before it is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from store.core.disk import File
from store.core.errors import DamageError
from store.device.record import (
    BULK_ALIGN,
    HEADER_BYTES,
    LOG_ALIGN,
    MAGIC,
    Header,
    Kind,
    front_bytes,
    parse_header,
    verify_front,
    verify_payload,
)
from store.device.row import Location
from store.engine.committer import PreviousSegment, decode_previous
from store.engine.segment import HEADER_BYTES as FIRST_OFFSET
from store.engine.segment import SegmentKind, Segments, refuse_newer

_WINDOW = 1024 * 1024


class Found(NamedTuple):
    """A valid record. `meta` and `payload` are views of what was read."""

    header: Header
    location: Location
    meta: memoryview
    payload: memoryview


@dataclass
class Tail:
    """What the log holds behind the index, beside its records."""

    before: PreviousSegment
    """Where the log ends: what the next segment's previous-segment record will say."""
    damage: list[str] = field(default_factory=list)
    """One line for each stretch of the log that should be readable and is not."""


class Reader:
    """Finds records in one segment."""

    def __init__(self, file: File, segment: int, align: int) -> None:
        self._file = file
        self._segment = segment
        self._align = align
        self._size = file.size()
        self._start = 0
        self._window = b""

    def _bytes(self, offset: int, length: int) -> memoryview:
        end = offset + length
        if offset < self._start or end > self._start + len(self._window):
            self._start = offset
            self._window = self._file.read(offset, max(length, _WINDOW))
        return memoryview(self._window)[offset - self._start : end - self._start]

    def record(self, offset: int) -> Found | None:
        """The record at `offset`, wholly verified, or None."""
        header = parse_header(self._bytes(offset, HEADER_BYTES), segment=self._segment, offset=offset)
        if header is None or offset + header.length > self._size:
            return None
        data = self._bytes(offset, header.length)
        front = verify_front(header, data[: front_bytes(header)])
        if front is None:
            return None
        sums, meta = front
        payload = data[header.payload_at : header.length]
        try:
            verify_payload(sums, payload)
        except DamageError:
            return None
        length = header.length + -header.length % self._align
        return Found(header, Location(self._segment, offset, length), meta, payload)

    def next(self, offset: int, stop: int) -> Found | None:
        """The first valid record at or behind `offset` that begins before `stop`."""
        offset += -offset % self._align
        stop = min(stop, self._size)
        while offset < stop:
            window = bytes(self._bytes(offset, min(_WINDOW, stop - offset)))
            at = window.find(MAGIC)
            while at >= 0:
                if (offset + at) % self._align == 0 and (found := self.record(offset + at)) is not None:
                    return found
                at = window.find(MAGIC, at + 1)
            # A magic may straddle two windows.
            offset += max(len(window) - len(MAGIC) + 1, self._align)
            offset -= offset % self._align
        return None

    @property
    def size(self) -> int:
        return self._size


def read_log(segments: Segments, applied: tuple[int, ...] | None, tail: Tail) -> Iterator[Found]:
    """Records behind `applied` (segment, offset, seq), in the order of the log.

    Blocks. Fills `tail` as it goes; it is complete when the iterator is. Raises NewerError where a newer program wrote
    what cannot be told from damage here.
    """
    segment_from, offset_from, seq = applied if applied is not None else (0, 0, 0)
    tail.before = PreviousSegment(segment_from, offset_from, seq)
    ids = [segment for segment in segments.of_kind(SegmentKind.LOG) if segment >= segment_from]
    for segment in ids:
        refuse_newer(segments.file(segment).read(0, FIRST_OFFSET), segment)
    firsts = {segment: before for segment in ids if (before := _previous_segment(segments, segment)) is not None}
    ends = {before.segment: before.end for before in firsts.values()}
    ids = [segment for segment in ids if not _stepped_over(segment, firsts)]
    for position, segment in enumerate(ids):
        file = segments.file(segment)
        file.sync()
        reader = Reader(file, segment, LOG_ALIGN)
        offset = offset_from if segment == segment_from else FIRST_OFFSET
        end = ends.get(segment)
        last = position == len(ids) - 1 or (end is None and not _begins(segments, ids[position + 1 :]))
        while end is None or offset < end:
            found = reader.record(offset)
            if found is None:
                found = _beyond(reader, offset, end, tail.before.seq, last)
                if found is None:
                    if end is not None:
                        tail.damage.append(f"log segment {segment:016x}: nothing readable from {offset} to {end}")
                        tail.before = PreviousSegment(segment, end, tail.before.seq)
                    break
                tail.damage.append(f"log segment {segment:016x}: unreadable from {offset} to {found.location.offset}")
            offset = found.location.offset + found.location.length
            tail.before = PreviousSegment(segment, offset, found.header.seq)
            yield found


def read_some(file: File, segment: int, offset: int, length: int) -> tuple[list[Found], int]:
    """Valid records of a log segment from `offset` on, about `length` bytes of them, and where to go on. Blocks.

    What is unreadable is passed over. The list is empty when there are no more.
    """
    reader = Reader(file, segment, LOG_ALIGN)
    records: list[Found] = []
    stop = offset + length
    while offset < stop and (found := reader.record(offset) or reader.next(offset, reader.size)) is not None:
        records.append(found)
        offset = found.location.offset + found.location.length
    return records, offset


def _stepped_over(segment: int, firsts: dict[int, PreviousSegment]) -> bool:
    """Whether a later segment follows one before this: then nothing in this one was ever acknowledged, and what it
    holds was cut by an earlier start or belongs to writes that failed."""
    return any(before.segment < segment < later for later, before in firsts.items())


def _previous_segment(segments: Segments, segment: int) -> PreviousSegment | None:
    found = Reader(segments.file(segment), segment, LOG_ALIGN).record(FIRST_OFFSET)
    return decode_previous(found.meta) if found is not None and found.header.kind == Kind.PREVIOUS_SEGMENT else None


def _begins(segments: Segments, ids: list[int]) -> bool:
    """Whether any of these segments holds a record: one that was made but never synced into holds none."""
    return any(
        Reader(segments.file(segment), segment, LOG_ALIGN).next(FIRST_OFFSET, segments.log_bytes) is not None
        for segment in ids
    )


def _beyond(reader: Reader, offset: int, end: int | None, seq: int, last: bool) -> Found | None:
    """The next valid record behind a bad one, if the bad one was durable; None if the log ends here."""
    stop = reader.size if end is None else end
    found = first = reader.next(offset + LOG_ALIGN, stop)
    if end is not None or not last:
        return found
    while found is not None:
        if found.header.durable > seq:
            return first
        found = reader.next(found.location.offset + found.location.length, stop)
    return None


def read_bulk(segments: Segments, position: tuple[int, ...] | None) -> Iterator[Found]:
    """Records of bulk segments behind `position` (segment, offset). Blocks the thread.

    Incomplete ones are passed over: no row names a block that was not durable, and one that was and is no more is
    found missing when it is read. Raises NewerError as `read_log`.
    """
    segment_from, offset_from = position if position is not None else (0, 0)
    for segment in segments.of_kind(SegmentKind.BULK):
        if segment < segment_from:
            continue
        file = segments.file(segment)
        file.sync()
        refuse_newer(file.read(0, FIRST_OFFSET), segment)
        reader = Reader(file, segment, BULK_ALIGN)
        offset = offset_from if segment == segment_from else FIRST_OFFSET
        while (found := reader.record(offset) or reader.next(offset, reader.size)) is not None:
            offset = found.location.offset + found.location.length
            yield found
