"""Look-ups in an index that may not lie in memory.

The event loop reads the index itself, which takes a microsecond while its pages are in the page cache. One that is not
would be fetched from the disk by a page fault, during which nothing else runs; and from a disk that hangs, for ever. So
what the loop reads is fetched by a worker first, unless the whole index was found in memory a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import outcome
import structlog
import trio

from store.core.errors import BusyError, DrystoneError
from store.core.worker import WatchedWorker, answer_within
from store.engine.index import Index

log = structlog.get_logger()

LOOK_SECONDS = 5.0
"""An index that was found in memory is taken to be there for so long."""
LOOK_AGAIN_SECONDS = 1.0
"""One that was not is looked at no more often."""
ANSWER_SECONDS = 5.0
"""A disk that takes longer for a look-up hangs, as far as whoever asks is concerned: there are other replicas."""


class LookUps:
    """Fetches what is looked up in one device's index."""

    def __init__(self, index: Index, worker: WatchedWorker) -> None:
        self._index = index
        self._worker = worker
        self._looking = False
        self._look_at = 0.0
        self._found = trio.Event()
        self.in_memory = False
        """Whether there is nothing to be fetched, as far as is known."""

    async def run(self) -> None:
        """Take an index that was found in memory to be there for a while only, until cancelled."""
        while True:
            await self._found.wait()
            await trio.sleep(LOOK_SECONDS)
            self._found = trio.Event()
            self.in_memory = False

    def look(self) -> None:
        """Have a worker find out whether the index is in memory, unless that was done a moment ago."""
        if not self._looking and trio.current_time() >= self._look_at:
            self._looking = True
            self._worker.submit(self._index.lies_in_memory, self._looked)

    async def fetch(self, *keys: bytes) -> None:
        """Have what is known of keys in memory. Raises BusyError where the disk does not answer."""
        await self._fetch(lambda: self.touch(keys))

    def submit(self, key: bytes, done: Callable[[DrystoneError | None], None]) -> None:
        """Have what is known of a key in memory; `done` is called when it is, or cannot be had. Raises BusyError for a
        disk that has not answered for long."""
        self._submit(lambda: self.touch((key,)), done)

    def submit_range(
        self,
        start: bytes,
        stop: bytes,
        limit: int,
        done: Callable[[DrystoneError | None], None],
        *,
        reverse: bool = False,
    ) -> None:
        """The same of a range."""
        self._submit(lambda: self._index.range(start, stop, limit, reverse=reverse), done)

    async def fetch_range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> None:
        """Have a range in memory. Raises as `fetch`."""
        await self._fetch(lambda: self._index.range(start, stop, limit, reverse=reverse))

    def touch(self, keys: Iterable[bytes]) -> None:
        """Read keys. Blocks: for a worker that has something else to do as well."""
        for key in keys:
            self._index.get(key)

    def _submit(self, read: Callable[[], object], done: Callable[[DrystoneError | None], None]) -> None:
        if self._worker.unanswered_s >= ANSWER_SECONDS:
            raise BusyError(f"nothing was read for {self._worker.unanswered_s:.0f} s")
        self.look()
        self._worker.submit(read, lambda result: done(_error_of(result)))

    async def _fetch(self, read: Callable[[], object]) -> None:
        if self.in_memory:
            return
        self.look()
        await answer_within(self._worker, read, ANSWER_SECONDS)

    def _looked(self, result: outcome.Maybe[bool]) -> None:
        self._looking = False
        self._look_at = trio.current_time() + LOOK_AGAIN_SECONDS
        try:
            if result.unwrap():
                self.in_memory = True
                self._found.set()
        except (DrystoneError, OSError) as error:
            log.warning("index not looked at", error=str(error))

    def close(self) -> None:
        self._worker.close()


def _error_of(result: outcome.Maybe[object]) -> DrystoneError | None:
    try:
        result.unwrap()
    except DrystoneError as error:
        return error
    return None
