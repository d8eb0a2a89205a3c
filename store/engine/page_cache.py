"""Whether a file lies in the page cache: then reading what is mapped of it waits for no disk."""

from __future__ import annotations

import ctypes
import mmap
import os

FILL_BYTES = 4 * 1024 * 1024
"""Read in at a time: even of a slow disk that takes no longer than whoever waits behind it can bear."""
FILL_BYTES_MAX = 64 * 1024 * 1024
"""Where more is missing nothing is read in: the file may not fit into memory."""
_FAILED = ctypes.c_void_p(-1).value


def lies_in_memory(path: str) -> bool:
    """Whether all of a file is in the page cache. Where a little is missing, some of that is read in for the next time.
    Blocks. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        missing = _missing(descriptor, size) if size else []
        room = FILL_BYTES if sum(stop - start for start, stop in missing) <= FILL_BYTES_MAX else 0
        left = False
        for start, stop in missing:
            length = min(stop - start, room)
            room -= length
            left = left or length < stop - start
            if length:
                os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)
    return not left


def _missing(descriptor: int, size: int) -> list[tuple[int, int]]:
    """(start, stop) of the parts that are not in the page cache; the first of them, where all are more than
    FILL_BYTES_MAX."""
    address = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address == _FAILED:
        raise _error()
    try:
        present = bytearray(-(-size // mmap.PAGESIZE))
        if _LIBC.mincore(address, size, (ctypes.c_char * len(present)).from_buffer(present)) != 0:
            raise _error()
    finally:
        _LIBC.munmap(address, size)
    missing = []
    total = 0
    at = present.find(0)
    while at >= 0 and total <= FILL_BYTES_MAX:
        end = present.find(1, at)
        end = len(present) if end < 0 else end
        missing.append((at * mmap.PAGESIZE, min(end * mmap.PAGESIZE, size)))
        total += (end - at) * mmap.PAGESIZE
        at = present.find(0, end)
    return missing


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
