"""Bits that are the disk's already, copied: what is zeros is not written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import trio

from gateway.objects.reading import closing
from store.blocks.disk import Disk
from store.core.errors import DrystoneError
from store.objects.interface import Buffer, OpenObject

BLOCK_BYTES: Final = 64 * 1024
"""What is zeros is looked for in blocks of so many bytes."""
WRITES: Final = 4
"""At the same time, of up to 1 MiB each."""
_ZEROS: Final = bytes(BLOCK_BYTES)

Progress = Callable[[float], None]
"""Is told now and then how much is done, of 1. It must not take long: it runs in the loop."""


async def copy_object(source: OpenObject, target: Disk, progress: Progress) -> None:
    """To a disk of zeros that is as large or larger. What was written is not flushed. Raises what reading and writing
    raises."""
    size = source.info.size
    writes = _Writes(target)
    done = 0
    async with trio.open_nursery() as nursery:
        try:
            async with closing(source.read()) as pieces:
                async for piece in pieces:
                    for start, data in _data_runs(memoryview(piece).cast("B")):
                        await writes.begin(nursery, done + start, data)
                    done += len(piece)
                    progress(done / size)
        except DrystoneError as error:
            writes.error = writes.error or error
    if writes.error is not None:
        raise writes.error


class _Writes:
    """Some at a time. The first error ends them all."""

    def __init__(self, target: Disk) -> None:
        self._target = target
        self._room = trio.Semaphore(WRITES)
        self.error: DrystoneError | None = None

    async def begin(self, nursery: trio.Nursery, offset: int, data: Buffer) -> None:
        await self._room.acquire()
        if self.error is not None:
            raise self.error
        nursery.start_soon(self._write, offset, data)

    async def _write(self, offset: int, data: Buffer) -> None:
        try:
            await self._target.write(offset, data)
        except DrystoneError as error:
            self.error = self.error or error
        finally:
            self._room.release()


def _data_runs(piece: memoryview) -> Iterator[tuple[int, bytes]]:
    """What is no zeros, in runs of blocks: where each begins in the piece, and a copy of it."""
    begin = None
    for at in range(0, len(piece), BLOCK_BYTES):
        empty = _ZEROS.startswith(piece[at : at + BLOCK_BYTES])
        if empty and begin is not None:
            yield begin, bytes(piece[begin:at])
            begin = None
        elif not empty and begin is None:
            begin = at
    if begin is not None:
        yield begin, bytes(piece[begin:])
