"""WebSockets: an application that takes a connection over, and clients that keep the protocol or do not."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from gateway.http import serve
from gateway.http.asgi import Receive, Scope, Send
from gateway.http.websocket import EXTENSION, MESSAGE_MAX

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPTED = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""RFC 6455, section 1.3."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    offer = scope["extensions"].get(EXTENSION)
    if offer is None or scope["path"] == "/plain":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"plain"})
        return
    socket = await offer.accept(offer.protocols[0] if offer.protocols else "")
    while (said := await socket.receive()) is not None:
        if said == b"end":
            await socket.close()
            return
        await socket.send(said)


class Client:
    """Of one connection, after its handshake."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.frames = Frames(ConnectionType.CLIENT)

    async def send(self, event: BytesMessage | TextMessage | Ping | CloseConnection) -> None:
        await self.stream.send_all(self.frames.send(event))

    async def next(self) -> object:
        while True:
            for event in self.frames.events():
                return event
            data = await self.stream.receive_some()
            if not data:
                return None
            self.frames.receive_data(bytes(data))


async def head_of(stream: trio.SocketStream, *fields: bytes, path: bytes = b"/") -> bytes:
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: here", *fields, b"", b""]
    await stream.send_all(b"\r\n".join(lines))
    found = b""
    while b"\r\n\r\n" not in found:
        found += await stream.receive_some()
    return found


OFFER = (b"Upgrade: websocket", b"Connection: keep-alive, Upgrade", b"Sec-WebSocket-Version: 13",
         b"Sec-WebSocket-Key: " + KEY)  # fmt: skip


class Served:
    def __init__(self, nursery: trio.Nursery, shutdown: trio.Event, port: int) -> None:
        self.nursery, self.shutdown, self.port = nursery, shutdown, port

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with await self.connect() as stream:
            assert (await head_of(stream, *OFFER)).startswith(b"HTTP/1.1 101 ")
            yield Client(stream)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        shutdown = trio.Event()
        await nursery.start(lambda task_status: serve(echo, listeners, shutdown=shutdown, task_status=task_status))
        yield Served(nursery, shutdown, listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def test_the_handshake_is_that_of_the_rfc(served: Served) -> None:
    async with await served.connect() as stream:
        head = await head_of(stream, *OFFER, b"Sec-WebSocket-Protocol: binary, base64")
    assert b"Sec-WebSocket-Accept: " + ACCEPTED in head
    assert b"Sec-WebSocket-Protocol: binary" in head


async def test_messages_of_all_sizes_come_back_and_pings_are_answered(served: Served) -> None:
    async with served.client() as client:
        for size in (0, 1, 125, 126, 65_535, 65_536, MESSAGE_MAX):
            data = os.urandom(size)
            await client.send(BytesMessage(data))
            got = b""
            while True:
                event = await client.next()
                assert isinstance(event, BytesMessage)
                got += event.data
                if event.message_finished:
                    break
            assert got == data
        await client.send(Ping(b"there?"))
        event = await client.next()
        assert isinstance(event, Pong)
        assert event.payload == b"there?"
        await client.send(TextMessage("gr\u00fc\u00df"))
        event = await client.next()
        assert isinstance(event, BytesMessage)
        assert event.data == "gr\u00fc\u00df".encode()


async def test_either_side_ends_it(served: Served) -> None:
    async with served.client() as client:
        await client.send(CloseConnection(1000))
        assert isinstance(await client.next(), CloseConnection)
    async with served.client() as client:
        await client.send(TextMessage("end"))
        event = await client.next()
        assert isinstance(event, CloseConnection)
        assert event.code == 1000


async def test_what_is_too_long_or_no_frame_ends_it(served: Served) -> None:
    async with served.client() as client:
        await client.send(BytesMessage(bytes(MESSAGE_MAX + 1)))
        event = await client.next()
        assert isinstance(event, CloseConnection)
        assert event.code == 1009
    async with served.client() as client:
        await client.stream.send_all(b"\xff" * 64)  # reserved bits, no mask
        event = await client.next()
        assert isinstance(event, CloseConnection)
        assert event.code == 1002


async def test_the_server_says_that_it_goes(served: Served) -> None:
    async with served.client() as client:
        served.shutdown.set()
        event = await client.next()
        assert isinstance(event, CloseConnection)
        assert event.code == 1001


@pytest.mark.parametrize(
    "fields",
    [
        OFFER[:3],
        (*OFFER[:2], b"Sec-WebSocket-Version: 8", OFFER[3]),
        (b"Upgrade: h2c", *OFFER[1:]),
        (*OFFER[:3], b"Sec-WebSocket-Key: " + base64.b64encode(b"short")),
        (OFFER[0], *OFFER[2:]),
    ],
)
async def test_what_is_no_whole_offer_is_a_plain_request(served: Served, fields: tuple[bytes, ...]) -> None:
    async with await served.connect() as stream:
        assert (await head_of(stream, *fields)).startswith(b"HTTP/1.1 200 ")


async def test_an_offer_that_is_not_taken_up_leaves_the_connection_as_it_is(served: Served) -> None:
    async with await served.connect() as stream:
        request = b"\r\n".join([b"GET /plain HTTP/1.1", b"Host: here", *OFFER, b"", b""])
        await stream.send_all(request + b"GET /plain HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        found = b""
        while data := await stream.receive_some():
            found += data
    assert found.count(b"HTTP/1.1 200 ") == 2
