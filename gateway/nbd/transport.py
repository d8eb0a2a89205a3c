"""The two ways to a client: a plain socket, which is driven directly, and any trio stream (TLS).

Both keep the same promises. `receive` gives b"" when the client has ended its side, and lets other tasks run, so that
none can starve them. `send` returns when the kernel (or the TLS layer) has all of it, and raises TooSlowError where the
client takes nothing for `stall` seconds. Both raise OSError if the client is gone. They may be cancelled: a `receive`
has taken nothing then, behind a `send` only `abort` is of use.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import trio

from gateway.nbd.transmission import Buffer

_JOIN_BYTES: Final = 32 * 1024
"""Up to here it is cheaper to copy buffers together than to hand over several."""
_PIECE_BYTES: Final = 256 * 1024
"""What a stream takes at once."""
_BUFFERS_MAX: Final = 512
"""In one call; Linux takes 1,024 (IOV_MAX)."""


class Transport(Protocol):
    """What a connection needs of the network."""

    async def receive(self, size: int) -> bytes:
        """Up to so many."""
        ...

    async def receive_into(self, view: memoryview) -> int:
        """How many bytes came; 0 at the end."""
        ...

    def send_now(self, parts: list[Buffer]) -> list[Buffer]:
        """What is left of them: all that could not be sent without waiting."""
        ...

    async def send(self, parts: Sequence[Buffer], stall: float) -> None: ...

    async def close(self) -> None:
        """Ends the connection in good order. Raises no OSError."""
        ...

    async def abort(self) -> None:
        """Ends the connection at once."""
        ...


class SocketTransport:
    """A connected stream socket, non-blocking."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @property
    def sock(self) -> socket.socket:
        return self._sock

    async def receive(self, size: int) -> bytes:
        await trio.lowlevel.checkpoint()  # meanwhile the client may have sent more: a wait costs more than this
        while True:
            try:
                return self._sock.recv(size)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)

    async def receive_into(self, view: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return self._sock.recv_into(view)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)

    def send_now(self, parts: list[Buffer]) -> list[Buffer]:
        if sum(map(len, parts)) <= _JOIN_BYTES:
            parts = [b"".join(parts)]
        try:
            while parts:
                parts = _rest(parts, self._sock.sendmsg(parts[:_BUFFERS_MAX]))
        except BlockingIOError:
            pass
        return parts

    async def send(self, parts: Sequence[Buffer], stall: float) -> None:
        left = self.send_now(list(parts))
        while left:
            with trio.fail_after(stall):
                await trio.lowlevel.wait_writable(self._sock)
            left = self.send_now(left)

    async def close(self) -> None:
        self._sock.close()

    async def abort(self) -> None:
        self._sock.close()


class StreamTransport:
    """A trio stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def receive(self, size: int) -> bytes:
        try:
            return bytes(await self._stream.receive_some(size))
        except trio.BrokenResourceError as error:
            raise ConnectionError(f"lost: {error.__cause__ or error}") from error

    async def receive_into(self, view: memoryview) -> int:
        try:
            data = await self._stream.receive_some(len(view))
        except trio.BrokenResourceError as error:
            raise ConnectionError(f"lost: {error.__cause__ or error}") from error
        view[: len(data)] = data
        return len(data)

    def send_now(self, parts: list[Buffer]) -> list[Buffer]:
        return parts

    async def send(self, parts: Sequence[Buffer], stall: float) -> None:
        try:
            for piece in _pieces(parts):
                with trio.fail_after(stall):
                    await self._stream.send_all(piece)
        except trio.BrokenResourceError as error:
            raise ConnectionError(f"lost: {error.__cause__ or error}") from error

    async def close(self) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # it is closed in any case
            await self._stream.aclose()

    async def abort(self) -> None:
        await trio.aclose_forcefully(self._stream)


def _pieces(parts: Sequence[Buffer]) -> Iterator[Buffer]:
    """Small enough that a client that takes anything takes each in time."""
    if sum(map(len, parts)) <= _JOIN_BYTES:
        yield b"".join(parts)
        return
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _PIECE_BYTES):
            yield view[start : start + _PIECE_BYTES]


def _rest(parts: list[Buffer], sent: int) -> list[Buffer]:
    """What is left of them."""
    for number, end in enumerate(itertools.accumulate(map(len, parts))):
        if end > sent:
            part = parts[number]
            return [memoryview(part)[len(part) - (end - sent) :], *parts[number + 1 :]]
    return []
