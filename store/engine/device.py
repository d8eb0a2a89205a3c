"""A device: one folder, one owner; rows and data blocks in, verified rows and data blocks out.

This is the whole of the engine to those above, and the signature that a device of another process will have too:
`submit_*` hand something over and call back, so that one caller can write to many devices and wait once; the rest is
awaited. Everything here runs on the event loop; what blocks goes to the device's workers.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

import outcome
import structlog
import trio

from store.core.disk import Disk
from store.core.entropy import Random, SystemRandom
from store.core.errors import (
    BusyError,
    DamageError,
    DeviceError,
    DrystoneError,
    FullError,
    ReplacedError,
    StaleEpochError,
)
from store.core.wait_group import WaitGroup
from store.core.worker import WatchedWorker, run_in
from store.device.block import BlockKey, IndexBlock, data_prefix, encode_reference
from store.device.block import decode_meta as decode_block
from store.device.block import index_key as block_key
from store.device.port import Done, FindReply, Garbage, ListReply, LoadReply, ReadReply, RowReply, RowWrite, UsageReply
from store.device.record import Kind, Sealed, seal
from store.device.row import (
    STAMP_BYTES,
    Flag,
    IndexRow,
    Location,
    Row,
    RowKey,
    index_key,
    shard_prefix,
    value_of,
)
from store.engine.block_table import BlockTable
from store.engine.bulk import BulkWriter, Reflink, Written
from store.engine.committer import FULL_ERRNOS, Committer, PreviousSegment, encode_previous
from store.engine.compaction import compact
from store.engine.flush import Flusher
from store.engine.hint_table import HintTable, hints_for
from store.engine.index import Index
from store.engine.lookups import LookUps
from store.engine.merged_index import MergedIndex
from store.engine.reads import ANSWER_SECONDS, Reads
from store.engine.recovery import Found, Tail, read_bulk, read_log
from store.engine.row_table import RowTable, expiries, shard_range, touched_by
from store.engine.segment import FOLDER, LOG_SEGMENT_BYTES, SPARES_MAX, SegmentKind, Segments
from store.engine.segment_usage import SegmentUsage
from store.engine.superblock import INCARNATION_BYTES, Superblock, read_superblock, write_superblock
from store.engine.usage import usage_key

log = structlog.get_logger()

FLUSH_SECONDS = 1.0
"""How long the index may lag behind the log: bounds what a start reads again."""
FLUSH_CHANGES = 20_000
"""The index is written sooner when so much has changed."""
CHANGES_MAX = 10 * FLUSH_CHANGES
"""Bounds the memory table: beyond it writers wait until the index has taken some in, and who does not is refused."""
FULL_COMPACT_BELOW = 0.9
"""On a full device even a little garbage is worth copying a segment for."""
ROOM_LOOKS = 32
"""The file system is asked whether there is room once in so many times that somebody wants to know."""
_ALL = 1 << 30
_REPLAY_CHANGES = 50_000
_REPLAY_SLICE = 100
"""Records that a start takes in between two turns of the loop."""
ROOM_BYTES_MIN = 64 * 1024 * 1024
"""With less than this for data a new device would be full as soon as it is used."""
_openings = itertools.count()
T = TypeVar("T")


@dataclass
class Options:
    """What tests and small disks change. `reserve_bytes` is kept free for deletes, compaction, and rows that some
    replicas have and others not."""

    log_bytes: int = LOG_SEGMENT_BYTES
    reserve_bytes: int = 128 * 1024 * 1024
    compact_below: float = 0.5
    flush_seconds: float = FLUSH_SECONDS
    spares: int = SPARES_MAX

    @property
    def log_bytes_min(self) -> int:
        """What log segments take however little is stored: the current one, the next, and spares."""
        return (2 + self.spares) * self.log_bytes

    @property
    def disk_bytes_min(self) -> int:
        """The free space that a file system must have for a device to be made there."""
        return self.reserve_bytes + self.log_bytes_min + ROOM_BYTES_MIN


@dataclass
class Health:
    """What is wrong with a device: `damage` counts verified damage by what was found, `failed` takes it out."""

    damage: list[str] = field(default_factory=list)
    damages: int = 0
    failed: DrystoneError | None = None
    broken_index: bool = False
    """The index itself is corrupt: the next start must rebuild it from the log."""


class Device:
    """One open device. Use `open_device`."""

    def __init__(self, number: int, disk: Disk, index: Index, superblock: Superblock, options: Options) -> None:
        self.id = number
        self.in_sync = superblock.in_sync
        self.incarnation = superblock.incarnation
        self.enforced = superblock.enforced
        """The epoch of the ring below which this device refuses requests, durably."""
        self.health = Health()
        self.on_damage: Callable[[bytes], None] | None = None
        """Called with the index key of a row or block that was found damaged."""
        self.on_flush: Callable[[], None] | None = None
        """Called before the index is written: what others have not answered yet is to be noted in the same step."""
        self.on_in_sync: Callable[[], None] | None = None
        """Called when it has come to be in sync, or no longer is."""
        self._opening = next(_openings) << 32
        self._superblock = superblock
        self._disk = disk
        self._index = index
        index.watch(self._index_broken)
        self._options = options
        self.segments = Segments(disk, number, options.log_bytes)
        self.merged_index = MergedIndex(index)
        self.segment_usage = SegmentUsage(self.merged_index)
        self.row_table = RowTable(self.merged_index, self.segment_usage, self.report_damage)
        self.blocks = BlockTable(self.merged_index, self.segment_usage, self.report_damage)
        self._hints = HintTable(self.merged_index)
        self._log_worker = self._worker("log")
        self._bulk_worker = self._worker("bulk")
        self._bulk_sync_worker = self._worker("bulk-sync")
        self._index_worker = self._worker("index")
        self._lookups = LookUps(index, self._worker("look-up"))
        self.reads = Reads(self._worker, self.segments)
        self._committer: Committer
        self._bulk = BulkWriter(
            self.segments,
            self._bulk_worker,
            self._bulk_sync_worker,
            self.segments.take_id,
            self._block_durable,
            self._fail,
            self._lookups.touch,
        )
        self._flusher = Flusher(
            self.merged_index,
            self.segment_usage,
            self.row_table,
            self.blocks,
            self.segments,
            self._bulk,
            self._index_worker,
        )
        self._wake = trio.Event()
        self._crowded = trio.Event()
        self._making_spare = False
        self._token = trio.lowlevel.current_trio_token()
        self._full = False
        self._checked_free = 0
        self.stuck: dict[int, int] = {}
        """Live bytes of segments when they were last compacted."""
        self.closed = False
        """Whether it was closed with everything durable and in the index."""
        self.crowded = False
        """Whether the index is so far behind that writers should wait."""

    def _worker(self, name: str) -> WatchedWorker:
        return WatchedWorker(self._disk.worker(name), self._raised)

    def _raised(self, error: Exception) -> DrystoneError:
        """Something went wrong where nobody waits, and what this device has in memory may not be what its log says."""
        log.error("an answer of a worker was not taken in", device=self.id, exc_info=error)
        return self._fail(DeviceError(f"internal error: {error!r}"))

    # -- opening and closing -------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Read what the log holds beyond the index into the row table."""
        for start, stop in ((b"f", b"g"), (b"h", b"i"), (b"m", b"n"), (b"s", b"t")):
            await run_in(self._index_worker, partial(self._index.range, start, stop, _ALL))
        self.segment_usage.load()
        self.row_table.load()
        applied = self.merged_index.position(b"log")
        position = self.merged_index.position(b"bulk")
        (stored_next,) = self.merged_index.position(b"next") or (1,)
        self.segments.next_id = max([stored_next, *(segment + 1 for segment in self.segments.kinds)])
        tail = Tail(PreviousSegment(0, 0, 0))
        rows = read_log(self.segments, applied, tail)
        # A new device's index is written before its first segment is made.
        lost_index = self.merged_index.position(b"next") is None and bool(self.segments.kinds)
        while True:
            batch = await run_in(self._index_worker, lambda: _take(rows, 2000))
            for number, (row, location) in enumerate(batch, 1):
                if number % _REPLAY_SLICE == 0:
                    await trio.lowlevel.checkpoint()  # others may be served, where it is one device that is back
                packed = index_key(row.key)
                try:
                    self.row_table.apply(packed, row, value_of(row), location)
                except DamageError as error:
                    # Whether a guard would have kept it out cannot be told: its other replicas know.
                    tail.damage.append(f"row {packed.hex()} not replayed: {error}")
                if not lost_index:
                    self.row_table.note_in_doubt(packed)
            if len(batch) < 2000:
                break
            if self.merged_index.dirty > _REPLAY_CHANGES:
                if tail.damage and self.in_sync:
                    await self.set_in_sync(in_sync=False)
                self.merged_index.set_position(b"log", (tail.before.segment, tail.before.end, tail.before.seq))
                await self._flusher.write_index()
        blocks = await run_in(self._index_worker, lambda: list(read_bulk(self.segments, position)))
        for number, block in enumerate(blocks, 1):
            if number % _REPLAY_SLICE == 0:
                await trio.lowlevel.checkpoint()
            self.blocks.add(*block)
        for line in tail.damage:
            self.report_damage(b"", line)
        if tail.damage or lost_index:
            # What the index alone knew (which tombstones are forgotten) or what the log said is lost.
            await self.set_in_sync(in_sync=False)
        self._committer = Committer(
            self.segments,
            self._log_worker,
            self.segments.take_id,
            tail.before,
            self._fail,
            self._rolled,
            self._lookups.touch,
        )
        # All that there is has been read: it must not be read again once rows and blocks are forgotten or dropped.
        self._bulk.position = (self.segments.next_id, 0)
        self._flusher.log = self._committer
        self._flusher.mark_applied()
        await self._trim(tail.before)
        await self._flusher.write_all()

    async def _trim(self, before: PreviousSegment) -> None:
        """Give back what was written ahead but never used in the segment that the crash ended."""
        if before.segment in self.segments.kinds:
            file = self.segments.file(before.segment)
            end = before.end + -before.end % 4096
            if end < self._options.log_bytes:
                await run_in(self._log_worker, lambda: file.punch(end, self._options.log_bytes - end))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the index close behind the log, until cancelled. Sleeps while nothing is written."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._lookups.run)
            task_status.started()
            await self._follow_log()

    async def _follow_log(self) -> None:
        while True:
            await self._wake.wait()
            with trio.move_on_after(self._options.flush_seconds):
                await self._crowded.wait()
            self._wake = trio.Event()
            self._crowded = trio.Event()
            await self.row_table.recount()
            written = await self._try(self.flush, "index not written")
            # Also where the index could not be written: what is compacted may be what makes room for it.
            below = self._options.compact_below if not self.full else FULL_COMPACT_BELOW
            compacted = await self._try(partial(compact, self, below), "log not compacted")
            if not (written and compacted):
                await trio.sleep(self._options.flush_seconds)
                self._wake.set()

    async def _try(self, work: Callable[[], Awaitable[object]], trouble: str) -> bool:
        """Do what is to be done again if it cannot be done now. A disk that fails takes the device out."""
        try:
            await work()
        except DrystoneError as error:
            log.warning(trouble, device=self.id, error=str(error))
            return False
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                self._fail(DeviceError(f"{trouble}: {error}"))
            log.warning(trouble, device=self.id, error=str(error))
            return False
        return True

    async def close(self) -> None:
        """Make everything durable, write the index, stop the workers."""
        if self.health.failed is None and not self._bulk.idle:
            await self.sync_data(self.data_losses)
        if self.health.failed is None and not self._committer.idle:
            await self.drain()
        if self.health.failed is None:
            await self.flush()
            self.closed = self.health.failed is None
        self.stop_workers()
        self.release()

    def stop_workers(self) -> None:
        """Blocks until what they are at has come to its end, which on a disk that hangs may be never: of a device that
        is out this may be called in any thread."""
        for worker in (self._log_worker, self._bulk_worker, self._bulk_sync_worker, self._index_worker):
            worker.close()
        self._lookups.close()
        self.reads.close()

    def release(self) -> None:
        """Let go of the index. What is asked of it from now on is an error, but no news about its state."""
        self._index.watch(lambda _damage: None)
        self._index.close()

    async def drain(self) -> None:
        """Wait for all that is queued in the log, by way of one more record behind it. Raises as `submit_row`."""
        self._check_alive()
        finished = trio.Event()
        self._committer.submit(encode_previous(PreviousSegment(0, 0, 0)), lambda _location, _error: finished.set())
        await finished.wait()

    # -- rows ----------------------------------------------------------------------------------------------------

    async def wait_for_index(self) -> None:
        """Wait until this device is not `crowded` any more, or is out."""
        while self.merged_index.unwritten >= CHANGES_MAX and self.health.failed is None:
            await self._flusher.written.wait()
        self.crowded = False

    def submit_row(self, write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
        """Append a row to the log; `reply` is called when it is durable and in the row table.

        Raises DeviceError where the device is out, StaleEpochError where the ring has moved on, BusyError where too
        much is queued; and FullError where there is no room (tombstones and abort records still go in), unless it may
        use the `reserve`, as whoever brings what other replicas have already.
        """
        self._check_epoch(write.epoch)
        if not reserve:
            if self.crowded:
                raise BusyError(f"the index of device {self.id} is {CHANGES_MAX:,} changes behind its log")
            if not write.row.flags & (Flag.TOMBSTONE | Flag.ABORT):
                self._check_room(every=2 * ROOM_LOOKS)  # who writes to several devices looks sooner, before the first

        def published(location: Location | None, error: DrystoneError | None) -> None:
            if location is None or self.health.failed is not None:
                reply(None, error or self.health.failed)
                return
            try:
                applied = self.row_table.apply(write.packed_key, write.row, write.value, location)
            except DrystoneError as damage:
                reply(None, damage)
                return
            except Exception as error:
                reply(None, self._raised(error))
                return
            self._changed()
            reply(applied, None)

        touched: tuple[bytes, ...] = ()
        if self.cold:
            touched = touched_by(write.packed_key, write.row)
            self._lookups.look()  # else, where all write and nobody reads, it would be taken to be cold for ever
        self._committer.submit(write.sealed, published, touched)

    async def find_row(self, packed_key: bytes) -> IndexRow | None:
        """What the index knows of a row. Raises DamageError where its entry is damaged: that is no absence."""
        self._check_alive()
        if not self._lookups.in_memory:
            await self._lookups.fetch(packed_key)
            self._check_alive()
        return self.row_table.row(packed_key)

    async def find_stamp(self, packed_key: bytes) -> bytes | None:
        """The version of a row, packed, or None where there is none: what a second replica is asked. Raises as
        `find_row`."""
        self._check_alive()
        if not self._lookups.in_memory:
            await self._lookups.fetch(packed_key)
            self._check_alive()
        value = self.row_table.row_value(packed_key)
        return None if value is None else value[:STAMP_BYTES]

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        """Look a row up for a quorum: at once where the index lies in memory."""
        self._check_epoch(epoch)
        if self._lookups.in_memory:
            self._answer(packed_key, reply, None)
        else:
            self._lookups.submit(packed_key, partial(self._answer, packed_key, reply))

    def _answer(self, packed_key: bytes, reply: FindReply, error: DrystoneError | None) -> None:
        """Its entry is in memory now, or cannot be had."""
        value = None
        error = self.health.failed or error
        if error is None:
            try:
                value = self.row_table.row_value(packed_key)
            except DrystoneError as damage:
                error = damage
        reply(self.id, value, error)

    async def load_row(self, packed_key: bytes, row: IndexRow, *, payload: bool) -> Row:
        """The whole row (its payload only if asked for), verified. Raises DamageError, and reports it; ReplacedError
        where the row has changed since `row` was looked up and its old record is no more."""
        return await self._answer_of(partial(self.submit_load, packed_key, row, payload=payload))

    def submit_load(self, packed_key: bytes, row: IndexRow, reply: LoadReply, *, payload: bool) -> None:
        """The same: at once where the page cache has it."""
        self._check_alive()
        loaded = partial(self._loaded, packed_key, row, row.location, payload, reply)
        self.reads.submit_row(row.location, loaded, payload=payload)

    def _loaded(
        self,
        packed_key: bytes,
        row: IndexRow,
        location: Location,
        payload: bool,
        reply: LoadReply,
        whole: Row | None,
        error: DrystoneError | None,
    ) -> None:
        if isinstance(error, DamageError):
            # Compaction may have moved it since the index was read: then look again.
            self._have(packed_key, partial(self._load_again, packed_key, row, location, payload, reply, error))
        else:
            reply(self.id, whole, error)

    def _load_again(
        self,
        packed_key: bytes,
        row: IndexRow,
        location: Location,
        payload: bool,
        reply: LoadReply,
        damage: DamageError,
        error: DrystoneError | None,
    ) -> None:
        try:
            if error is not None:
                raise error
            now = self.row_table.row(packed_key)
            if now is None or now.stamp != row.stamp:
                raise ReplacedError("the row changed while it was read") from damage
            if now.location == location:
                self.report_damage(packed_key, str(damage))
                raise damage
        except DrystoneError as failure:
            reply(self.id, None, failure)
        else:
            loaded = partial(self._loaded, packed_key, row, now.location, payload, reply)
            self.reads.submit_row(now.location, loaded, payload=payload)

    async def _answer_of(self, submit: Callable[[Callable[[int, T | None, DrystoneError | None], None]], None]) -> T:
        """Wait for an answer, but no longer than a disk takes that does not hang."""
        answered = trio.Event()
        answers: list[tuple[T | None, DrystoneError | None]] = []

        def reply(_device: int, answer: T | None, error: DrystoneError | None) -> None:
            answers.append((answer, error))
            answered.set()

        submit(reply)
        if not answers:
            with trio.move_on_after(ANSWER_SECONDS):
                await answered.wait()
        if not answers:
            raise BusyError(f"device {self.id} has not answered within {ANSWER_SECONDS:.0f} s")
        answer, error = answers[0]
        if error is not None:
            raise error
        return cast("T", answer)

    def _have(self, key: bytes, done: Done) -> None:
        """Have what the index knows of a key in memory, before it is read on the loop."""
        self._fetched(lambda fetched: self._lookups.submit(key, fetched), done)

    def _fetched(self, fetch: Callable[[Done], None], done: Done) -> None:
        if self._lookups.in_memory:
            done(self.health.failed)
            return
        try:
            fetch(lambda error: done(self.health.failed or error))
        except BusyError as error:
            done(error)

    def _reply(
        self,
        look: Callable[[], T],
        reply: Callable[[int, T | None, DrystoneError | None], None],
        error: DrystoneError | None,
    ) -> None:
        """What is to be looked up is in memory now, or cannot be had."""
        answer = None
        if error is None:
            try:
                answer = look()
            except DrystoneError as damage:
                error = damage
        reply(self.id, answer, error)

    async def list_rows(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        *,
        epoch: int,
        reverse: bool = False,
        verified: bool = True,
    ) -> list[tuple[bytes, bytes]]:
        """(packed key, index value) of up to `limit` rows of a shard with start <= name < stop, tombstones too, in the
        order of names. Verified but not decoded: what two replicas have alike is decoded once.

        Raises DamageError where one of them is damaged: a page must not leave out what it cannot tell.
        """
        span = (ring_hash, table, shard, start, stop, limit)
        return await self._answer_of(
            lambda reply: self.submit_list(*span, reply, epoch=epoch, reverse=reverse, verified=verified)
        )

    def submit_list(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        reply: ListReply,
        *,
        epoch: int,
        reverse: bool = False,
        verified: bool = True,
    ) -> None:
        """The same for a quorum: at once where the index lies in memory."""
        self._check_epoch(epoch)
        span = shard_range(ring_hash, table, shard, start, stop)
        look = partial(
            self.row_table.shard_entries,
            ring_hash,
            table,
            shard,
            start,
            stop,
            limit,
            reverse=reverse,
            verified=verified,
        )
        self._fetched(
            lambda fetched: self._lookups.submit_range(*span, limit + 1, fetched, reverse=reverse),
            partial(self._reply, look, reply),
        )

    async def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        """(packed key, row) of all shards behind a packed key, and the key to go on behind (empty at the end)."""
        await self._have_range(after, b"s", limit)
        return self.row_table.walk_rows(after, limit)

    async def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        """The same of packed keys alone, those of damaged entries too."""
        await self._have_range(after, b"s", limit)
        return self.row_table.walk_keys(after, limit)

    async def usage(self, ring_hash: int, table: bytes, shard: int, *, epoch: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a shard's live rows."""
        return await self._answer_of(lambda reply: self.submit_usage(ring_hash, table, shard, reply, epoch=epoch))

    def submit_usage(self, ring_hash: int, table: bytes, shard: int, reply: UsageReply, *, epoch: int) -> None:
        """The same for a quorum: at once where the index lies in memory."""
        self._check_epoch(epoch)
        look = partial(self.row_table.usage, ring_hash, table, shard)
        self._have(usage_key(shard_prefix(ring_hash, table, shard)), partial(self._reply, look, reply))

    async def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        """(expires, packed key) of rows that expire before a time in seconds, soonest first; behind `after`."""
        await self._have_range(*expiries(before, after), limit)
        return self.row_table.expired(before, limit, after)

    def forget_expiry(self, expires: int, packed_key: bytes) -> None:
        """No row of this key expires then."""
        self.row_table.forget_expiry(expires, packed_key)
        self._changed()

    async def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        """Displaced data behind the data id `after` that are not confirmed as dropped."""
        await self._have_range(b"g" + after, b"h", limit)
        return self.row_table.garbage(after, limit)

    async def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(packed key, stamp) of tombstones behind the packed key `after`."""
        await self._have_range(b"t" + after, b"u", limit)
        return self.row_table.tombstones(after, limit)

    def retire_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        """Forget a tombstone that every replica has, if it is still this version. Until it is released nothing older is
        taken in its place."""
        if self.row_table.retire(packed_key, stamp):
            self._changed()

    async def retired_tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(packed key, stamp) behind the packed key `after` of tombstones that are retired and not released."""
        await self._have_range(b"f" + after, b"g", limit)
        return self.row_table.retired(after, limit)

    async def retired_stamp(self, packed_key: bytes) -> bytes | None:
        """The version of this key's tombstone that is retired here and not released."""
        return self.row_table.retired_stamp(packed_key)

    def release_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        """Every replica has retired this tombstone, durably."""
        self.row_table.release(packed_key, stamp)
        self._changed()

    async def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(data id, the intent's packed key) behind the data id `after`, of uploads that were neither committed nor
        given up for good."""
        await self._have_range(b"u" + after, b"v", limit)
        return self.row_table.uploads(after, limit)

    async def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        """Packed keys behind `after` of rows that the log held behind the index when the device was opened: other
        replicas may not have them."""
        await self._have_range(b"q" + after, b"r", limit)
        return self.row_table.in_doubt(after, limit)

    def forget_in_doubt(self, packed_key: bytes) -> None:
        """All replicas of a row were asked."""
        self.row_table.forget_in_doubt(packed_key)
        self._changed()

    def forget_garbage(self, data_id: bytes) -> None:
        """Displaced data were dropped everywhere."""
        self.row_table.forget_garbage(data_id)
        self._changed()

    # -- hints: what other devices lack --------------------------------------------------------------------------

    def note_hint(self, device: int, key: bytes, noted_us: int) -> None:
        """Keep in mind that another device lacks what this index key names."""
        self._hints.note(device, key, noted_us)
        self._changed()

    async def hints(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        """(index key, when it was noted) of what another device lacks, behind the key `after`."""
        await self._have_range(*hints_for(device, after), limit)
        return self._hints.page(device, after, limit)

    def forget_hint(self, device: int, key: bytes, noted_us: int) -> None:
        """Another device has what it lacked at that time."""
        self._hints.forget(device, key, noted_us)
        self._changed()

    async def hinted(self) -> list[int]:
        """The devices that this one keeps hints for."""
        await self._have_range(b"w", b"x", 1)
        return self._hints.devices()

    def forget_row(self, packed_key: bytes, stamp: bytes) -> None:
        """Remove a tombstone or intent that every replica has, if it is still this version."""
        if self.row_table.forget(packed_key, stamp):
            self._changed()

    async def discard_row(self, packed_key: bytes) -> None:
        """Remove a row that this device should not have, whatever it is, even if its entry is damaged."""
        try:
            stamp = await self.find_stamp(packed_key)
        except DamageError:
            self.row_table.discard(packed_key)
            self._changed()
        else:
            if stamp is not None:
                self.forget_row(packed_key, stamp)

    # -- data ----------------------------------------------------------------------------------------------------

    @property
    def data_losses(self) -> int:
        """To be read before the first block of an upload, and handed to `submit_sync`. What was read of a device that
        has been opened anew since counts as a loss."""
        return self._opening + self._bulk.losses

    def submit_block(self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False) -> None:
        """Write a block; `done` is called when the next may come. It is durable with the next sync. Raises as rows.
        `cached` leaves it in memory for those who read it soon."""
        if self.health.failed is not None:
            raise self.health.failed
        self._check_room()
        self._bulk.submit(key, sealed, done, cached=cached)

    def submit_reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        """Make a block of another block's payload, which is not written again; else as `submit_block`. The source must
        not be dropped before this is durable; if that, or its being written anew, leaves nothing to share, `lost` is
        called before the sync is answered. Raises DamageError where the source is not here."""
        if self.health.failed is not None:
            raise self.health.failed
        self._check_room()
        entry = self._block(source)
        self.blocks.references(entry.location)  # where that is damaged, no reference would be taken
        sealed = seal(Kind.REFERENCE, encode_reference(key, owner, entry))
        self._bulk.submit(key, sealed, done, reflink=Reflink(source, entry, lost))

    async def write_block(self, key: BlockKey, sealed: Sealed) -> None:
        """Write a block and wait until the next may come: for those who write one after the other."""
        waiting = WaitGroup()
        waiting.add()
        self.submit_block(key, sealed, waiting.done)
        await waiting.wait()

    def submit_sync(self, losses: int, done: Done) -> None:
        """Call `done` when all blocks submitted before are durable."""
        if self.health.failed is not None:
            raise self.health.failed
        self._bulk.sync(losses - self._opening, lambda error: done(error or self.health.failed))

    async def sync_data(self, losses: int) -> None:
        """Wait until all blocks submitted before are durable."""
        finished = trio.Event()
        answer: list[DrystoneError | None] = []

        def done(error: DrystoneError | None) -> None:
            answer.append(error)
            finished.set()

        self.submit_sync(losses, done)
        await finished.wait()
        if answer[0] is not None:
            raise answer[0]

    async def read_block(self, key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
        """Bytes [start, stop) of a block's payload, verified. Raises DamageError where it is missing or bad."""
        return await self._answer_of(partial(self.submit_read, key, start, stop))

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        """The same: at once where index and page cache have it."""
        self._check_alive()
        self._have(block_key(key), partial(self._read_found, key, start, stop, reply, None, None))

    def _read_found(
        self,
        key: BlockKey,
        start: int,
        stop: int | None,
        reply: ReadReply,
        before: IndexBlock | None,
        damage: DamageError | None,
        error: DrystoneError | None,
    ) -> None:
        """Its entry is in memory now, or cannot be had; `before`, the block was found damaged."""
        try:
            if error is not None:
                raise error
            entry = self._block(key)
            if damage is not None and entry == before:
                self.report_damage(b"d" + key.data_id, str(damage))
                raise damage
        except DrystoneError as failure:
            reply(self.id, None, failure)
            return
        have_read = partial(self._have_read, key, start, stop, reply, entry)
        self.reads.submit_block(entry, start, entry.payload_bytes if stop is None else stop, have_read)

    def _have_read(
        self,
        key: BlockKey,
        start: int,
        stop: int | None,
        reply: ReadReply,
        entry: IndexBlock,
        piece: memoryview | None,
        error: DrystoneError | None,
    ) -> None:
        if isinstance(error, DamageError):
            # A repair may have written it anew since the index was read: then look again.
            self._read_found(key, start, stop, reply, entry, error, None)
        else:
            reply(self.id, piece, error)

    async def verify_block(self, key: BlockKey) -> int:
        """Read a block and, where its payload is another block's, the reference to that. The bytes read. Raises
        DamageError where anything is missing or bad."""
        payload = await self.read_block(key)
        entry = self._block(key)
        while entry.reference is not None:
            try:
                await self.reads.meta(entry.reference)
                return len(payload) + entry.reference.length
            except DamageError as error:
                now = self._block(key)  # it may have been written anew, or dropped, since it was looked up
                if now == entry:
                    self.report_damage(b"d" + key.data_id, str(error))
                    raise
                entry = now
        return len(payload)

    def _block(self, key: BlockKey) -> IndexBlock:
        entry = self.blocks.find(key)
        if entry is None:
            raise DamageError(f"device {self.id} has no block {key.block} of {key.data_id.hex()}")
        return entry

    async def owners(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, RowKey]], bytes]:
        """(data id, key of the row that they were written for) of data here behind a data id, and the data id to go on
        behind (empty at the end). Data whose record cannot be read are left out."""
        await self._have_range(data_prefix(after), b"e", limit)
        page = self.blocks.first_of_each(after, limit)
        owners = []
        for data_id, entry in page:
            try:
                owners.append((data_id, decode_block(await self.reads.meta(entry.own))[1]))
            except DamageError as error:
                if any(now == entry for _, now in self.blocks.of(data_id)):  # else it was dropped since
                    self.report_damage(b"d" + data_id, str(error))
        return owners, page[-1][0] if len(page) == limit else b""

    async def has_blocks(self, data_id: bytes) -> list[tuple[int, int]]:
        """(block, fragment) of all blocks of these data that the index knows here."""
        await self._have_range(data_prefix(data_id), data_prefix(data_id) + b"\xff" * 6, _ALL)
        return [(int.from_bytes(key[17:21]), key[21]) for key, _ in self.blocks.of(data_id)]

    def submit_drop(self, data_id: bytes, done: Done) -> None:
        """Drop all blocks of these data; `done` is called when that is durable and their space is on its way back."""
        if self.health.failed is not None:
            raise self.health.failed
        if not self._flusher.drop(data_id, done):
            self._bulk.sync(self._bulk.losses, lambda _error: self._changed())
        self._changed()

    def _block_durable(self, written: Written) -> None:
        number, key, entry, reflink = written
        if self._flusher.doomed(key.data_id, number):
            self.segment_usage.free(entry.own)
        else:
            try:
                taken = self.blocks.add(key, entry, reflink.key if reflink is not None else None)
            except DamageError:
                return  # the index is broken and the device out; the next start finds the block in its segment
            except Exception as error:
                self._raised(error)
                return
            if reflink is not None and not taken:
                self.segment_usage.free(entry.own)
                reflink.lost(DamageError(f"device {self.id} has lost the payload of a block while it was shared"))
        self._changed()

    # -- the index -----------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._wake.set()
        if self.merged_index.dirty >= FLUSH_CHANGES:
            self._crowded.set()
            self.crowded = self.merged_index.unwritten >= CHANGES_MAX

    async def flush(self) -> None:
        """Write everything published so far to the index, then give back the space that this frees."""
        if self.on_flush is not None:
            self.on_flush()
        try:
            removed = await self._flusher.flush(recycle=self._wants_spare)
        finally:
            self.crowded = self.merged_index.unwritten >= CHANGES_MAX
        for segment in removed:
            self.stuck.pop(segment, None)

    def _wants_spare(self) -> bool:
        """Whether one more spare log segment should be kept."""
        return len(self.segments.spares) < self._options.spares and not self.full

    def compactable(self, below: float) -> list[int]:
        """Log segments that nothing more is written to and whose share of live bytes is below this, emptiest first."""
        limit = below * self._options.log_bytes
        live = self.segment_usage.live
        found = [
            segment
            for segment in self.segments.of_kind(SegmentKind.LOG)
            if segment < self._committer.segment
            and 0 < live.get(segment, 0) < limit
            and live[segment] != self.stuck.get(segment)
        ]
        return sorted(found, key=lambda segment: live[segment])

    def submit_move(self, packed_key: bytes, found: Found, done: Done) -> None:
        """Copy a live row's record to the end of the log, and point the index at the copy if it is still current."""
        copy = seal(Kind.ROW, bytes(found.meta), bytes(found.payload))

        def published(location: Location | None, error: DrystoneError | None) -> None:
            if location is not None:
                try:
                    self.row_table.move(packed_key, found.location, location)
                except DamageError as damage:
                    done(damage)
                    return
                self._changed()
            done(error)

        self._committer.submit(copy, published)

    def _rolled(self, _segment: int) -> None:
        """A log segment was taken into use: have the next one ready before it is needed."""
        if self._making_spare or not self._wants_spare():
            return
        self._making_spare = True
        self.reads.background.submit(self.segments.make_spare, self._made_spare)

    def _made_spare(self, result: outcome.Maybe[str]) -> None:
        self._making_spare = False
        if isinstance(result, outcome.Value):
            self.segments.spares.append(result.value)
            return
        error = result.error
        log.warning("no spare log segment", device=self.id, error=repr(error))
        if not (isinstance(error, OSError) and error.errno in FULL_ERRNOS):
            self._fail(DeviceError(f"a log segment cannot be made: {error}"))

    # -- small things --------------------------------------------------------------------------------------------

    @property
    def failed(self) -> DrystoneError | None:
        """Why it is out."""
        return self.health.failed

    def _check_alive(self) -> None:
        if self.health.failed is not None:
            raise self.health.failed

    def _check_epoch(self, epoch: int) -> None:
        """Whether it is there, and was chosen by a ring that is not too old."""
        if self.health.failed is not None:
            raise self.health.failed
        if epoch < self.enforced:
            raise StaleEpochError(f"device {self.id} refuses epoch {epoch}: the ring is at {self.enforced}")

    def _check_room(self, every: int = 1) -> None:
        """Raises FullError where free space is down to the reserve; asks the file system now and then."""
        self._checked_free += 1
        if (self._full or self._checked_free >= every) and not self.look_for_room():
            self._check_alive()
            raise FullError(f"device {self.id} is full")

    @property
    def full(self) -> bool:
        """Whether free space is down to the reserve; asked of the file system anew while it is, and now and then."""
        self._checked_free += 1
        if self._full or self._checked_free >= ROOM_LOOKS:
            self.look_for_room()
        return self._full

    def look_for_room(self) -> bool:
        """Ask the file system whether there is room above the reserve. A device whose folder has vanished is out, and
        has none."""
        self._checked_free = 0
        self._full = self.free_bytes() < self._options.reserve_bytes
        return not self._full

    @property
    def cold(self) -> bool:
        """Whether a look-up may have to wait for the disk, as far as is known."""
        return not self._lookups.in_memory

    async def _have_range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> None:
        """Have a range of the index in memory, before it is read on the loop."""
        self._check_alive()
        if not self._lookups.in_memory:
            await self._lookups.fetch_range(start, stop, limit, reverse=reverse)
            self._check_alive()

    @property
    def slow(self) -> float:
        """For how many seconds the oldest of what was written has not been answered: of a disk that hangs, it grows."""
        now = trio.current_time()
        return now - min(
            self._log_worker.unanswered_since(now),
            self._bulk_worker.unanswered_since(now),
            self._bulk_sync_worker.unanswered_since(now),
            self._index_worker.unanswered_since(now),
        )

    def fail(self, why: str) -> None:
        """Take it out: whoever looks after its folder found that it must not be used any more."""
        self._fail(DeviceError(why))

    def _fail(self, error: DrystoneError) -> DrystoneError:
        """Take the device out, and say so. May be called by its workers as well as on the loop."""
        failed = self.health.failed = DeviceError(f"device {self.id} is out: {error}")
        log.error("device is out", device=self.id, error=str(error))
        self._token.run_sync_soon(self._flusher.abandon, failed)
        return failed

    def _index_broken(self, damage: DamageError) -> None:
        """May be called by the index worker as well as on the loop."""
        if not self.health.broken_index:
            self.health.broken_index = True
            self._fail(DeviceError(f"{damage}; it is rebuilt from the log at the next start"))

    def report_damage(self, key: bytes, what: str) -> None:
        """Count damage, say it, and hand it to whoever repairs."""
        self.health.damages += 1
        self._wake.set()  # there may be something to count anew
        if len(self.health.damage) < 100:
            self.health.damage.append(what)
        log.error("damage found", device=self.id, what=what, key=key.hex())
        if self.on_damage is not None and key:
            self.on_damage(key)

    async def set_in_sync(self, *, in_sync: bool) -> None:
        """Say, durably, whether it counts that this device has no row of a key."""
        await self._save_superblock(self._superblock._replace(in_sync=in_sync))
        self.in_sync = in_sync
        if self.on_in_sync is not None:
            self.on_in_sync()

    async def enforce(self, epoch: int) -> None:
        """Refuse requests by rings older than this epoch from now on, after a restart too. Only ever upwards."""
        if epoch <= self.enforced:
            return
        await self._save_superblock(self._superblock._replace(enforced=max(epoch, self._superblock.enforced)))
        self.enforced = max(epoch, self.enforced)

    async def _save_superblock(self, superblock: Superblock) -> None:
        """Raises FullError where there is no room for it, DeviceError where it could not be written: the device is out
        then."""
        self._check_alive()
        self._superblock = superblock  # whoever changes another field meanwhile goes on from this
        try:
            await run_in(self._index_worker, lambda: write_superblock(self._disk, superblock))
        except OSError as error:
            if error.errno in FULL_ERRNOS:
                raise FullError(f"device {self.id} is full: {error}") from error
            failed = DeviceError(f"device {self.id}: its superblock cannot be written: {error}")
            self._fail(failed)
            raise failed from error

    def free_bytes(self) -> int:
        """What the file system has left; nothing, where the device is out."""
        if self.health.failed is not None:
            return 0
        try:
            return self._disk.free_bytes()
        except OSError as error:
            self._fail(DeviceError(f"its folder cannot be looked at: {error}"))
            return 0

    @property
    def commits(self) -> tuple[int, int]:
        """(syncs, records) of the log since the start, for the bench."""
        return self._committer.batches, self._committer.records

    @property
    def syncs(self) -> int:
        """Syncs since the start: of the log, of bulk segments, and two for each time the index was written."""
        return self._committer.batches + self._bulk.syncs + 2 * self._flusher.flushes


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


def make_device(number: int, cluster: bytes, disk: Disk, random: Random, *, in_sync: bool) -> Superblock:
    """Make an empty device, durably, of a folder that holds none. One that takes a lost one's place is not `in_sync`.
    Blocks."""
    superblock = Superblock(cluster, number, in_sync, random.bytes(INCARNATION_BYTES), enforced=0)
    disk.make_folder(FOLDER)
    write_superblock(disk, superblock)
    return superblock


async def open_device(
    number: int,
    cluster: bytes,
    disk: Disk,
    open_index: Callable[[], Index],
    options: Options | None = None,
    *,
    replaces: bool = False,
    random: Random | None = None,
) -> Device:
    """Open a device, making it if its folder is empty. `replaces` says that a new one takes a lost one's place.
    `random` draws its incarnation.

    Raises DeviceError where it belongs to another cluster or place, or was made by a newer program.
    """
    try:
        superblock = read_superblock(disk)
    except DamageError as error:
        raise DeviceError(f"device {number}: {error}") from error
    random = random or SystemRandom()
    if superblock is None:
        superblock = make_device(number, cluster, disk, random, in_sync=not replaces)
    if superblock.cluster != cluster or superblock.device != number:
        raise DeviceError(
            f"the folder of device {number} holds device {superblock.device} "
            f"of cluster {superblock.cluster.hex()}, not of {cluster.hex()}"
        )
    if not superblock.incarnation:  # of version 1
        superblock = superblock._replace(incarnation=random.bytes(INCARNATION_BYTES))
        write_superblock(disk, superblock)
    device = Device(number, disk, open_index(), superblock, options or Options())
    try:
        await device.recover()
    except BaseException:
        device.stop_workers()
        device.release()
        raise
    return device
