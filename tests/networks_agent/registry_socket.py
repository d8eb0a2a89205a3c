"""The registry of the test, for agents in processes of their own: over a socket of the file system, which no network
namespace hides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from store.registry.local import LocalRegistry
from store.registry.served import RegistryService, ServedRegistry
from store.wire.client import WireClient
from store.wire.message import Hello
from store.wire.server import serve_link


async def serve(
    registry: LocalRegistry,
    path: str,
    *,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled."""
    service = RegistryService(registry)
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listening:
        await listening.bind(path)
        listening.listen()

        async def one(stream: trio.SocketStream) -> None:
            await serve_link(stream, _hello("test"), [service.serve])

        await trio.serve_listeners(one, [trio.SocketListener(listening)], task_status=task_status)


@asynccontextmanager
async def ask(path: str, name: str) -> AsyncIterator[ServedRegistry]:
    client = WireClient(lambda: trio.open_unix_socket(path), _hello(name))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        await client.wait_up()
        yield ServedRegistry(client)
        nursery.cancel_scope.cancel()


def _hello(node: str) -> Hello:
    return Hello(1, 1, "test", node, "drystone 0")
