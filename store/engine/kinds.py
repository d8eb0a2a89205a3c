"""Kinds of records, and what must be known of each: how a start takes it in, whether it lives, and how it moves.

Whatever goes through a segment from end to end (`replay`, `compaction`) asks the handler of a record's kind, and knows
no kind itself: so a kind cannot be forgotten by one of them. Who adds a kind adds its handler here.

A record of a kind that has no handler was written by a newer program, and is not lost by this one:

- A start that has to take it in is refused. Going on without it would move the index's position past it, so that the
  newer program would never take it in either; and what it says may forbid what this program would do next. The device
  stays as it was, and its replicas serve.
- Where it lies behind that position the newer program has it in the usage of its segment, which is not empty then; and
  compaction keeps the segment.

The same goes for a newer version of a known kind (`NewerError`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from store.core.errors import DamageError, NewerError
from store.device.block import BlockKey, IndexBlock, decode_meta, decode_target
from store.device.data_fence import DataFence
from store.device.data_fence import decode_meta as decode_fence
from store.device.promise import Promise
from store.device.promise import decode_meta as decode_promise
from store.device.record import Kind, parse_header, verify_front
from store.device.row import Location, Row, index_key, value_of
from store.device.row import decode_meta as decode_row
from store.engine.block_table import BlockTable
from store.engine.committer import decode_previous
from store.engine.data_fences import DataFences
from store.engine.recovery import Found
from store.engine.row_table import RowTable
from store.engine.segment import Segments

TakeIn = Callable[[], None]
"""Does on the event loop what a record says. Raises DamageError where that cannot be done."""


class BulkHandler(Protocol):
    """What must be known of a kind in bulk segments. These are never copied: what is dead is punched out."""

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        """What a start is to do with a record behind the index; where it is `in_doubt`, other replicas may not have
        what it says. Called in a worker; keeps nothing of `found`, which is a view of much more. What is taken in
        counts as live in its segment (`SegmentUsage.add`) for as long as it is needed, or the segment goes. Raises
        DamageError, NewerError where a newer program wrote it."""
        ...


class LogHandler(BulkHandler, Protocol):
    """What must be known of a kind in log segments, of which compaction copies what lives."""

    def lives(self, found: Found) -> bool:
        """Whether anything needs this very record. Raises DamageError where that cannot be told: it stays then."""
        ...

    def move(self, found: Found, to: Location) -> None:
        """A copy of a record that lived is durable: what needed the record needs the copy from now on, unless it has
        come to need neither. Raises DamageError."""
        ...


H = TypeVar("H", bound=BulkHandler)
BulkHandlers = Mapping[int, BulkHandler]
LogHandlers = Mapping[int, LogHandler]


def log_handlers(row_table: RowTable, data_fences: DataFences) -> LogHandlers:
    """Those of the log."""
    return {
        Kind.ROW: Rows(row_table),
        Kind.PROMISE: Promises(row_table),
        Kind.FENCE: FencesOfData(data_fences),
        Kind.PREVIOUS_SEGMENT: PreviousSegments(),
    }


def bulk_handlers(blocks: BlockTable, segments: Segments) -> BulkHandlers:
    """Those of bulk segments."""
    return {Kind.BLOCK: Blocks(blocks), Kind.REFERENCE: References(blocks, segments)}


def handler_of(handlers: Mapping[int, H], found: Found) -> H:
    """The one for a record. Raises NewerError where there is none."""
    kind = found.header.kind
    handler = handlers.get(kind)
    if handler is None:
        where = place(found.location)
        raise NewerError(f"{where} is of kind {kind}, which is not known here: a newer Drystone wrote it")
    return handler


def place(location: Location) -> str:
    """Which record it is, for people."""
    return f"the record at {location.offset} of segment {location.segment:016x}"


class Rows:
    """Versions of rows: one lives while the row table points at it."""

    def __init__(self, row_table: RowTable) -> None:
        self._row_table = row_table

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        return partial(self._take_in, decode_row(found.meta), found.location, in_doubt)

    def _take_in(self, row: Row, location: Location, in_doubt: bool) -> None:
        packed = index_key(row.key)
        if in_doubt:
            self._row_table.note_in_doubt(packed)
        # Where it raises, nobody knows whether a guard would have kept it out; its other replicas do. Without its index
        # a device reads its whole log, in which compaction has put rows behind promises that were given later: what was
        # barred is told from what was there by its other replicas then, since the device is not in sync.
        self._row_table.apply(packed, row, value_of(row), location, promises_bar=in_doubt)

    def lives(self, found: Found) -> bool:
        row = self._row_table.row(index_key(decode_row(found.meta).key))
        return row is not None and row.location == found.location

    def move(self, found: Found, to: Location) -> None:
        self._row_table.move(index_key(decode_row(found.meta).key), found.location, to)


class Promises:
    """Promises: one lives while the row table has it, which is until the row's version reaches it."""

    def __init__(self, row_table: RowTable) -> None:
        self._row_table = row_table

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        return partial(self._take_in, decode_promise(found.meta), found.location)

    def _take_in(self, promise: Promise, location: Location) -> None:
        self._row_table.promise(index_key(promise.key), promise.stamp.pack(), location)

    def lives(self, found: Found) -> bool:
        return self._row_table.promises.is_at(index_key(decode_promise(found.meta).key), found.location)

    def move(self, found: Found, to: Location) -> None:
        self._row_table.promises.move(index_key(decode_promise(found.meta).key), found.location, to)


class FencesOfData:
    """Fences of data: one lives until a higher one is durable, or it is forgotten."""

    def __init__(self, data_fences: DataFences) -> None:
        self._data_fences = data_fences

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        return partial(self._take_in, decode_fence(found.meta), found.location)

    def _take_in(self, fence: DataFence, location: Location) -> None:
        self._data_fences.replay(fence, location)

    def lives(self, found: Found) -> bool:
        return self._data_fences.is_at(decode_fence(found.meta).data_id, found.location)

    def move(self, found: Found, to: Location) -> None:
        self._data_fences.move(decode_fence(found.meta), found.location, to)


class PreviousSegments:
    """Where the segment before ends: `recovery` reads these as it goes, and nobody needs one once its segment is empty
    of all else."""

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        decode_previous(found.meta)
        return _nothing

    def lives(self, found: Found) -> bool:
        return False

    def move(self, found: Found, to: Location) -> None:
        raise AssertionError("none lives, so none is copied")


class Blocks:
    """Data blocks: one lives while the block table has it, or another block its payload."""

    def __init__(self, blocks: BlockTable) -> None:
        self._blocks = blocks

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        key, _ = decode_meta(found.meta)
        entry = IndexBlock(found.location, found.header.payload_at, found.header.payload_bytes)
        return partial(_add, self._blocks, key, entry, None)


class References:
    """References: one lives while the block table has it."""

    def __init__(self, blocks: BlockTable, segments: Segments) -> None:
        self._blocks = blocks
        self._segments = segments

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        key, _ = decode_meta(found.meta)
        target = decode_target(found.meta)
        return partial(
            _add, self._blocks, key, target._replace(reference=found.location), _written_for(self._segments, target)
        )


def _nothing() -> None:
    """There is nothing to be taken in."""


def _add(blocks: BlockTable, key: BlockKey, entry: IndexBlock, references: BlockKey | None) -> None:
    blocks.add(key, entry, references)


def _written_for(segments: Segments, target: IndexBlock) -> BlockKey | None:
    """The block in whose record a reference's payload lies. Blocks."""
    segment, offset, _ = target.location
    try:
        data = segments.file(segment).read(offset, target.payload_at)
        header = parse_header(data, segment=segment, offset=offset)
        front = verify_front(header, data) if header is not None else None
    except (OSError, DamageError):
        return None
    return None if front is None else decode_meta(front[1])[0]
