"""Listening, accepting, and stopping without cutting anyone off."""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final

import trio

from gateway.http.asgi import App
from gateway.http.connection import Address, Connection
from gateway.http.exchange import Draining
from gateway.http.limits import Limits
from gateway.http.ticker import Ticker
from gateway.http.tls import tls_extension
from gateway.http.transport import SocketTransport, StreamTransport, Transport

logger = logging.getLogger(__name__)

_SHORT_OF: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
_NO_LISTENER: Final = frozenset((errno.EBADF, errno.ENOTSOCK, errno.EINVAL))
_RETRY_ACCEPT: Final = 0.1
_ACCEPTED_A_TURN: Final = 32
"""So many that wait are let in before those that are in have their turn."""


async def serve(
    app: App,
    listeners: Sequence[trio.SocketListener],
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    tls: ssl.SSLContext | None = None,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves `app` on `listeners` (which it closes in the end) until `shutdown` is set or the call is cancelled.

    Then it stops accepting, closes idle connections, and gives requests in flight `limits.grace` seconds.
    """
    server = _Server(app, limits, tls)
    try:
        async with trio.open_nursery() as nursery:
            connections = await nursery.start(server.hold)
            try:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(server.accept, listener, connections)
                    task_status.started()
                    if shutdown is None:
                        await trio.sleep_forever()
                    else:
                        await shutdown.wait()
                    accepting.cancel_scope.cancel()
            finally:
                for listener in listeners:
                    listener.socket.close()
                server.stop()
    finally:
        for listener in listeners:
            listener.socket.close()


class _Handshake:
    """A connection that is not yet secure: nothing has come of it that counts."""

    silent: Final = True

    def __init__(self, since: float) -> None:
        self.since = since
        self.scope = trio.CancelScope()

    def retire(self) -> None:
        self.scope.cancel()


class _Server:
    def __init__(self, app: App, limits: Limits, tls: ssl.SSLContext | None) -> None:
        self._app = app
        self._limits = limits
        self._tls = tls
        shortest = min(
            limits.head_timeout, limits.idle_timeout, limits.body_timeout, limits.send_timeout, limits.linger_timeout
        )
        self._ticker = Ticker(min(1.0, max(0.01, shortest / 4)))
        self._draining = Draining()
        self._places = trio.Semaphore(limits.connections)
        self._connections: dict[Connection, None] = {}
        self._silent: dict[Connection | _Handshake, None] = {}
        """Those of whom nothing had come when they came in, oldest first; many have spoken meanwhile."""
        self._stopping = trio.Event()
        self._cut = trio.CancelScope(shield=True)

    async def hold(self, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Keeps the connections out of reach of a cancellation until they have had their grace."""
        with self._cut:
            async with trio.open_nursery() as background:
                background.start_soon(self._ticker.run)
                async with trio.open_nursery() as connections:
                    task_status.started(connections)
                    await self._stopping.wait()
                background.cancel_scope.cancel()

    def stop(self) -> None:
        """Begins to drain."""
        self._draining.begun = True
        self._cut.deadline = trio.current_time() + self._limits.grace
        self._stopping.set()
        for connection in self._connections:
            connection.retire()

    async def accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        """Accepts until cancelled, all that wait at once. A lack of descriptors is waited out."""
        server = _address(listener.socket.getsockname())
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:
            listening.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(listening)
                try:
                    for _ in range(_ACCEPTED_A_TURN):
                        sock, address = listening.accept()
                        sock.setblocking(False)
                        await self._take_place(sock)
                        connections.start_soon(self._serve, sock, _address(address), server)
                except BlockingIOError:
                    continue
                except OSError as error:
                    if error.errno in _SHORT_OF:
                        logger.warning("cannot accept a connection: %s", error)
                        self._make_room()
                        await trio.sleep(_RETRY_ACCEPT)
                    elif error.errno in _NO_LISTENER:
                        raise

    async def _take_place(self, sock: socket.socket) -> None:
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            try:
                while True:
                    with trio.move_on_after(self._make_room()):
                        await self._places.acquire()
                        return
            except BaseException:
                sock.close()
                raise

    def _make_room(self) -> float:
        """Close a connection that does nothing: the oldest that has never said a word, else one that waits for its next
        request. For how long it is of no use to ask again."""
        due = trio.current_time() - self._limits.silence
        while self._silent:
            oldest = next(iter(self._silent))
            if oldest.silent and oldest.since > due:
                break
            del self._silent[oldest]
            if oldest.silent:
                oldest.retire()
                return self._limits.silence
        for connection in self._connections:
            if connection.idle and connection.served:
                connection.retire()
                return self._limits.silence
        return max(self._ticker.interval, self._limits.silence)

    async def _serve(self, sock: socket.socket, client: Address | None, server: Address | None) -> None:
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened = await self._open(sock)
            if opened is not None:
                await self._run(*opened, client, server)
        except OSError as error:
            logger.debug("a connection was lost: %s", error)
            sock.close()
        finally:
            self._places.release()

    async def _open(self, sock: socket.socket) -> tuple[Transport, dict[str, Any]] | None:
        """The way to the client, and the extensions of ASGI that it has; None where TLS fails."""
        if self._tls is None:
            return SocketTransport(sock, self._ticker), {}
        stream = trio.SSLStream(trio.SocketStream(trio.socket.from_stdlib_socket(sock)), self._tls, server_side=True)
        handshake = _Handshake(trio.current_time())
        self._silent[handshake] = None
        try:
            with handshake.scope, trio.fail_after(self._limits.head_timeout):
                await stream.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            logger.debug("no TLS handshake: %s", error.__cause__ or error)
            await trio.aclose_forcefully(stream)
            return None
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        finally:
            self._silent.pop(handshake, None)
        if handshake.scope.cancelled_caught:
            await trio.aclose_forcefully(stream)
            return None
        return StreamTransport(stream, self._ticker), {"tls": tls_extension(stream)}

    async def _run(
        self, transport: Transport, extensions: dict[str, Any], client: Address | None, server: Address | None
    ) -> None:
        scheme = "http" if self._tls is None else "https"
        connection = Connection(
            self._app,
            transport,
            self._ticker,
            self._limits,
            self._draining,
            scheme=scheme,
            client=client,
            server=server,
            extensions=extensions,
        )
        self._connections[connection] = self._silent[connection] = None
        try:
            await connection.run()
        finally:
            del self._connections[connection]
            self._silent.pop(connection, None)


def _address(address: object) -> Address | None:
    if isinstance(address, tuple) and len(address) >= 2:
        return str(address[0]), int(address[1])
    if isinstance(address, str) and address:
        return address, None
    return None
