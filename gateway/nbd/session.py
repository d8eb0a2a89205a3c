"""One client from the greeting to the end: handshake, TLS, the export that it opens, transmission."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Iterator
from typing import Final

import trio

from gateway.nbd.commands import Commands
from gateway.nbd.connection import Connection
from gateway.nbd.exports import Exports
from gateway.nbd.limits import Limits
from gateway.nbd.negotiation import (
    Abort,
    Action,
    ListExports,
    LookAtExport,
    Negotiation,
    OpenExport,
    Reply,
    StartTls,
    Tls,
)
from gateway.nbd.protocol import OptionReply, ProtocolError
from gateway.nbd.transport import SocketTransport, StreamTransport, Transport
from store.core.errors import DrystoneError, NotFoundError

logger = logging.getLogger(__name__)

_READ_BYTES: Final = 4096


class Session:
    """A connection that was accepted. `run` once; it owns the socket."""

    def __init__(
        self,
        transport: SocketTransport,
        exports: Exports,
        limits: Limits,
        *,
        tls: ssl.SSLContext | None,
        listing: bool,
    ) -> None:
        self._socket = transport
        self._transport: Transport = transport
        self._exports = exports
        self._limits = limits
        self._tls = tls
        self._negotiation = Negotiation(Tls.REQUIRED if tls else Tls.NONE, listing=listing)
        self._connection: Connection | None = None
        self._left = limits.handshake
        """Seconds of the handshake that the client may still take."""
        self._waiting: trio.CancelScope | None = None
        """Around what waits for the client, in the handshake."""
        self._stopped = False

    def stop(self) -> None:
        """Ends it when what is in flight is done."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._connection is not None:
            self._connection.end_input()

    async def run(self) -> None:
        clean = False
        try:
            clean = await self._negotiate()
        except (OSError, ProtocolError) as error:
            logger.info("a client was dropped: %s", error)
        finally:
            if clean:
                with trio.move_on_after(self._limits.handshake):
                    await self._transport.close()
            await self._transport.abort()

    async def _negotiate(self) -> bool:
        """Was the connection ended as it should be?"""
        await self._send(self._negotiation.greeting)
        while True:
            action = await self._next_action()
            if action is None:
                return False
            match action:
                case Reply(data):
                    await self._send(data)
                case Abort(data):
                    await self._send(data)
                    return True
                case StartTls(data):
                    await self._send(data)
                    await self._start_tls()
                case ListExports():
                    await self._send(self._negotiation.listed(await self._exports.names()))
                case LookAtExport():
                    await self._send(await self._told(action.name))
                case OpenExport():
                    if await self._open(action):
                        return True

    async def _next_action(self) -> Action | None:
        """None: the client has ended its side."""
        while (action := self._negotiation.next_action()) is None:
            with self._client_time():
                data = await self._transport.receive(_READ_BYTES)
            if not data:
                return None
            self._negotiation.feed(data)
        return action

    async def _told(self, name: str) -> bytes:
        """What a client hears that only wants to know about an export."""
        try:
            found = await self._exports.look(name)
        except DrystoneError as error:
            return self._negotiation.not_opened(*_refusal(error))
        return self._negotiation.opened(found.size, read_only=found.read_only)

    async def _open(self, action: OpenExport) -> bool:
        """Has there been a transmission?"""
        answered = False
        try:
            async with self._exports.open(action.name) as disk:
                answered = True
                await self._send(self._negotiation.opened(disk.size, read_only=disk.read_only))
                agreement = self._negotiation.agreement()
                commands = Commands(disk, structured=agreement.structured, allocation=agreement.allocation)
                self._connection = Connection(self._transport, commands, self._limits, agreement.rest)
                if self._stopped:
                    self._connection.end_input()
                await self._connection.run()
                return True
        except DrystoneError as error:
            refusal = _refusal(error)
        if answered:
            logger.warning("export %r was not closed in good order: %s", action.name, refusal[1])
            return True
        await self._send(self._negotiation.not_opened(*refusal))
        return False

    async def _start_tls(self) -> None:
        assert self._tls is not None
        raw = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket.sock))
        # Requests say where they end: a close_notify that does not come tells nothing.
        stream = trio.SSLStream(raw, self._tls, server_side=True, https_compatible=True)
        with self._client_time():
            try:
                await stream.do_handshake()
            except trio.BrokenResourceError as error:
                raise ConnectionError(f"no TLS handshake: {error.__cause__ or error}") from error
        self._transport = StreamTransport(stream)

    async def _send(self, data: bytes) -> None:
        with self._client_time():
            await self._transport.send([data], self._left)

    @contextlib.contextmanager
    def _client_time(self) -> Iterator[None]:
        """What waits for the client is done in this. Raises ConnectionError where its time is over."""
        began = trio.current_time()
        with trio.CancelScope(deadline=began + self._left) as scope:
            self._waiting = scope
            if self._stopped:
                scope.cancel()
            yield
        self._waiting = None
        self._left -= trio.current_time() - began
        if scope.cancelled_caught:
            raise ConnectionError("the server stops" if self._stopped else "the handshake is too slow")


def _refusal(error: DrystoneError) -> tuple[OptionReply, str]:
    """What a client hears whose export cannot be had."""
    return OptionReply.ERR_UNKNOWN if isinstance(error, NotFoundError) else OptionReply.ERR_POLICY, str(error)
