"""The bulk writer: data blocks into segments of their own, one sync for many megabytes.

A block is written as it comes and is durable with a later sync that covers everything before it: `sync` is what an
upload waits for at its end. Meanwhile a sync starts by itself whenever enough is unsynced, so that the last one is
short, and writers are held back while more than that is: the page cache must not fill with what the disk has yet to do.

Blocks are published (given to the index) only when they are durable. Unlike the log, bulk segments have no order that
matters: each block is complete or it is not, and no row names it before it is durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import outcome

from store.core.disk import File
from store.core.errors import DamageError, DeviceError, DrystoneError, FullError
from store.core.worker import Worker, call_all
from store.device.block import BlockKey, IndexBlock, index_key
from store.device.port import Done
from store.device.record import BULK_ALIGN, Buffer, Sealed, lay_out
from store.device.row import Location
from store.engine.committer import FULL_ERRNOS
from store.engine.segment import BULK_SEGMENT_BYTES, HEADER_BYTES, SegmentKind, Segments

SYNC_BYTES = 16 * 1024 * 1024
"""A sync starts by itself when so much is unsynced."""
UNSYNCED_BYTES_MAX = 64 * 1024 * 1024
"""Writers wait beyond this."""
BATCH_BYTES_MAX = 8 * 1024 * 1024


class Reflink(NamedTuple):
    """What a reference takes its payload from: a block, and where that lay when the reference was asked for. `lost` is
    called if nothing has that payload any more when the reference is durable: before any answer to a sync that covers
    it."""

    key: BlockKey
    entry: IndexBlock
    lost: Done


class Written(NamedTuple):
    """A block with its place. Number n is the n-th that was submitted."""

    number: int
    key: BlockKey
    entry: IndexBlock
    reflink: Reflink | None


class _Block(NamedTuple):
    key: BlockKey
    sealed: Sealed
    done: Done
    cached: bool
    reflink: Reflink | None

    def at(self, number: int, own: Location, payload_at: int) -> Written:
        if self.reflink is None:
            return Written(number, self.key, IndexBlock(own, payload_at, self.sealed.payload_bytes), None)
        return Written(number, self.key, self.reflink.entry._replace(reference=own), self.reflink)


class BulkWriter:
    """Writes one device's data blocks. All methods are called on the event loop."""

    def __init__(
        self,
        segments: Segments,
        write_worker: Worker,
        sync_worker: Worker,
        next_segment: Callable[[], int],
        on_durable: Callable[[Written], None],
        on_failed: Callable[[DrystoneError], object],
        touch: Callable[[Iterable[bytes]], None],
    ) -> None:
        """`touch` has keys of the index in memory, before blocks are published. It blocks."""
        self._segments = segments
        self._write_worker = write_worker
        self._sync_worker = sync_worker
        self._next_segment = next_segment
        self._on_durable = on_durable
        self._on_failed = on_failed
        self._touch = touch
        self._queue: deque[_Block] = deque()
        self._writing = False
        self._syncing = False
        self._in_write: list[_Block] = []
        self._in_sync: list[Written] = []
        self._file: File | None = None
        self.segment = 0
        self._offset = 0
        self._submitted = 0
        self._written = 0
        self._synced = 0
        self._unsynced: list[Written] = []
        self._unsynced_bytes = 0
        self._dirty: dict[int, File] = {}
        self._held: list[Done] = []
        self._waiters: list[tuple[int, Done]] = []
        self._abandoned: dict[int, DrystoneError] = {}
        """Segments in which a write or sync failed, and how."""
        self._failures = 0
        self._failed: DrystoneError | None = None
        self.position = (0, 0)
        """(segment, offset) up to which all blocks are durable and published."""
        self.losses = 0
        """How often written blocks were lost to a failed write or sync: see `sync`."""
        self.syncs = 0

    def submit(
        self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, reflink: Reflink | None = None
    ) -> None:
        """Write a block, or a reference to what it is to `reflink`; `done` is called when it is written and the next
        may come. Not durable before a sync. What is not to be `cached` goes around the page cache."""
        if self._failed is not None:
            raise self._failed
        self._submitted += 1
        self._queue.append(_Block(key, sealed, done, cached, reflink))
        self._kick()

    def sync(self, losses: int, done: Done) -> None:
        """Call `done` when all blocks submitted so far are durable and published, or cannot be.

        `losses` is what `self.losses` was before the caller's first block: if it has grown since, a block whose
        write was answered may be among the lost, and the answer is an error.
        """
        if self._failed is not None:
            raise self._failed
        if losses != self.losses:
            done(DeviceError("blocks written before were lost to a failed sync"))
            return
        if self._synced >= self._submitted:
            done(None)
            return
        self._waiters.append((self._submitted, done))
        self._kick()

    @property
    def idle(self) -> bool:
        return not (self._queue or self._writing or self._syncing or self._unsynced)

    def completed(self, submitted: int) -> bool:
        """Whether every block of the first `submitted` is published or failed, and `position` is behind it."""
        return self._synced >= submitted

    @property
    def submitted(self) -> int:
        return self._submitted

    def under_way(self, data_id: bytes) -> bool:
        """Whether blocks of these data are neither published nor lost yet."""
        parts: tuple[Iterable[_Block | Written], ...] = (self._queue, self._in_write, self._unsynced, self._in_sync)
        return any(block.key.data_id == data_id for part in parts for block in part)

    def has_lost_behind(self, position: tuple[int, int]) -> bool:
        """Whether a block that counts as lost may lie, whole, behind a position: a start would find it there."""
        return any(segment >= position[0] for segment in self._abandoned)

    def _kick(self) -> None:
        if self._queue and not self._writing:
            self._write()
        wanted = any(target <= self._written for target, _ in self._waiters)
        if not self._syncing and self._unsynced and (wanted or self._unsynced_bytes >= SYNC_BYTES):
            self._sync()

    def _write(self) -> None:
        self._writing = True
        if self._file is None or self._offset >= BULK_SEGMENT_BYTES:
            segment = self._next_segment()
            self._write_worker.submit(
                lambda: self._segments.create(SegmentKind.BULK, segment, None),
                lambda result: self._rolled(result, segment),
            )
            return
        file, segment, start, offset = self._file, self.segment, self._offset, self._offset
        buffers: list[Buffer] = []
        batch: list[tuple[_Block, Written]] = []
        cached = self._queue[0].cached
        while (
            self._queue
            and self._queue[0].cached == cached
            and offset - start < BATCH_BYTES_MAX
            and offset < BULK_SEGMENT_BYTES
        ):
            block = self._queue.popleft()
            number = self._written + len(batch) + 1
            parts, length, payload_at = lay_out(
                block.sealed, seq=number, durable=self._synced, segment=segment, offset=offset, align=BULK_ALIGN
            )
            buffers += parts
            batch.append((block, block.at(number, Location(segment, offset, length), payload_at)))
            offset += length
        self._in_write = [block for block, _ in batch]
        self._offset = offset
        self._write_worker.submit(
            lambda: file.write(start, buffers, cached=cached),
            lambda result: self._wrote(result, file, segment, batch),
        )

    def _rolled(self, result: outcome.Maybe[File], segment: int) -> None:
        self._writing = False
        if isinstance(result, outcome.Error):
            waiting, self._queue = list(self._queue), deque()
            self._written += len(waiting)
            self._poisoned(result.error, [block.done for block in waiting])
            return
        self._segments.added(segment, SegmentKind.BULK, result.value)
        self._file = result.value
        self.segment = segment
        self._offset = HEADER_BYTES
        self._kick()

    def _wrote(
        self, result: outcome.Maybe[None], file: File, segment: int, batch: list[tuple[_Block, Written]]
    ) -> None:
        self._writing = False
        self._in_write = []
        self._written += len(batch)
        if isinstance(result, outcome.Error):
            self._poisoned(result.error, [block.done for block, _ in batch])
            return
        if segment in self._abandoned:
            self._pass_over()
            finished = self._take_finished()
            self._kick()
            failed = [partial(block.done, self._abandoned[segment]) for block, _ in batch]
            call_all([*failed, *(partial(done, None) for done in finished)])
            return
        self._dirty[segment] = file
        for _, written in batch:
            self._unsynced.append(written)
            self._unsynced_bytes += written.entry.own.length
        answers = [block.done for block, _ in batch]
        if self._unsynced_bytes > UNSYNCED_BYTES_MAX:
            self._held += answers
            answers = []
        self._kick()
        call_all(partial(done, None) for done in answers)

    def _sync(self) -> None:
        self._syncing = True
        target, blocks, size = self._written, self._unsynced, self._unsynced_bytes
        files = list(self._dirty.values())
        self._dirty = {}
        self._unsynced = []
        self._in_sync = blocks
        last = blocks[-1].entry.own
        position = (last.segment, last.offset + last.length)

        def sync() -> None:
            for file in files:
                file.sync()
            with suppress(DamageError):  # an index that is corrupt is no news of these files, and is told by itself
                self._touch(index_key(written.key) for written in blocks)

        self._sync_worker.submit(sync, lambda result: self._did_sync(result, target, blocks, size, position))

    def _did_sync(
        self,
        result: outcome.Maybe[None],
        target: int,
        blocks: list[Written],
        size: int,
        position: tuple[int, int],
    ) -> None:
        self._syncing = False
        self._in_sync = []
        self._unsynced_bytes = max(0, self._unsynced_bytes - size)
        if isinstance(result, outcome.Error):
            self._poisoned(result.error, [])
            return
        self._failures = 0
        self.syncs += 1
        self._synced = max(self._synced, target)
        self.position = max(self.position, position)
        for written in blocks:
            self._on_durable(written)
        self._pass_over()
        held, self._held = self._held, []
        finished = self._take_finished()
        self._kick()
        call_all(partial(done, None) for done in held + finished)

    def _take_finished(self) -> list[Done]:
        """Whose wait is over: also where nothing is left to be synced, since what they would wait for was lost before
        they asked."""
        finished = [done for at, done in self._waiters if at <= self._synced]
        self._waiters = [(at, done) for at, done in self._waiters if at > self._synced]
        return finished

    def _pass_over(self) -> None:
        """What an abandoned segment still holds was never acknowledged, and no start is to take it for blocks."""
        if not (self._syncing or self._unsynced):
            self._synced = self._written
            if self._abandoned:
                self.position = max(self.position, (max(self._abandoned) + 1, 0))

    def _poisoned(self, reason: BaseException, waiting: list[Done]) -> None:
        """Fail everything that is not durable, since one sync covers it all; begin a new segment for what follows."""
        self.losses += 1
        self._file = None
        self._dirty = {}
        self._unsynced = []
        self._unsynced_bytes = 0
        error: DrystoneError
        if isinstance(reason, OSError) and reason.errno in FULL_ERRNOS:
            error = FullError(f"no room for data: {reason}")
        else:
            error = DeviceError(f"writing data failed: {reason!r}")
            self._failures += 1
        self._abandoned[self.segment] = error
        self._pass_over()
        waiting = waiting + self._held + [done for _, done in self._waiters]
        self._held = []
        self._waiters = []
        if self._failures >= 2:
            self._failed = error
            waiting += [block.done for block in self._queue]
            self._queue.clear()
            self._on_failed(error)
        self._kick()
        call_all(partial(done, error) for done in waiting)
