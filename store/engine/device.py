"""A device: one folder, one owner; rows and data blocks in, verified rows and data blocks out.

This is `DevicePort` for a folder of this machine. Its calls are `row_calls`, `block_calls` and `fence_calls`, on
`parts` that each know one thing; here is what concerns the whole: how it comes up, runs and ends, and how it says what
it is.
"""

from __future__ import annotations

from functools import partial

import trio

from store.core.errors import DeviceError, DrystoneError
from store.core.worker import run_in
from store.engine.block_calls import BlockCalls
from store.engine.committer import PreviousSegment, encode_previous
from store.engine.fence_calls import FenceCalls
from store.engine.replay import Replay
from store.engine.row_calls import RowCalls

_ALL = 1 << 30


class Device(RowCalls, BlockCalls, FenceCalls):
    """One open device. Use `open_device`."""

    closed = False
    """Whether it was closed with everything durable and in the index."""

    # -- opening and closing -------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take in what the log holds beyond the index. To be called first."""
        for start, stop in ((b"f", b"g"), (b"h", b"i"), (b"m", b"n"), (b"p", b"q"), (b"s", b"t"), (b"z", b"{")):
            await run_in(self._index_worker, partial(self._index.range, start, stop, _ALL))
        self.segment_usage.load()
        if not self.row_table.load():
            await self.standing.set_in_sync(in_sync=False)
        self.data_fences.load()
        replay = Replay(
            self.segments,
            self.merged_index,
            self.log_records,
            self.bulk_records,
            self._flusher,
            self.standing,
            self._index_worker,
            self.data_fences.forget_all,
        )
        await replay.run()
        self.row_table.fences.clear()  # what was promised before is not all known
        for line in replay.tail.damage:
            self.report_damage(b"", line)
        before = replay.tail.before
        self._committer.go_on_after(before)
        # All that there is has been read: it must not be read again once rows and blocks are forgotten or dropped.
        self._bulk.position = (self.segments.next_id, 0)
        self._flusher.mark_applied()
        await self._trim(before)
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
            await self._maintenance.run()

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

    # -- the whole -----------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Wait for all that is queued in the log, by way of one more record behind it. Raises as `submit_row`."""
        self.health.check()
        finished = trio.Event()
        self._committer.submit(encode_previous(PreviousSegment(0, 0, 0)), lambda _location, _error: finished.set())
        await finished.wait()

    async def flush(self) -> None:
        """Write everything published so far to the index, then give back the space that this frees."""
        await self._maintenance.flush()

    async def compact(self, below: float) -> int:
        """Compact one log segment whose share of live bytes is below this. Returns the bytes copied."""
        return await self._maintenance.compact(below)

    async def wait_for_index(self) -> None:
        """Wait until this device is not `crowded` any more, or is out."""
        await self._maintenance.wait_for_index()

    async def set_in_sync(self, *, in_sync: bool) -> None:
        """Say, durably, whether it counts that this device has no row of a key."""
        await self.standing.set_in_sync(in_sync=in_sync)
        self.row_table.fences.clear()  # of what was promised by the device that it was before, nothing is known
        if self.on_in_sync is not None:
            self.on_in_sync()

    async def enforce(self, epoch: int) -> None:
        """Refuse requests by rings older than this epoch from now on, after a restart too. Only ever upwards."""
        await self.standing.enforce(epoch)

    def fail(self, why: str) -> None:
        """Take it out: whoever looks after its folder found that it must not be used any more."""
        self._fail(DeviceError(why))

    # -- how it is -----------------------------------------------------------------------------------------------

    @property
    def failed(self) -> DrystoneError | None:
        """Why it is out."""
        return self.health.failed

    @property
    def in_sync(self) -> bool:
        """Whether it has all that it should."""
        return self.standing.in_sync

    @property
    def enforced(self) -> int:
        """The epoch of the ring below which this device refuses requests, durably."""
        return self.standing.enforced

    @property
    def incarnation(self) -> bytes:
        """What tells its folder from an older one that had the same place."""
        return self.standing.incarnation

    @property
    def full(self) -> bool:
        """Whether free space is down to the reserve; asked of the file system anew while it is."""
        return self.room.full

    @property
    def crowded(self) -> bool:
        """Whether the index is so far behind that writers should wait."""
        return self.backlog.crowded

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

    @property
    def commits(self) -> tuple[int, int]:
        """(syncs, records) of the log since the start, for the bench."""
        return self._committer.batches, self._committer.records

    @property
    def syncs(self) -> int:
        """Syncs since the start: of the log, of bulk segments, and two for each time the index was written."""
        return self._committer.batches + self._bulk.syncs + 2 * self._flusher.flushes
