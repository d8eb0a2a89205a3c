"""Verified reads of records whose place is known: at once where the page cache has them, else through a worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from store.core.errors import DamageError
from store.core.limits import CHECK_BYTES
from store.core.worker import WatchedWorker, answer_within, run_in
from store.device.block import IndexBlock
from store.device.record import front_bytes, parse_header, read_record, verify_front, verify_payload
from store.device.row import Location, Row, decode_meta
from store.engine.recovery import Found, read_some
from store.engine.segment import Segments

WORKERS = 2
ANSWER_SECONDS = 10.0
"""A disk that takes longer for a read hangs, as far as whoever asks is concerned: there are other replicas."""
FRONT_BYTES = 1024
"""Read first when only a record's front is wanted; nearly all fit."""


class Reads:
    """Reads of one device. All raise DamageError for what is not as it was written, or cannot be read, and BusyError
    where the disk does not answer."""

    def __init__(self, worker: Callable[[str], WatchedWorker], segments: Segments) -> None:
        self._segments = segments
        self._workers = [worker(f"read-{number}") for number in range(WORKERS)]
        self._count = 0

    @property
    def background(self) -> WatchedWorker:
        """For what nobody waits for: it shares a thread with reads, not with writes."""
        return self._workers[-1]

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    async def row(self, location: Location, *, payload: bool) -> Row:
        """A row's record; without its payload nearly always in one small read."""
        segment, offset, length = location
        if not payload:
            return decode_meta((await self._front(location))[1])
        data = await self._bytes(segment, offset, length)
        _, meta, body = read_record(data, segment=segment, offset=offset)
        return decode_meta(meta, body)

    async def block(self, entry: IndexBlock, start: int, stop: int) -> memoryview:
        """Bytes [start, stop) of a block's payload. Of a small part only the pieces with their checksums are read."""
        segment, offset, length = entry.location
        stop = min(stop, entry.payload_bytes)
        if stop - start > entry.payload_bytes // 2:
            data = await self._bytes(segment, offset, length)
            _, _, payload = read_record(data, segment=segment, offset=offset)
            return payload[start:stop]
        sums, _ = await self._front(entry.location, entry.payload_at)
        first = start // CHECK_BYTES
        low = first * CHECK_BYTES
        high = min(-(-stop // CHECK_BYTES) * CHECK_BYTES, entry.payload_bytes)
        piece = await self._bytes(segment, offset + entry.payload_at + low, high - low)
        verify_payload(sums, piece, first)
        return memoryview(piece)[start - low : stop - low]

    async def meta(self, location: Location) -> memoryview:
        """A record's meta."""
        return (await self._front(location))[1]

    async def records(self, segment: int, offset: int, length: int) -> tuple[list[Found], int]:
        """Valid records of a log segment from `offset` on, about `length` bytes of them, and where to go on."""
        return await run_in(self.background, lambda: read_some(self._segments.file(segment), segment, offset, length))

    async def _front(self, location: Location, size: int = FRONT_BYTES) -> tuple[memoryview, memoryview]:
        """A record's sums and meta, which are likely to lie in its first `size` bytes."""
        segment, offset, length = location
        data = await self._bytes(segment, offset, min(length, size))
        header = parse_header(data, segment=segment, offset=offset)
        if header is None:
            raise DamageError(f"no record at {offset} in segment {segment:016x}")
        if front_bytes(header) > len(data):
            data = await self._bytes(segment, offset, min(length, front_bytes(header)))
        front = verify_front(header, data)
        if front is None:
            raise DamageError(f"record at {offset} in segment {segment:016x} fails its checksum")
        return front

    async def _bytes(self, segment: int, offset: int, length: int) -> bytes:
        file = self._segments.open_file(segment)
        try:
            data = file.read_cached(offset, length) if file is not None else None
            if data is None:
                self._count += 1
                worker = self._workers[self._count % WORKERS]
                data = await answer_within(worker, partial(self._read, segment, offset, length), ANSWER_SECONDS)
        except OSError as error:
            raise DamageError(f"reading segment {segment:016x} failed: {error}") from error
        return data

    def _read(self, segment: int, offset: int, length: int) -> bytes:
        return self._segments.file(segment).read(offset, length)
