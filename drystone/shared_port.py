"""A port that several processes of one user listen on: the kernel gives each connection to one of them (SO_REUSEPORT,
socket(7))."""

from __future__ import annotations

import socket

import trio

from store.core.errors import InvalidError

BACKLOG = 1024


async def bind_shared(host: str, port: int) -> list[trio.socket.SocketType]:
    """A socket on each address of a host. While one is open, nobody else gets the port but who shares it; no connection
    comes to it before it listens. Port 0 is any that is free. Raises InvalidError."""
    sockets: list[trio.socket.SocketType] = []
    try:
        for family, kind, protocol, _, address in await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = trio.socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            place = list(address)
            if not port:  # the same on all
                place[1] = sockets[0].getsockname()[1]
            await one.bind(tuple(place))
    except OSError as error:
        for one in sockets:
            one.close()
        raise InvalidError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return sockets


async def listen_shared(host: str, port: int) -> list[trio.SocketListener]:
    """Take the connections that the kernel gives this process. Raises InvalidError."""
    sockets = await bind_shared(host, port)
    for one in sockets:
        one.listen(BACKLOG)
    return [trio.SocketListener(one) for one in sockets]
