"""What guests say and use: asked of the node that runs them, over the link there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple
from typing import Any, Final
from urllib.parse import quote

import trio

from compute_plugin.agent.hands import Hands
from compute_plugin.hypervisors.interface import Usage
from compute_plugin.records.server import Server
from store.core.errors import BusyError, RetryableError
from store.remote.process import RemoteProcess
from store.wire.server import Call, Peer

LOG: Final = "servers.log"
"""[server] -> the last part of what its guest said, bytes."""
USAGE: Final = "servers.usage"
"""[server] -> the fields of `Usage`."""
SECONDS: Final = 30.0
SOCKETS: Final = {"novnc": "vnc.sock", "serial": "serial.sock"}
"""In the folder of a guest, by the type of the console."""


class GuestAnswers:
    """Answers other processes."""

    def __init__(self) -> None:
        self.of: Hands | None = None
        """What this host's agent works with; None as long as it has none."""

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        peer.handlers[LOG] = lambda call: call.begin(lambda: self.log(_server(call)))
        peer.handlers[USAGE] = lambda call: call.begin(lambda: self._usage(_server(call)))

    async def log(self, server: str) -> bytes:
        hands = self._hands()
        return await hands.hypervisor.console_log(hands.folder_of(server))

    def socket(self, server: str, name: str) -> str:
        """The path of one of a guest's sockets."""
        return f"{self._hands().folder_of(server)}/{name}"

    async def usage(self, server: str) -> Usage:
        return await self._hands().hypervisor.usage(server)

    async def _usage(self, server: str) -> list[Any]:
        return list(astuple(await self.usage(server)))

    def _hands(self) -> Hands:
        if self.of is None:
            raise BusyError("no servers are run here")
        return self.of


class GuestsOfAll:
    """Of all hosts: see compute_plugin.consoles.interface.Consoles."""

    def __init__(self, own: GuestAnswers, name: str, processes: Callable[[], Mapping[str, RemoteProcess]]) -> None:
        """`name`: of this node; `processes`: the others, by theirs."""
        self._own = own
        self._name = name
        self._processes = processes

    async def log(self, server: Server) -> bytes:
        if server.host == self._name:
            return await self._own.log(server.id)
        return bytes(await self._far(server).ask(LOG, SECONDS, (server.id,)))

    async def usage(self, server: Server) -> Usage:
        if server.host == self._name:
            return await self._own.usage(server.id)
        cpu, memory, used, disks, nics, uptime = await self._far(server).ask(USAGE, SECONDS, (server.id,))
        return Usage(
            tuple(cpu), memory, used, {name: tuple(one) for name, one in disks.items()},
            {mac: tuple(one) for mac, one in nics.items()}, uptime,
        )  # fmt: skip

    @asynccontextmanager
    async def opened(self, server: Server, type_: str) -> AsyncIterator[trio.abc.Stream]:
        if server.host != self._name:
            raise RetryableError(f"it is on host {server.host}: ask that one's address for the console")
        path = self._own.socket(server.id, SOCKETS[type_])
        try:
            stream = await trio.open_unix_socket(path)
        except OSError as error:
            raise RetryableError(f"its guest does not run: {error}") from error
        async with stream:
            yield stream

    def url(self, origin: str, token: str, type_: str) -> str:
        if type_ == "serial":
            return f"{origin.replace('http', 'ws', 1)}/console/websockify?token={token}"
        return f"{origin}/console/vnc_auto.html?path={quote(f'console/websockify?token={token}', safe='')}"

    def place(self, server: Server) -> dict[str, Any]:
        return {"host": server.host, "port": 0, "tls_port": None, "internal_access_path": None}

    def _far(self, server: Server) -> RemoteProcess:
        process = self._processes().get(server.host)
        if process is None or not process.up:
            raise RetryableError(f"host {server.host} does not answer")
        return process


def _server(call: Call) -> str:
    (server,) = call.arguments
    if not isinstance(server, str):
        raise TypeError("a server's id")
    return server
