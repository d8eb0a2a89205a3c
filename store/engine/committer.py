"""The committer: how records of the log become durable, many with one sync.

One committer a device. It takes whatever queued while the last sync ran, lays it out, writes it with one call and syncs
once, all in one job of its worker; then it publishes each record and so answers whoever wrote it. Nothing waits for
company and no timer runs: under load batches grow by themselves. A record is published only when it is durable.

Every segment begins with a previous-segment record that says where the one before it ends. So only the last segment can
have a torn tail, and a bad record anywhere else is damage (see `recovery`).

A write or sync that failed poisons its segment: nothing is retried in it, since the kernel may have dropped the pages
and called them clean. The batch fails, and the next goes to a new segment. A second failure in a row takes the device
out. A full disk is not such a failure: it is answered as what it is.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgpack
import outcome

from store.core.codec import unknown_version
from store.core.disk import File
from store.core.errors import BusyError, DamageError, DeviceError, DrystoneError, FullError
from store.core.worker import Worker, call_all
from store.device.record import LOG_ALIGN, Buffer, Kind, Sealed, lay_out, seal
from store.device.row import Location
from store.engine.segment import HEADER_BYTES, SegmentKind, Segments

Published = Callable[[Location | None, DrystoneError | None], None]
"""Called when a record is durable (its place), or when it will never be (why)."""

BATCH_BYTES_MAX = 8 * 1024 * 1024
BATCH_RECORDS_MAX = 512
"""They are published in one turn of the loop, which may not be held by tens of thousands of small ones."""
QUEUE_BYTES_MAX = 64 * 1024 * 1024
"""Writers that do not wait are told that we are busy beyond this."""
PAGE_BYTES = 4096
"""Written whole: of a page that is not in memory the kernel would have to read first what a record leaves of it. What
follows the last record belongs to nobody."""
_ZEROS = memoryview(bytes(PAGE_BYTES))
PREVIOUS_SEGMENT_VERSION = 1
FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}


class PreviousSegment(NamedTuple):
    """Where the segment before this one ends (0, 0, 0: there is none), and the last sequence number in it."""

    segment: int
    end: int
    seq: int


def encode_previous(previous: PreviousSegment) -> Sealed:
    return seal(Kind.PREVIOUS_SEGMENT, msgpack.packb((PREVIOUS_SEGMENT_VERSION, *previous)))


def decode_previous(meta: bytes | memoryview) -> PreviousSegment:
    try:
        fields = msgpack.unpackb(meta)
        if fields[0] != PREVIOUS_SEGMENT_VERSION:
            raise unknown_version("previous-segment record", fields[0], (PREVIOUS_SEGMENT_VERSION,))
        _, segment, end, seq = fields
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"previous-segment record is not of a known form: {error}") from error
    return PreviousSegment(segment, end, seq)


class Committer:
    """Appends to one device's log. All methods are called on the event loop."""

    def __init__(
        self,
        segments: Segments,
        worker: Worker,
        next_segment: Callable[[], int],
        on_failed: Callable[[DrystoneError], object],
        on_rolled: Callable[[int], None],
        touch: Callable[[Iterable[bytes]], None],
    ) -> None:
        """`touch` has keys of the index in memory, before records that change them are published. It blocks."""
        self._segments = segments
        self._worker = worker
        self._next_segment = next_segment
        self._on_failed = on_failed
        self._on_rolled = on_rolled
        self._touch = touch
        self._queue: deque[tuple[Sealed, Published, tuple[bytes, ...]]] = deque()
        self._queue_bytes = 0
        self._busy = False
        self._failures = 0
        self._failed: DrystoneError | None = None
        self._file: File | None = None
        self.batches = 0
        self.records = 0
        self.go_on_after(PreviousSegment(0, 0, 0))

    def go_on_after(self, before: PreviousSegment) -> None:
        """The log that is there ends so: what comes goes into new segments behind it."""
        self._before = before
        self.segment = before.segment
        self.offset = before.end
        self.seq = before.seq
        self.durable = before.seq

    @property
    def idle(self) -> bool:
        return not self._busy and not self._queue

    def admit(self) -> None:
        """Raises BusyError where too much is queued, DeviceError where the device is out."""
        if self._failed is not None:
            raise self._failed
        if self._queue_bytes > QUEUE_BYTES_MAX:
            raise BusyError("the device's log has more queued than it may hold in memory")

    def submit(self, sealed: Sealed, published: Published, touched: tuple[bytes, ...] = ()) -> None:
        """Append a record; `touched` are the keys of the index that are to be in memory when it is published. Raises as
        `admit`."""
        self.admit()
        self._queue.append((sealed, published, touched))
        self._queue_bytes += sealed.payload_bytes + len(sealed.body)
        if not self._busy:
            self._kick()

    def _kick(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        if self._file is None or not self._fits(self.offset, self._queue[0][0]):
            self._roll()
            return
        file, start, offset = self._file, self.offset, self.offset
        buffers: list[Buffer] = []
        batch: list[tuple[Location, Published]] = []
        keys: list[bytes] = []
        while (
            self._queue
            and len(batch) < BATCH_RECORDS_MAX
            and offset - start < BATCH_BYTES_MAX
            and self._fits(offset, self._queue[0][0])
        ):
            sealed, published, touched = self._queue.popleft()
            self._queue_bytes -= sealed.payload_bytes + len(sealed.body)
            self.seq += 1
            parts, length, _ = lay_out(
                sealed,
                seq=self.seq,
                durable=self.durable,
                segment=self.segment,
                offset=offset,
                align=LOG_ALIGN,
            )
            buffers += parts
            batch.append((Location(self.segment, offset, length), published))
            keys += touched
            offset += length

        if rest := -offset % PAGE_BYTES:
            buffers.append(_ZEROS[:rest])

        def commit() -> None:
            file.write(start, buffers)
            file.sync()
            with suppress(DamageError):  # an index that is corrupt is no news of the log, and is told by itself
                self._touch(keys)

        self._worker.submit(commit, lambda result: self._committed(result, batch, offset))

    def _fits(self, offset: int, sealed: Sealed) -> bool:
        return offset + 64 + len(sealed.body) + sealed.payload_bytes + LOG_ALIGN <= self._segments.log_bytes

    def _committed(self, result: outcome.Maybe[None], batch: list[tuple[Location, Published]], end: int) -> None:
        self._busy = False
        if isinstance(result, outcome.Error):
            self._poisoned(result.error, [published for _, published in batch])
            return
        self._failures = 0
        self.durable = self.seq
        self.offset = end
        self.batches += 1
        self.records += len(batch)
        self._kick()  # the disk works while we publish
        raised: Exception | None = None
        for location, published in batch:  # as `call_all`, in the one place where every microsecond counts
            try:
                published(location, None)
            except Exception as error:
                raised = error
        if raised is not None:
            raise raised

    def _roll(self) -> None:
        segment = self._next_segment()
        spare = self._segments.take_spare()
        self._worker.submit(
            lambda: self._segments.create(SegmentKind.LOG, segment, spare),
            lambda result: self._rolled(result, segment),
        )

    def _rolled(self, result: outcome.Maybe[File], segment: int) -> None:
        self._busy = False
        if isinstance(result, outcome.Error):
            waiting = [published for _, published, _ in self._queue]
            self._queue.clear()
            self._queue_bytes = 0
            self._poisoned(result.error, waiting)
            return
        if self.offset > HEADER_BYTES:
            # Else nothing in the segment that we leave became durable: what its first record says is repeated, and it
            # is void.
            self._before = PreviousSegment(self.segment, self.offset, self.seq)
        self._segments.added(segment, SegmentKind.LOG, result.value)
        self._file = result.value
        self.segment = segment
        self.offset = HEADER_BYTES
        previous = encode_previous(self._before)
        self._queue.appendleft((previous, lambda _location, _error: None, ()))
        self._queue_bytes += len(previous.body)
        self._kick()
        self._on_rolled(segment)

    def _poisoned(self, reason: BaseException, waiting: list[Published]) -> None:
        """Fail what was under way; leave the segment; give the device up at the second failure in a row."""
        self._file = None
        error: DrystoneError
        if isinstance(reason, OSError) and reason.errno in FULL_ERRNOS:
            error = FullError(f"no room in the log: {reason}")
        else:
            error = DeviceError(f"writing the log failed: {reason!r}")
            self._failures += 1
        if self._failures >= 2:
            self._failed = error
            waiting += [published for _, published, _ in self._queue]
            self._queue.clear()
            self._queue_bytes = 0
            self._on_failed(error)
        self._kick()
        call_all(partial(published, None, error) for published in waiting)
