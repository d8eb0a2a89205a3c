"""What the disk itself takes and gives: the bound of large writes and of moves, measured in the run that they are
compared in."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time

TOTAL_BYTES = 1536 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
COPIERS = 4
SYNC_BYTES = 16 * 1024 * 1024


def write_rate(where: str, files: int) -> float:
    """MB/s of so many files written at once: sequentially, around the page cache, synced every 16 MiB."""
    data = mmap.mmap(-1, CHUNK_BYTES)
    data.write(os.urandom(CHUNK_BYTES))
    each = TOTAL_BYTES // files // CHUNK_BYTES * CHUNK_BYTES
    with tempfile.TemporaryDirectory(prefix="drystone-bench-", dir=where) as folder:
        threads = [
            threading.Thread(target=_write, args=(os.path.join(folder, str(number)), data, each))
            for number in range(files)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return files * each / 1e6 / (time.monotonic() - began)


def copy_rate(where: str) -> float:
    """MB/s of a file that is copied beside it: read and written around the page cache, some pieces at a time, synced
    every 16 MiB."""
    size = TOTAL_BYTES // 2
    data = mmap.mmap(-1, CHUNK_BYTES)
    data.write(os.urandom(CHUNK_BYTES))
    with tempfile.TemporaryDirectory(prefix="drystone-bench-", dir=where) as folder:
        source = os.path.join(folder, "source")
        _write(source, data, size)
        part = size // COPIERS // CHUNK_BYTES * CHUNK_BYTES
        threads = [
            threading.Thread(target=_copy, args=(source, os.path.join(folder, str(number)), number * part, part))
            for number in range(COPIERS)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return COPIERS * part / 1e6 / (time.monotonic() - began)


def _copy(source: str, target: str, start: int, size: int) -> None:
    data = mmap.mmap(-1, CHUNK_BYTES)
    reading = os.open(source, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    writing = os.open(target, os.O_CREAT | os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        for offset in range(0, size, CHUNK_BYTES):
            os.preadv(reading, [data], start + offset)
            os.pwritev(writing, [data], offset)
            if (offset + CHUNK_BYTES) % SYNC_BYTES == 0:
                os.fdatasync(writing)
        os.fdatasync(writing)
    finally:
        os.close(reading)
        os.close(writing)


def _write(path: str, data: mmap.mmap, size: int) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        for offset in range(0, size, CHUNK_BYTES):
            os.pwritev(descriptor, [data], offset)
            if (offset + CHUNK_BYTES) % SYNC_BYTES == 0:
                os.fdatasync(descriptor)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
