"""The seam to the network: streams that are dialled and accepted. A real one here, a simulated one in the tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio


class Network(Protocol):
    """Where processes reach each other. An address is `host:port`."""

    async def dial(self, address: str) -> trio.abc.Stream:
        """A stream to who listens there. Raises OSError."""
        ...

    async def listen(self, address: str, accept: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        """Accept streams, each in a task of its own, until cancelled. Raises OSError where that cannot be."""
        ...


class SystemNetwork:
    """TCP, each small message at once."""

    async def dial(self, address: str) -> trio.abc.Stream:
        host, _, port = address.rpartition(":")
        return await trio.open_tcp_stream(host.strip("[]"), int(port))

    async def listen(self, address: str, accept: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        host, _, port = address.rpartition(":")
        await trio.serve_tcp(accept, int(port), host=host.strip("[]"))
