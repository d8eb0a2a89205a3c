"""The two ways to a client: a plain socket, which is driven directly, and any trio stream (TLS).

Both keep the same promises. `receive` gives b"" when the client has ended its side. `send` returns when the kernel (or
the TLS layer) has taken all bytes, so that a buffer may be used again afterwards. Both raise `ConnectionError` if the
client is gone and `TimedOut` if it does nothing for too long. `interrupt` wakes a waiting `receive`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final, Protocol

import trio

from gateway.http.asgi import Buffer
from gateway.http.errors import Interrupted, TimedOut
from gateway.http.ticker import NEVER, Ticker
from store.core.waits import waited_for_client

_BURST: Final = 16
"""So many reads or writes may succeed at once before other tasks get their turn."""
_JOIN: Final = 16 * 1024
"""Up to here it is cheaper to copy buffers together than to hand over several."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Transport(Protocol):
    """What a connection needs of the network."""

    async def receive(self, size: int, deadline: float, *, yielding: bool = False) -> bytes:
        """Up to `size` bytes, or b"" at the end. A deadline that is not in the future means not to wait. `yielding`
        lets other tasks run first: they give the client time to send, and a wait costs more than that."""

    async def send(self, parts: Sequence[Buffer], timeout: float) -> None:
        """Sends all parts. `timeout` bounds each stretch of time without progress."""

    def interrupt(self) -> None:
        """Makes a `receive` that waits raise `Interrupted`."""

    def send_eof(self) -> None:
        """Ends the outbound side, if that is possible alone."""

    async def close(self) -> None:
        """Ends the connection in good order. Never raises, and closes even if cancelled."""

    async def abort(self) -> None:
        """Ends the connection so that the client notices that something is missing."""


class SocketTransport:
    """A connected stream socket, non-blocking."""

    __slots__ = ("_burst", "_fd", "_interrupted", "_read_deadline", "_reading", "_sock", "_ticker", "_write_deadline")

    def __init__(self, sock: socket.socket, ticker: Ticker) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._ticker = ticker
        self._burst = 0
        self._reading = False
        self._interrupted = False
        self._read_deadline = NEVER
        self._write_deadline = NEVER
        ticker.watch(self)

    async def receive(self, size: int, deadline: float, *, yielding: bool = False) -> bytes:
        if self._reading:
            raise RuntimeError("another task is receiving already")
        if yielding:
            self._burst = 0
            await trio.lowlevel.checkpoint()
        else:
            self._burst += 1
            if self._burst > _BURST:
                await self._take_turns()
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            if deadline <= self._ticker.now:
                raise TimedOut from None
        self._burst = 0
        self._read_deadline = deadline
        self._reading = True
        try:
            while True:
                try:
                    await trio.lowlevel.wait_readable(self._fd)
                except trio.ClosedResourceError:
                    self._check_open()
                try:
                    return self._sock.recv(size)
                except BlockingIOError:
                    if self._interrupted:
                        raise Interrupted from None
                    if self._read_deadline < self._ticker.now:
                        raise TimedOut from None
        finally:
            self._reading = self._interrupted = False

    async def send(self, parts: Sequence[Buffer], timeout: float) -> None:
        self._burst += 1
        if self._burst > _BURST:
            await self._take_turns()
        if len(parts) == 1:
            data = parts[0]
        elif sum(map(len, parts)) <= _JOIN:
            data = b"".join(parts)
        else:
            await self._send_many(parts, timeout)
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent != len(data):
            await self._send_rest([data], sent, timeout)

    async def _send_many(self, parts: Sequence[Buffer], timeout: float) -> None:
        try:
            sent = self._sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        await self._send_rest(parts, sent, timeout)

    async def _send_rest(self, parts: Sequence[Buffer], sent: int, timeout: float) -> None:
        for part in parts:
            if sent >= len(part):
                sent -= len(part)
                continue
            with memoryview(part) as view:
                while sent < view.nbytes:
                    await self._wait_writable(timeout)
                    with contextlib.suppress(BlockingIOError), view[sent:] as rest:
                        sent += self._sock.send(rest)
            sent = 0

    async def _wait_writable(self, timeout: float) -> None:
        self._burst = 0
        since = trio.current_time()
        self._write_deadline = self._ticker.deadline(timeout)
        try:
            while True:
                try:
                    await trio.lowlevel.wait_writable(self._fd)
                except trio.ClosedResourceError:
                    self._check_open()
                    if self._write_deadline < self._ticker.now:
                        raise TimedOut from None
                else:
                    return
        finally:
            self._write_deadline = NEVER
            waited_for_client(since)

    async def _take_turns(self) -> None:
        self._burst = 0
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._sock.fileno() < 0:
            raise ConnectionAbortedError("the connection was closed on this side")

    def expire(self, now: float) -> None:
        if (self._reading and self._read_deadline < now) or self._write_deadline < now:
            trio.lowlevel.notify_closing(self._fd)

    def interrupt(self) -> None:
        if self._reading:
            self._interrupted = True
            trio.lowlevel.notify_closing(self._fd)

    def send_eof(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        self._close()

    async def abort(self) -> None:
        if self._sock.fileno() >= 0:
            _reset_on_close(self._sock)
            self._close()

    def _close(self) -> None:
        self._ticker.forget(self)
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._fd)
            self._sock.close()


class StreamTransport:
    """Any trio stream."""

    __slots__ = ("_interrupted", "_reading", "_stream", "_ticker", "_wait")

    def __init__(self, stream: trio.abc.Stream, ticker: Ticker) -> None:
        self._stream = stream
        self._ticker = ticker
        self._reading = False
        self._interrupted = False
        self._wait: trio.CancelScope | None = None

    async def receive(self, size: int, deadline: float, *, yielding: bool = False) -> bytes:
        if self._wait is not None:
            raise RuntimeError("another task is receiving already")
        self._interrupted = False
        with trio.CancelScope(deadline=deadline) as self._wait:
            try:
                return bytes(await self._stream.receive_some(size))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ConnectionResetError("the client is gone") from error
            finally:
                self._wait = None
        raise Interrupted if self._interrupted else TimedOut

    async def send(self, parts: Sequence[Buffer], timeout: float) -> None:
        if len(parts) > 1 and sum(map(len, parts)) <= _JOIN:
            parts = [b"".join(parts)]
        for part in parts:
            with memoryview(part) as view:
                for start in range(0, view.nbytes, _PIECE):
                    await self._send_piece(view[start : start + _PIECE], timeout)

    async def _send_piece(self, piece: memoryview, timeout: float) -> None:
        since = trio.current_time()
        with piece, trio.CancelScope(deadline=self._ticker.deadline(timeout)) as scope:
            try:
                await self._stream.send_all(piece)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ConnectionResetError("the client is gone") from error
            finally:
                waited_for_client(since)
        if scope.cancelled_caught:
            raise TimedOut

    def interrupt(self) -> None:
        if self._wait is not None:
            self._interrupted = True
            self._wait.cancel()

    def send_eof(self) -> None:
        """TLS cannot end one side alone."""

    async def close(self) -> None:
        with trio.move_on_after(self._ticker.interval):
            with contextlib.suppress(trio.BrokenResourceError):
                await self._stream.aclose()

    async def abort(self) -> None:
        stream = self._stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream  # no close_notify: it would say that nothing is missing
        if isinstance(stream, trio.SocketStream):
            _reset_on_close(stream.socket)
        await trio.aclose_forcefully(stream)


_PIECE: Final = 256 * 1024


def _reset_on_close(sock: socket.socket | trio.socket.SocketType) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
