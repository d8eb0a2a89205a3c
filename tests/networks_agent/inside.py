"""`Inside`: a network namespace, and what a test does within."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, TypeVar

import trio

from compute_plugin.networks.agent.netlink.namespaces import within_path
from tests.cluster.machines import Namespaces

T = TypeVar("T")


class Inside:
    """Such as a server, as far as networks see it."""

    def __init__(self) -> None:
        self._namespaces = Namespaces()
        self._sockets: list[socket.socket] = []
        self._streams: list[trio.SocketStream] = []
        self.run = self._namespaces.run
        self.entering = self._namespaces.entering
        self.run("ip", "link", "set", "lo", "up")

    def opened(self, make: Callable[[], T]) -> T:
        """Such as a socket, of this namespace though the test has it."""
        return within_path(f"/proc/{self._namespaces.pid}/ns/net", make)

    def socket(self, family: int, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> trio.socket.SocketType:
        """Of this namespace; closed with it."""
        made = self.opened(lambda: socket.socket(family, kind, protocol))
        made.setblocking(False)
        self._sockets.append(made)
        return trio.socket.from_stdlib_socket(made)

    async def listens(self, address: str, port: int) -> trio.SocketListener:
        """TCP."""
        made = self.socket(_family(address))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await made.bind((address, port))
        made.listen()
        return trio.SocketListener(made)

    async def accepts(self, listener: trio.SocketListener) -> trio.SocketStream:
        stream = await listener.accept()
        self._streams.append(stream)
        return stream

    async def connects(self, address: str, port: int, seconds: float = 2) -> trio.SocketStream | None:
        """TCP; None where nothing comes of it."""
        made = self.socket(_family(address))
        with trio.move_on_after(seconds):
            try:
                await made.connect((address, port))
            except OSError:
                return None
            return trio.SocketStream(made)
        return None

    async def bound(self, address: str, port: int = 0) -> trio.socket.SocketType:
        """UDP."""
        made = self.socket(_family(address), socket.SOCK_DGRAM)
        await made.bind((address, port))
        return made

    async def asks(self, *command: str) -> bool:
        """Whether a command within succeeds."""
        done = await self.tried(*command)
        return bool(done.returncode == 0)

    async def tried(self, *command: str) -> Any:
        return await trio.run_process(self.entering(command), check=False, capture_stdout=True, capture_stderr=True)

    async def pings(self, address: str, *more: str) -> bool:
        return await self.asks("ping", "-n", "-c", "1", "-W", "1", *more, address)

    async def loses(self, address: str) -> bool:
        """Whether a ping is not answered."""
        return not await self.asks("ping", "-n", "-c", "1", "-W", "0.3", address)

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        for stream in self._streams:
            stream.socket.close()
        self._namespaces.close()


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
