"""Members as Drystone runs them, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from store.registry.etcd import Tls
from store.registry.etcd.client import open_client
from store.registry.etcd.member import Member
from store.registry.etcd.supervisor import Supervisor, ready
from tests.registry.etcd_server import START_SECONDS, free_port

PREFIX = b"drystone/test/"


def make_members(folder: Path, count: int, tls: Tls | None = None, quota_bytes: int = 2 * 1024**3) -> list[Member]:
    scheme = "https" if tls else "http"
    urls = [[f"{scheme}://127.0.0.1:{free_port()}" for _ in range(2)] for _ in range(count)]
    peers = {f"m{number}": peer for number, (_, peer) in enumerate(urls)}
    return [
        Member(f"m{number}", str(folder / f"m{number}"), client, peer, peers, "test", tls=tls, quota_bytes=quota_bytes)
        for number, (client, peer) in enumerate(urls)
    ]


@dataclass
class Running:
    """A supervised member, which can be stopped while the others go on."""

    supervisor: Supervisor
    scope: trio.CancelScope
    stopped: trio.Event

    @property
    def url(self) -> str:
        return self.supervisor.member.client_url

    async def stop(self) -> None:
        self.scope.cancel()
        await self.stopped.wait()


async def start(nursery: trio.Nursery, members: Sequence[Member], tls: Tls | None = None) -> list[Running]:
    """Returns when all serve."""
    started = [Running(Supervisor(member), trio.CancelScope(), trio.Event()) for member in members]

    async def run(each: Running) -> None:
        with each.scope:
            await each.supervisor.run()
        each.stopped.set()

    for each in started:
        nursery.start_soon(run, each)
    async with open_client([each.url for each in started], tls) as client:
        for endpoint in client.endpoints:
            with trio.fail_after(START_SECONDS):
                await ready(endpoint)
    return started


@asynccontextmanager
async def supervised(members: Sequence[Member], tls: Tls | None = None) -> AsyncIterator[list[Running]]:
    async with trio.open_nursery() as nursery:
        yield await start(nursery, members, tls)
        nursery.cancel_scope.cancel()
