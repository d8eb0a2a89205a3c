"""`Hashing`: the SHA-512 of bytes as they come, worked out beside whatever else is done with them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from store.core.beside import beside

BATCH_BYTES: Final = 1 << 20
"""For a thread at once: it lets go of the interpreter for some milliseconds then."""
WAITING_MAX: Final = 4
"""Batches. Whoever brings more waits."""


class Hashing:
    """Made by `hashing`."""

    def __init__(self, send: trio.MemorySendChannel[list[bytes]], done: trio.Event) -> None:
        self._sha512 = hashlib.sha512()
        self._send = send
        self._done = done
        self._batch: list[bytes] = []
        self._length = 0

    async def add(self, piece: bytes) -> None:
        """The next bytes, which stay as they are."""
        self._batch.append(piece)
        self._length += len(piece)
        if self._length >= BATCH_BYTES:
            await self._flush()

    async def hexdigest(self) -> str:
        """Of all. No more may be added."""
        await self._flush()
        await self._send.aclose()
        await self._done.wait()
        return self._sha512.hexdigest()

    async def _flush(self) -> None:
        await self._send.send(self._batch)
        self._batch, self._length = [], 0

    async def run(self, receive: trio.MemoryReceiveChannel[list[bytes]]) -> None:
        """Until there are no more."""
        async with receive:
            async for batch in receive:
                await trio.to_thread.run_sync(self._update, batch)
        self._done.set()

    def _update(self, batch: list[bytes]) -> None:
        for piece in batch:
            self._sha512.update(piece)


@asynccontextmanager
async def hashing() -> AsyncIterator[Hashing]:
    """While bytes come. What the block raises comes out as it is, and in no group."""
    send, receive = trio.open_memory_channel[list[bytes]](WAITING_MAX)
    made = Hashing(send, trio.Event())
    async with beside(made.run, receive):
        yield made
