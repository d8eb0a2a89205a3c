"""An NBD server within the test, for what the real program has no command for: it can run out of room, and its volumes
have snapshots and clones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from gateway.nbd.exports import Exports
from gateway.nbd.server import open_unix_listener, serve
from store.core.errors import FullError
from store.device.record import Buffer
from tests.nbd.memory_disk import MemoryDisk


class SmallDisk(MemoryDisk):
    """Has no room for writes while `full`."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.full = False
        self.refused = 0

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        if self.full:
            self.refused += 1
            raise FullError("no room")
        await super().write(offset, data, durable=durable)


@asynccontextmanager
async def serving(exports: Exports, path: Path) -> AsyncIterator[None]:
    """At a Unix socket, as long as the context lasts."""
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve, exports, open_unix_listener(str(path)), shutdown=shutdown))
        try:
            yield
        finally:
            shutdown.set()
    path.unlink(missing_ok=True)
