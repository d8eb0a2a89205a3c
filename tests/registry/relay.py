"""A way to a member that can be cut or go silent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import trio


class Relay:
    """Passes bytes between whoever connects and a server on loopback."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self.opened = 0
        self.refuses = False
        """New connections end at once."""
        self.silent = False
        """Nothing comes back any more, and nothing breaks."""
        self._port = port
        self._ways: set[trio.CancelScope] = set()
        self._never = trio.Event()

    def cut(self) -> None:
        """All connections break now."""
        for way in self._ways:
            way.cancel()

    async def serve(self, client: trio.SocketStream) -> None:
        if self.refuses:
            await client.aclose()
            return
        self.opened += 1
        with trio.CancelScope() as way:
            self._ways.add(way)
            async with (
                client,
                await trio.open_tcp_stream("127.0.0.1", self._port) as server,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(self._pass, client, server, False)
                nursery.start_soon(self._pass, server, client, True)
        self._ways.discard(way)

    async def _pass(self, source: trio.SocketStream, target: trio.SocketStream, back: bool) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for chunk in source:
                if back and self.silent:
                    await self._never.wait()
                await target.send_all(chunk)
            await target.send_eof()


@asynccontextmanager
async def relay(url: str) -> AsyncIterator[Relay]:
    """To the server at `url`."""
    way = Relay(int(url.rpartition(":")[2]))
    async with trio.open_nursery() as nursery:
        serve: Callable[..., Awaitable[Any]] = partial(trio.serve_tcp, way.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        way.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield way
        nursery.cancel_scope.cancel()
