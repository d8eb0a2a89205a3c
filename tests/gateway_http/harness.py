"""A running server, applications for it, and a client that says exactly what a test wants it to say."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from gateway.http import Limits, serve
from gateway.http.asgi import App, Message, Receive, Scope, Send


@dataclass
class Running:
    """A server and how to stop it."""

    port: int
    shutdown: trio.Event
    nursery: trio.Nursery
    finished: trio.Event

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, raw: bytes) -> bytes:
        """Sends `raw` and returns all that comes until the server closes."""
        async with await self.connect() as stream:
            await stream.send_all(raw)
            return await read_all(stream)


@asynccontextmanager
async def running(app: App, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Running]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    shutdown, finished = trio.Event(), trio.Event()

    async def run(task_status: trio.TaskStatus[None]) -> None:
        try:
            await serve(app, listeners, limits=limits or Limits(), tls=tls, shutdown=shutdown, task_status=task_status)
        finally:
            finished.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield Running(listeners[0].socket.getsockname()[1], shutdown, nursery, finished)
        shutdown.set()


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    received = bytearray()
    async for data in stream:
        received += data
    return bytes(received)


async def read_until(stream: trio.abc.ReceiveStream, end: bytes) -> bytes:
    received = bytearray()
    while not received.endswith(end):
        data = await stream.receive_some()
        assert data, f"the server closed after {bytes(received)!r}"
        received += data
    return bytes(received)


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def get(path: str = "/", *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode("latin-1")


async def respond(send: Send, status: int = 200, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or None if the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives back the body, or the path if there is none."""
    body = await read_body(receive)
    if body is not None:
        await respond(send, 200, body or scope["raw_path"])


async def reject(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without looking at the body."""
    await respond(send, 403, b"no\n")


@dataclass
class Recorder:
    """Echoes, and remembers what it saw."""

    scopes: list[Scope] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)

        async def watched() -> Message:
            message = await receive()
            self.messages.append(message)
            return message

        await echo(scope, watched, send)
