"""A web server on the loopback interface that answers as a test says, byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio


class WebServer:
    """What it was asked for, in order; `answers`: by path, what it sends before it closes the connection."""

    def __init__(self, port: int, answers: Mapping[str, bytes]) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.answers = answers
        self.asked: list[str] = []

    async def handle(self, stream: trio.SocketStream) -> None:
        request = b""
        async with stream:
            while b"\r\n\r\n" not in request:
                piece = await stream.receive_some()
                if not piece:
                    return
                request += piece
            path = request.split(b" ", 2)[1].decode()
            self.asked.append(path)
            await stream.send_all(self.answers[path])


def ok(body: bytes, length: int | None = None) -> bytes:
    """An answer with a body; `length`: what it says of its length, if not the truth."""
    said = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (said, body)


def moved(where: str, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, where.encode())


@asynccontextmanager
async def served(answers: Mapping[str, bytes]) -> AsyncIterator[WebServer]:
    """While this is open."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server = WebServer(listener.socket.getsockname()[1], answers)
        nursery.start_soon(trio.serve_listeners, server.handle, [listener])
        yield server
        nursery.cancel_scope.cancel()
