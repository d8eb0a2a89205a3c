"""What the disk itself takes: the bound of large writes, measured in the run that they are compared in."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time

TOTAL_BYTES = 1536 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
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
