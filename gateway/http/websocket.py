"""WebSockets (RFC 6455): an application takes over the connection of a request that offers one.

ASGI has a protocol of its own for them, of which nothing here would need more than this: where a client offers a
WebSocket, the `extensions` of the request's scope have an `Offer`. An application that wants it accepts, and has the
connection from then on, until its handler returns. Frames are wsproto's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from gateway.http.asgi import Headers
from gateway.http.errors import ClientDisconnected, Interrupted, TimedOut
from gateway.http.exchange import Draining, Exchange
from gateway.http.limits import Limits
from gateway.http.reader import RequestReader
from gateway.http.ticker import Ticker
from gateway.http.transport import Transport

EXTENSION: Final = "drystone.websocket"
VERSION: Final = b"13"
MESSAGE_MAX: Final = 1024 * 1024
LOOK_S: Final = 2.0
"""How often it is looked whether the server is about to stop."""
SILENCE_S: Final = 30.0
"""After so long without a word the client is asked for one, and is gone after as long again."""
GOING_AWAY: Final = 1001
TOO_BIG: Final = 1009
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Offer:
    """That a client would go on by WebSocket."""

    def __init__(
        self,
        headers: Headers,
        exchange: Exchange,
        reader: RequestReader,
        transport: Transport,
        ticker: Ticker,
        limits: Limits,
        draining: Draining,
    ) -> None:
        found = dict(headers)
        self.key = found.get(b"sec-websocket-key", b"")
        self.is_whole = (
            found.get(b"upgrade", b"").lower() == b"websocket"
            and found.get(b"sec-websocket-version") == VERSION
            and len(self.key) == 24
        )
        """Whether it is one that can be taken up."""
        said = found.get(b"sec-websocket-protocol", b"").decode("ascii", "replace")
        self.protocols: Sequence[str] = [one.strip() for one in said.split(",") if one.strip()]
        """That the client would speak within it, the best first."""
        self._exchange = exchange
        self._reader = reader
        self._transport = transport
        self._ticker = ticker
        self._limits = limits
        self._draining = draining

    async def accept(self, protocol: str = "") -> WebSocket:
        """Take the connection over; `protocol` is one of those that are offered, or "". Raises ClientDisconnected."""
        token = base64.b64encode(hashlib.sha1(self.key + _GUID, usedforsecurity=False).digest())
        lines = [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + token,
        ]
        if protocol:
            lines.append(b"Sec-WebSocket-Protocol: " + protocol.encode("ascii"))
        self._exchange.take_over()
        made = WebSocket(self._reader.take_rest(), self._transport, self._ticker, self._limits, self._draining)
        await made.write(b"\r\n".join([*lines, b"", b""]))
        return made


class WebSocket:
    """Messages both ways. One task may receive while another sends."""

    def __init__(self, left: bytes, transport: Transport, ticker: Ticker, limits: Limits, draining: Draining) -> None:
        self._transport = transport
        self._ticker = ticker
        self._limits = limits
        self._draining = draining
        self._frames = Frames(ConnectionType.SERVER)
        self._parts: list[bytes] = []
        self._size = 0
        self._messages: list[bytes] = []
        self._ended = False
        self._left = left

    async def receive(self) -> bytes | None:
        """The next message, of bytes or text; None when the client has ended it, or the server is about to stop. Raises
        ClientDisconnected where the client is gone, or breaks the protocol."""
        heard = self._ticker.now
        asked = False
        if self._left:
            data, self._left = self._left, b""
            await self._take(data)
        while not self._messages:
            if self._ended:
                return None
            if self._draining.begun:
                await self.close(GOING_AWAY)
                return None
            try:
                data = await self._transport.receive(self._limits.body_read, self._ticker.deadline(LOOK_S))
            except Interrupted:
                continue
            except TimedOut:
                if self._ticker.now > heard + 2 * SILENCE_S:
                    raise ClientDisconnected("the client says nothing") from None
                if not asked and self._ticker.now > heard + SILENCE_S:
                    asked = True
                    await self.write(self._frames.send(Ping()))
                continue
            except OSError as error:
                raise ClientDisconnected("the client is gone") from error
            if not data:
                raise ClientDisconnected("the client is gone")
            heard, asked = self._ticker.now, False
            await self._take(data)
        return self._messages.pop(0)

    async def send(self, data: bytes) -> None:
        """A message of bytes. Raises ClientDisconnected."""
        if self._ended:
            raise ClientDisconnected("the client has ended it")
        await self.write(self._frames.send(BytesMessage(data)))

    async def close(self, code: int = 1000) -> None:
        """End it; nothing where it has ended."""
        if self._ended:
            return
        self._ended = True
        try:
            await self.write(self._frames.send(CloseConnection(code)))
        except (ClientDisconnected, LocalProtocolError):
            return  # it is gone before it was told

    async def write(self, data: bytes) -> None:
        """What is no message of its own. Raises ClientDisconnected."""
        try:
            await self._transport.send([data], self._limits.send_timeout)
        except (TimedOut, OSError) as error:
            raise ClientDisconnected("the client is gone") from error

    async def _take(self, data: bytes) -> None:
        self._frames.receive_data(data)
        try:
            for event in self._frames.events():
                if isinstance(event, Ping):
                    await self.write(self._frames.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self._ended = True
                    await self.write(self._frames.send(event.response()))
                elif isinstance(event, TextMessage | BytesMessage):
                    await self._add(event)
        except RemoteProtocolError as error:
            await self.close(error.event_hint.code if isinstance(error.event_hint, CloseConnection) else 1002)
            raise ClientDisconnected(f"the client breaks the protocol: {error}") from error

    async def _add(self, event: TextMessage | BytesMessage) -> None:
        part = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
        self._size += len(part)
        if self._size > MESSAGE_MAX:
            await self.close(TOO_BIG)
            raise ClientDisconnected("a message is too long")
        self._parts.append(part)
        if event.message_finished:
            self._messages.append(b"".join(self._parts))
            self._parts, self._size = [], 0
