"""A pool of large buffers. Fresh large allocations cost page faults, which are dear on virtual machines; and a bound on
all buffers is what bounds the memory of all uploads together. They are aligned to pages, as direct writes want."""

from __future__ import annotations

import mmap

import trio

from store.core.limits import BLOCK_BYTES

BUFFERS_MAX = 96
"""All uploads together hold at most so many blocks in memory; who needs one more waits for one to be written."""
KEPT_MAX = 24
"""Kept for the next upload when nobody uses them."""


class BufferPool:
    """Buffers of one block each."""

    def __init__(self, count_max: int = BUFFERS_MAX) -> None:
        self._free: list[memoryview] = []
        self._slots = trio.Semaphore(count_max, max_value=count_max)

    async def take(self) -> memoryview:
        """A buffer with anything in it; waits while all are in use."""
        await self._slots.acquire()
        return (
            self._free.pop()
            if self._free
            else memoryview(mmap.mmap(-1, BLOCK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        )

    def give(self, buffer: memoryview) -> None:
        """Hand a buffer back. No view of it may be used any more."""
        if len(self._free) < KEPT_MAX:
            self._free.append(buffer)
        self._slots.release()
