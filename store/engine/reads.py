"""Verified reads of records whose place is known: at once where the page cache has them, else through a worker.

What is to be read of a record, and in which steps, is said once, by a generator: it yields places, is sent their bytes,
and returns what they hold. Whoever awaits it and whoever is called back follow the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

import outcome

from store.core.errors import BusyError, DamageError, DrystoneError
from store.core.limits import CHECK_BYTES
from store.core.worker import WatchedWorker, answer_within, run_in
from store.device.block import IndexBlock
from store.device.record import Buffer, front_bytes, parse_header, read_record, verify_front, verify_payload
from store.device.row import Location, Row, decode_meta
from store.engine.recovery import Found, read_some
from store.engine.segment import Segments

WORKERS = 2
ANSWER_SECONDS = 10.0
"""A disk that takes longer for a read hangs, as far as whoever asks is concerned: there are other replicas."""
WHOLE_BYTES = CHECK_BYTES + 8192
"""A record that is no longer is read whole: to verify any part of it takes nearly all."""
SUMS_MAX = 4096
"""Of so many records that are longer the sums are remembered, which were verified: then one read does."""
FRONT_BYTES = 1024
"""Read first when only a record's front is wanted; nearly all fit."""

T = TypeVar("T")


_Steps = Generator[Location, Buffer, T]
"""Yields places of bytes, which need not be whole records."""


class Reads:
    """Reads of one device. All raise DamageError for what is not as it was written, or cannot be read, and BusyError
    where the disk does not answer. `submit_*` call `done` with what was read, or with why it was not; of a disk that
    hangs perhaps never."""

    def __init__(self, worker: Callable[[str], WatchedWorker], segments: Segments) -> None:
        self._segments = segments
        self._workers = [worker(f"read-{number}") for number in range(WORKERS)]
        self._count = 0
        self._sums: dict[tuple[int, int], bytes] = {}
        """By segment and offset: no other record ever lies there."""

    @property
    def background(self) -> WatchedWorker:
        """For what nobody waits for: it shares a thread with reads, not with writes."""
        return self._workers[-1]

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def payload_at_hand(self, location: Location) -> Buffer | None:
        """The payload of a row's record, where it can be had at once and is whole."""
        segment, offset, length = location
        try:
            file = self._segments.open_file(segment)
            data = file.read_cached(offset, length) if file is not None else None
            return None if data is None else read_record(data, segment=segment, offset=offset)[2]
        except (OSError, DamageError):
            return None

    def submit_row(
        self, location: Location, done: Callable[[Row | None, DrystoneError | None], None], *, payload: bool
    ) -> None:
        """Read a row's record; without its payload nearly always in one small read."""
        self._follow(_row(location, payload=payload), done, None)

    def submit_block(
        self, entry: IndexBlock, start: int, stop: int, done: Callable[[memoryview | None, DrystoneError | None], None]
    ) -> None:
        """Read bytes [start, stop) of a block's payload. Of a small part only the pieces with their checksums are
        read."""
        self._follow(self._block(entry, start, stop), done, None)

    def block_at_hand(self, entry: IndexBlock, start: int, stop: int) -> memoryview | None:
        """The same, where it can be had at once and is whole."""
        segment, offset, length = entry.location
        try:
            file = self._segments.open_file(segment)
            if file is None:
                return None
            if length <= WHOLE_BYTES:
                data = file.read_cached(offset, length)
                return None if data is None else read_record(data, segment=segment, offset=offset)[2][start:stop]
            sums = self._sums.get((segment, offset))
            if sums is None:
                return None
            low, high = _pieces(entry, start, stop)
            data = file.read_cached(offset + entry.payload_at + low, high - low)
            if data is None:
                return None
            verify_payload(sums, data, start // CHECK_BYTES)
            return memoryview(data)[start - low : stop - low]
        except (OSError, DamageError):
            return None

    def _block(self, entry: IndexBlock, start: int, stop: int) -> _Steps[memoryview]:
        segment, offset, length = entry.location
        stop = min(stop, entry.payload_bytes)
        if length <= WHOLE_BYTES or stop - start > entry.payload_bytes // 2:
            data = yield entry.location
            _, _, payload = read_record(data, segment=segment, offset=offset)
            return payload[start:stop]
        sums, _ = yield from _front(entry.location, entry.payload_at)
        if len(self._sums) >= SUMS_MAX:
            del self._sums[next(iter(self._sums))]
        self._sums[segment, offset] = bytes(sums)
        low, high = _pieces(entry, start, stop)
        piece = yield Location(segment, offset + entry.payload_at + low, high - low)
        verify_payload(sums, piece, start // CHECK_BYTES)
        return memoryview(piece)[start - low : stop - low]

    async def meta(self, location: Location) -> memoryview:
        """A record's meta."""
        return (await self._await(_front(location)))[1]

    async def records(self, segment: int, offset: int, length: int) -> tuple[list[Found], int]:
        """Valid records of a log segment from `offset` on, about `length` bytes of them, and where to go on."""
        return await run_in(self.background, lambda: read_some(self._segments.file(segment), segment, offset, length))

    async def _await(self, steps: _Steps[T]) -> T:
        data: Buffer | None = None
        while True:
            try:
                place = next(steps) if data is None else steps.send(data)
            except StopIteration as end:
                read: T = end.value
                return read
            try:
                data = self._cached(place)
                if data is None:
                    data = await answer_within(self._worker(), partial(self._read, place), ANSWER_SECONDS)
            except OSError as error:
                raise _unreadable(place, error) from error

    def _follow(
        self, steps: _Steps[T], done: Callable[[T | None, DrystoneError | None], None], data: Buffer | None
    ) -> None:
        """Go on as far as the page cache has what is wanted, then by way of a worker."""
        while True:
            try:
                place = next(steps) if data is None else steps.send(data)
            except StopIteration as end:
                read, error = end.value, None
                break
            except DrystoneError as failure:
                read, error = None, failure
                break
            try:
                data = self._cached(place)
            except OSError as failure:
                read, error = None, _unreadable(place, failure)
                break
            if data is None:
                worker = self._worker()
                if worker.unanswered_s >= ANSWER_SECONDS:
                    read, error = None, BusyError(f"nothing was read for {worker.unanswered_s:.0f} s")
                    break
                worker.submit(partial(self._read, place), partial(self._have_read, steps, done, place))
                return
        done(read, error)

    def _have_read(
        self,
        steps: _Steps[T],
        done: Callable[[T | None, DrystoneError | None], None],
        place: Location,
        result: outcome.Maybe[bytes],
    ) -> None:
        if isinstance(result, outcome.Error):
            done(None, _unreadable(place, result.error))
        else:
            self._follow(steps, done, result.value)

    def _worker(self) -> WatchedWorker:
        self._count += 1
        return self._workers[self._count % WORKERS]

    def _cached(self, place: Location) -> Buffer | None:
        file = self._segments.open_file(place.segment)
        return file.read_cached(place.offset, place.length) if file is not None else None

    def _read(self, place: Location) -> bytes:
        return self._segments.file(place.segment).read(place.offset, place.length)


def _row(location: Location, *, payload: bool) -> _Steps[Row]:
    if not payload:
        return decode_meta((yield from _front(location))[1])
    data = yield location
    _, meta, body = read_record(data, segment=location.segment, offset=location.offset)
    return decode_meta(meta, body)


def _pieces(entry: IndexBlock, start: int, stop: int) -> tuple[int, int]:
    """The bytes [low, high) of a payload that have sums of their own, and [start, stop) in them."""
    low = start // CHECK_BYTES * CHECK_BYTES
    return low, min(-(-stop // CHECK_BYTES) * CHECK_BYTES, entry.payload_bytes)


def _front(location: Location, size: int = FRONT_BYTES) -> _Steps[tuple[memoryview, memoryview]]:
    """A record's sums and meta, which are likely to lie in its first `size` bytes."""
    segment, offset, length = location
    data = yield Location(segment, offset, min(length, size))
    header = parse_header(data, segment=segment, offset=offset)
    if header is None:
        raise DamageError(f"no record at {offset} in segment {segment:016x}")
    if front_bytes(header) > len(data):
        data = yield Location(segment, offset, min(length, front_bytes(header)))
    front = verify_front(header, data)
    if front is None:
        raise DamageError(f"record at {offset} in segment {segment:016x} fails its checksum")
    return front


def _unreadable(place: Location, error: BaseException) -> DamageError:
    return DamageError(f"reading segment {place.segment:016x} failed: {error!r}")
