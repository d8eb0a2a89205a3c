"""`python -m bench.memory_export SOCKET SIZE`: the NBD server alone, over a disk that is nothing but memory, until it
is told to stop. Its export: `disk`."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from gateway.nbd.exports import ExportInfo
from gateway.nbd.server import open_unix_listener, serve
from store.blocks.disk import Disk, Extent, ExtentKind
from store.device.record import Buffer


class PlainMemory:
    """Every request is one copy, and waits for nothing."""

    read_only = False

    def __init__(self, size: int) -> None:
        self.size = size
        self._content = bytearray(size)
        self._view = memoryview(self._content)

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        return (bytes(self._view[offset : offset + length]),)

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        self._view[offset : offset + len(data)] = data

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        self._view[offset : offset + length] = bytes(length)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        pass

    async def flush(self) -> None:
        pass

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        return [Extent(length, ExtentKind.DATA)]


class OneExport:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        yield self._disk

    async def look(self, name: str) -> ExportInfo:
        return ExportInfo(self._disk.size, self._disk.read_only)

    async def names(self) -> Sequence[str]:
        return ["disk"]


async def main(path: str, size: int) -> None:
    shutdown = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                async for _ in signals:
                    shutdown.set()
                    break

            nursery.start_soon(stop)
            await serve(OneExport(PlainMemory(size)), open_unix_listener(path), shutdown=shutdown)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
