"""A client and a server of the wire, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from store.wire.client import WireClient
from store.wire.message import Hello
from store.wire.server import Peer, serve_link

Stream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


def hello(node: str = "a", *, cluster: str = "c", lowest: int = 1, highest: int = 1) -> Hello:
    return Hello(lowest, highest, cluster, node, "drystone 0")


class Wire:
    """What lies between: every stream that was dialled, the client's end first."""

    def __init__(self, service: Callable[[Peer], None], server: Hello) -> None:
        self._service = service
        self._server = server
        self.streams: list[tuple[Stream, Stream]] = []
        self.refuses = False
        self.client: WireClient
        self.peers: list[Peer] = []

    async def dial(self) -> trio.abc.Stream:
        if self.refuses:
            raise OSError("nobody listens")
        pair = memory_stream_pair()
        self.streams.append(pair)
        trio.lowlevel.spawn_system_task(serve_link, pair[1], self._server, [self._serve])
        return pair[0]

    def _serve(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._service(peer)

    async def cut(self) -> None:
        """The last stream breaks."""
        for stream in self.streams[-1]:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def connected(service: Callable[[Peer], None], server: Hello | None = None) -> AsyncIterator[Wire]:
    wire = Wire(service, server or hello("b"))
    wire.client = WireClient(wire.dial, hello("a"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.client.run)
        if server is None:
            await wire.client.wait_up()
        yield wire
        nursery.cancel_scope.cancel()
