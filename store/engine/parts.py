"""The parts of one open device, put together: what its calls (`row_calls`, `block_calls`,
`fence_calls`) work on.

Here is also what every call begins with, and how a device comes to be out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar, cast

import structlog
import trio

from store.core.disk import Disk
from store.core.errors import BusyError, DamageError, DeviceError, DrystoneError
from store.core.worker import WatchedWorker
from store.device.port import Done
from store.engine.backlog import Backlog
from store.engine.block_table import BlockTable
from store.engine.bulk import BulkWriter, Written
from store.engine.committer import Committer
from store.engine.compaction import Compactor
from store.engine.data_fences import DataFences
from store.engine.flush import Flusher
from store.engine.health import Health
from store.engine.hint_table import HintTable
from store.engine.index import Index
from store.engine.kinds import bulk_handlers, log_handlers
from store.engine.lookups import LookUps
from store.engine.maintenance import Maintenance
from store.engine.merged_index import MergedIndex
from store.engine.options import Options
from store.engine.reads import ANSWER_SECONDS, Reads
from store.engine.room import Room
from store.engine.row_table import RowTable
from store.engine.segment import Segments
from store.engine.segment_usage import SegmentUsage
from store.engine.spares import Spares
from store.engine.standing import Standing
from store.engine.superblock import Superblock

log = structlog.get_logger()

_openings = itertools.count()
T = TypeVar("T")


class Parts:
    """The parts of one device. Everything runs on the event loop; what blocks goes to the device's workers."""

    def __init__(self, number: int, disk: Disk, index: Index, superblock: Superblock, options: Options) -> None:
        self.id = number
        self._token = trio.lowlevel.current_trio_token()
        self.health = Health()
        self.on_damage: Callable[[bytes], None] | None = None
        """Called with the index key of a row or block that was found damaged."""
        self.on_flush: Callable[[], None] | None = None
        """Called before the index is written: what others have not answered yet is to be noted in the same step."""
        self.on_in_sync: Callable[[], None] | None = None
        """Called when it has come to be in sync, or no longer is."""
        self._opening = next(_openings) << 32
        """Tells what was asked of this device from what was asked of it before it was opened anew."""
        self._disk = disk
        self._index = index
        index.watch(self._index_broken)
        self._options = options
        self.segments = Segments(disk, number, options.log_bytes)
        self.merged_index = MergedIndex(index)
        self.segment_usage = SegmentUsage(self.merged_index)
        self.row_table = RowTable(self.merged_index, self.segment_usage, self.report_damage)
        self.blocks = BlockTable(self.merged_index, self.segment_usage, self.report_damage)
        self.data_fences = DataFences(self.merged_index, self.segment_usage, self.report_damage)
        self.log_records = log_handlers(self.row_table, self.data_fences)
        self.bulk_records = bulk_handlers(self.blocks, self.segments)
        self._hints = HintTable(self.merged_index)
        self.backlog = Backlog(number, self.merged_index)
        self._log_worker = self._worker("log")
        self._bulk_worker = self._worker("bulk")
        self._bulk_sync_worker = self._worker("bulk-sync")
        self._index_worker = self._worker("index")
        self._lookups = LookUps(index, self._worker("look-up"))
        self.reads = Reads(self._worker, self.segments)
        self.standing = Standing(disk, superblock, self._index_worker, self.health, self._fail)
        self.room = Room(number, disk, options, self.health, self._fail)
        self._spares = Spares(number, self.segments, options, self.room, self.reads.background, self._fail)
        self._committer = Committer(
            self.segments,
            self._log_worker,
            self.segments.take_id,
            self._fail,
            self._spares.rolled,
            self._lookups.touch,
        )
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
            self._committer,
            self._bulk,
            self._index_worker,
        )
        self.compactor = Compactor(
            number,
            self.segments,
            self.segment_usage,
            self.log_records,
            self.reads,
            self._committer,
            self.backlog.changed,
        )
        self._maintenance = Maintenance(
            number,
            options,
            self.health,
            self.room,
            self.backlog,
            self._spares,
            self.row_table,
            self._flusher,
            self.compactor,
            self._before_flush,
            self._fail,
        )

    def _worker(self, name: str) -> WatchedWorker:
        return WatchedWorker(self._disk.worker(name), self._raised)

    # -- what calls begin with -----------------------------------------------------------------------------------

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

    async def _have_range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> None:
        """Have a range of the index in memory, before it is read on the loop."""
        self.health.check()
        if not self._lookups.in_memory:
            await self._lookups.fetch_range(start, stop, limit, reverse=reverse)
            self.health.check()

    # -- what becomes of it --------------------------------------------------------------------------------------

    def report_damage(self, key: bytes, what: str) -> None:
        """Count damage, say it, and hand it to whoever repairs."""
        self.health.note_damage(what)
        self.backlog.wake()  # there may be something to count anew
        log.error("damage found", device=self.id, what=what, key=key.hex())
        if self.on_damage is not None and key:
            self.on_damage(key)

    def _block_durable(self, written: Written) -> None:
        """A block is to be found from now on, unless its data were dropped meanwhile."""
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
        self.backlog.changed()

    def _before_flush(self) -> None:
        if self.on_flush is not None:
            self.on_flush()

    def _raised(self, error: Exception) -> DrystoneError:
        """Something went wrong where nobody waits, and what this device has in memory may not be what its log says."""
        log.error("an answer of a worker was not taken in", device=self.id, exc_info=error)
        return self._fail(DeviceError(f"internal error: {error!r}"))

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
