"""Listening, accepting, and stopping without cutting anyone off."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import ssl
import stat
from typing import Final

import trio

from gateway.nbd.exports import Exports
from gateway.nbd.limits import Limits
from gateway.nbd.session import Session
from gateway.nbd.transport import SocketTransport

logger = logging.getLogger(__name__)

_SHORT_OF: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
_NO_LISTENER: Final = frozenset((errno.EBADF, errno.ENOTSOCK, errno.EINVAL))
_RETRY_ACCEPT: Final = 0.1
_UNIX_SEND_BYTES: Final = 1024 * 1024
"""As far as the system allows it; its usual buffer has no room for two replies of 128 KiB. Those of TCP grow."""
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
"""A client may be silent for ever, but its machine has to answer: two minutes without hold an export no longer."""


async def serve(
    exports: Exports,
    listener: trio.SocketListener,
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    tls: ssl.SSLContext | None = None,
    listing: bool = False,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves `exports` on `listener` (which it closes in the end) until `shutdown` is set or the call is cancelled.
    Then it stops accepting and reading, and gives what is in flight `limits.grace` seconds.

    With `tls` every client has to begin TLS (STARTTLS) before anything else; the context is to ask for the client's
    certificate (`server_context`). Raises ValueError where a listener that machines can reach has none.

    `listing`: LIST tells the names of all exports.
    """
    if listener.socket.family != socket.AF_UNIX and (tls is None or tls.verify_mode is not ssl.CERT_REQUIRED):
        listener.socket.close()
        raise ValueError("over TCP clients have to show a certificate: a context that requires one")
    server = _Server(exports, limits, tls, listing)
    try:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope(shield=True):  # a cancellation now would wait for what nobody stops
                sessions = await nursery.start(server.hold)
            try:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(server.accept, listener, sessions)
                    task_status.started()
                    if shutdown is None:
                        await trio.sleep_forever()
                    else:
                        await shutdown.wait()
                    accepting.cancel_scope.cancel()
            finally:
                listener.socket.close()
                server.stop()
    finally:
        listener.socket.close()


def open_unix_listener(path: str, backlog: int = 128) -> trio.SocketListener:
    """A socket at `path` that only the owner of this process may use. One that is there and that nobody listens at is
    replaced. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is something that is no socket", path)
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(errno.EADDRINUSE, "somebody listens there", path)
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(sock.fileno(), 0o600)  # before there is a file: it is made with this mode, less the umask
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(backlog)
        sock.setblocking(False)
        return trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    except BaseException:
        sock.close()
        raise


class _Server:
    def __init__(self, exports: Exports, limits: Limits, tls: ssl.SSLContext | None, listing: bool) -> None:
        self._exports = exports
        self._limits = limits
        self._tls = tls
        self._listing = listing
        self._places = trio.Semaphore(limits.connections)
        self._sessions: set[Session] = set()
        self._stopping = trio.Event()
        self._cut = trio.CancelScope(shield=True)

    async def hold(self, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Keeps the sessions out of reach of a cancellation until they have had their grace."""
        with self._cut:
            async with trio.open_nursery() as sessions:
                task_status.started(sessions)
                await self._stopping.wait()

    def stop(self) -> None:
        """Begins to drain."""
        self._cut.deadline = trio.current_time() + self._limits.grace
        self._stopping.set()
        for session in self._sessions:
            session.stop()

    async def accept(self, listener: trio.SocketListener, sessions: trio.Nursery) -> None:
        """Accepts until cancelled. A lack of descriptors is waited out."""
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:
            listening.setblocking(False)
            while True:
                await self._places.acquire()
                try:
                    sock = await self._accept(listening)
                except BaseException:
                    self._places.release()
                    raise
                session = Session(
                    SocketTransport(sock), self._exports, self._limits, tls=self._tls, listing=self._listing
                )
                self._sessions.add(session)
                sessions.start_soon(self._run, session)

    async def _accept(self, listening: socket.socket) -> socket.socket:
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                sock, _ = listening.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno in _NO_LISTENER:
                    raise
                if error.errno in _SHORT_OF:
                    logger.warning("cannot accept a connection: %s", error)
                    await trio.sleep(_RETRY_ACCEPT)
                continue
            sock.setblocking(False)
            if sock.family == socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNIX_SEND_BYTES)
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in _KEEPALIVE:
                    sock.setsockopt(socket.IPPROTO_TCP, option, value)
            return sock

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except Exception:  # one client's, and a mistake of ours: the others are served
            logger.exception("a session failed")
        finally:
            self._sessions.discard(session)
            self._places.release()
