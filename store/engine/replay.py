"""Replay: at a start, what the log and the bulk segments hold beyond the index is taken in, by the handlers of `kinds`.

`recovery` says what of it is to be believed. The loop is held for a slice of records at a time, since it may be one
device of many that is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import trio

from store.core.errors import DamageError, DeviceError, NewerError
from store.core.worker import Worker, run_in
from store.device.row import Location
from store.engine.committer import PreviousSegment
from store.engine.flush import Flusher
from store.engine.kinds import BulkHandlers, LogHandlers, TakeIn, handler_of, place
from store.engine.merged_index import MergedIndex
from store.engine.recovery import Found, Tail, read_bulk, read_log
from store.engine.segment import Segments
from store.engine.standing import Standing

CHANGES = 50_000
"""The index is written in between when so much has changed: bounds memory."""
BATCH = 2000
"""Records that are read at once."""
SLICE = 100
"""Records that are taken in between two turns of the loop."""


class Replay:
    """The replay of one device."""

    def __init__(
        self,
        segments: Segments,
        index: MergedIndex,
        log_records: LogHandlers,
        bulk_records: BulkHandlers,
        flusher: Flusher,
        standing: Standing,
        worker: Worker,
        on_loss: Callable[[], None],
    ) -> None:
        """`on_loss` is called where part of the log is lost, before the index says that it was read."""
        self._segments = segments
        self._index = index
        self._log_records = log_records
        self._bulk_records = bulk_records
        self._flusher = flusher
        self._standing = standing
        self._worker = worker
        self._on_loss = on_loss
        self._in_doubt = True
        self.tail = Tail(PreviousSegment(0, 0, 0))

    async def run(self) -> None:
        """Read what is there. Afterwards `tail` says where the log ends, and what of it could not be read. Raises
        DeviceError where a newer program wrote it: then nothing has changed but that the index may hold more of it."""
        (stored_next,) = self._index.position(b"next") or (1,)
        self._segments.next_id = max([stored_next, *(segment + 1 for segment in self._segments.kinds)])
        # A new device's index is written before its first segment is made. One that is lost took with it what it alone
        # knew: which tombstones are forgotten.
        lost_index = self._index.position(b"next") is None and bool(self._segments.kinds)
        self._in_doubt = not lost_index
        position = self._index.position(b"bulk")
        try:
            await self._log()
            blocks = self._steps(read_bulk(self._segments, position), bulk=True)
            steps = await run_in(self._worker, lambda: list(blocks))
        except NewerError as error:
            raise DeviceError(str(error)) from error
        for number, (_, take_in) in enumerate(steps, 1):
            await _breathe(number)
            take_in()
        if self.tail.damage:
            self._on_loss()
        if self.tail.damage or lost_index:
            await self._standing.set_in_sync(in_sync=False)

    async def _log(self) -> None:
        steps = self._steps(read_log(self._segments, self._index.position(b"log"), self.tail), bulk=False)
        while True:
            batch = await run_in(self._worker, lambda: list(islice(steps, BATCH)))
            for number, (location, take_in) in enumerate(batch, 1):
                await _breathe(number)
                try:
                    take_in()
                except NewerError:
                    raise
                except DamageError as error:
                    self.tail.damage.append(f"{place(location)} was not replayed: {error}")
            if len(batch) < BATCH:
                return
            if self._index.dirty > CHANGES:
                if self.tail.damage:
                    self._on_loss()
                if self.tail.damage and self._standing.in_sync:
                    await self._standing.set_in_sync(in_sync=False)  # before the index says that it was read
                before = self.tail.before
                self._index.set_position(b"log", (before.segment, before.end, before.seq))
                await self._flusher.write_index()

    def _steps(self, records: Iterator[Found], *, bulk: bool) -> Iterator[tuple[Location, TakeIn]]:
        """What is to be done, and with which record. Blocks. Raises NewerError."""
        handlers = self._bulk_records if bulk else self._log_records
        for found in records:
            try:
                yield found.location, handler_of(handlers, found).replay(found, in_doubt=self._in_doubt)
            except NewerError:
                raise
            except DamageError as error:
                self.tail.damage.append(f"{place(found.location)} is not of a known form: {error}")


async def _breathe(number: int) -> None:
    if number % SLICE == 0:
        await trio.lowlevel.checkpoint()  # others may be served meanwhile
