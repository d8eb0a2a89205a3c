"""`python -m tests.nbd.serving SOCKET SIZE [ro]`: a server of its own process, over memory, until it is told to stop.
Its exports: `disk`, and `locked`, which is read-only."""

from __future__ import annotations

import signal
import sys

import trio

from gateway.nbd.server import open_unix_listener, serve
from tests.nbd.memory_disk import MemoryDisk, MemoryExports


async def main(path: str, size: int) -> None:
    exports = MemoryExports(disk=MemoryDisk(size), locked=MemoryDisk(size, read_only=True))
    shutdown = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(
                lambda task_status: serve(exports, open_unix_listener(path), shutdown=shutdown, task_status=task_status)
            )
            print("serves", flush=True)
            async for _ in signals:
                break
            shutdown.set()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
