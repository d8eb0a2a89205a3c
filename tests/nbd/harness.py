"""A server in the test's own process, at a Unix socket."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from gateway.nbd.exports import Exports
from gateway.nbd.limits import Limits
from gateway.nbd.server import open_unix_listener, serve
from tests.nbd.client import Client


class Serving:
    """A server that runs. `shutdown` stops it; `stopped` is set when it has returned."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.shutdown = trio.Event()
        self.stopped = trio.Event()
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        self.clients.append(Client(await trio.open_unix_socket(self.path)))
        return self.clients[-1]

    async def enter(self, name: str = "disk", *, structured: bool = True, allocation: bool = True) -> Client:
        client = await self.connect()
        await client.enter(name, structured=structured, allocation=allocation)
        return client


@asynccontextmanager
async def serving(
    folder: Path,
    exports: Exports,
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    tls: ssl.SSLContext | None = None,
    listing: bool = False,
) -> AsyncIterator[Serving]:
    server = Serving(str(folder / "nbd.sock"))

    async def run(task_status: trio.TaskStatus[None]) -> None:
        listener = open_unix_listener(server.path)
        await serve(
            exports,
            listener,
            limits=limits,
            tls=tls,
            listing=listing,
            shutdown=server.shutdown,
            task_status=task_status,
        )
        server.stopped.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        try:
            yield server
        finally:
            for client in server.clients:
                await trio.aclose_forcefully(client.stream)
        server.shutdown.set()


async def until(condition: Callable[[], bool]) -> None:
    """Lets the others run until it holds."""
    for _ in range(1000):
        if condition():
            return
        await trio.testing.wait_all_tasks_blocked()
    raise AssertionError("it does not come to that")
