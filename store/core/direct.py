"""Writes around the page cache (O_DIRECT): for bytes that nobody will read soon.

The kernel's copy into the page cache is what a large write costs most: more processor time than its hash. Direct writes
want memory, length and place in the file aligned. Buffers that are so (those of the upload pool) go to the disk from
where they lie; what lies elsewhere (record fronts, coded fragments, tails) is gathered in aligned scratch memory first.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence

Buffer = bytes | bytearray | memoryview

ALIGN = 4096
_SCRATCH_BYTES = 1024 * 1024
_IOV_MAX = 1024


def write_all(descriptor: int, offset: int, buffers: Sequence[Buffer]) -> None:
    """All of the buffers, one behind the other, however little the system takes at a time."""
    for first in range(0, len(buffers), _IOV_MAX):
        batch = list(buffers[first : first + _IOV_MAX])
        while batch:
            written = os.pwritev(descriptor, batch, offset)
            offset += written
            while batch and written >= len(batch[0]):
                written -= len(batch.pop(0))
            if batch and written:
                batch[0] = memoryview(batch[0])[written:]


class DirectWriter:
    """A second descriptor of a file, that writes around the page cache. Used by one thread at a time."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError where the file system has no direct writes."""
        self._fd = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        self._scratch = memoryview(mmap.mmap(-1, _SCRATCH_BYTES))

    def __del__(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """All of the buffers; `offset` and their length together must be multiples of `ALIGN`."""
        batch: list[Buffer] = []
        length = used = 0

        def put_out() -> None:
            nonlocal offset, length, used
            write_all(self._fd, offset, batch)
            offset += length
            batch.clear()
            length = used = 0

        for buffer in buffers:
            if length % ALIGN == 0 and is_aligned(buffer):
                batch.append(buffer)
                length += len(buffer)
                continue
            rest = memoryview(buffer)
            while rest:
                part = rest[: _SCRATCH_BYTES - used]
                self._scratch[used : used + len(part)] = part
                if batch and length % ALIGN:
                    begun = len(batch[-1])
                    batch[-1] = self._scratch[used - begun : used + len(part)]
                else:
                    batch.append(self._scratch[used : used + len(part)])
                used += len(part)
                length += len(part)
                rest = rest[len(part) :]
                if used == _SCRATCH_BYTES:
                    put_out()
        if batch:
            put_out()


def is_aligned(buffer: Buffer) -> bool:
    """Whether a buffer can be written from where it lies. Read-only memory is taken not to be."""
    if len(buffer) % ALIGN or not isinstance(buffer, memoryview) or buffer.readonly:
        return False
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % ALIGN == 0
