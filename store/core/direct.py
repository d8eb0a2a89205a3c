"""Writes around the page cache (O_DIRECT): for bytes that nobody will read soon.

The kernel's copy into the page cache is what a large write costs most: more processor time than its hash. Direct writes
want memory, length and place in the file aligned. Buffers that are so (those of the upload pool) go to the disk from
where they lie; what lies elsewhere (record fronts, coded fragments, tails) is gathered in aligned scratch memory first.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
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


class _Scratch(threading.local):
    """Aligned memory of one thread, made when it is first needed."""

    def __init__(self) -> None:
        self.view = memoryview(mmap.mmap(-1, _SCRATCH_BYTES))


_scratch_of_thread = _Scratch()


def write_direct(descriptor: int, offset: int, buffers: Sequence[Buffer]) -> bool:
    """All of the buffers into a file that is open; `offset` and their length together must be multiples of `ALIGN`.

    False where the file system has no direct writes: then all is to be written in another way. Nothing is kept for the
    next time, since a device has many files open of which it writes one.
    """
    try:
        direct = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        _write_aligned(direct, offset, buffers)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False  # it wants more than memory and place on 4,096
    finally:
        os.close(direct)
    return True


def _write_aligned(descriptor: int, offset: int, buffers: Sequence[Buffer]) -> None:
    scratch = _scratch_of_thread.view
    batch: list[Buffer] = []
    length = used = 0

    def put_out() -> None:
        nonlocal offset, length, used
        write_all(descriptor, offset, batch)
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
            scratch[used : used + len(part)] = part
            if batch and length % ALIGN:
                begun = len(batch[-1])
                batch[-1] = scratch[used - begun : used + len(part)]
            else:
                batch.append(scratch[used : used + len(part)])
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
