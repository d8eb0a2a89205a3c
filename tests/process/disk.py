"""A volume over `nbd.sock`, one request after another: for tests that need to know what was answered."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from types import TracebackType

from gateway.nbd import protocol
from gateway.nbd.protocol import Command, CommandFlag, Info, Option, OptionReply

ANSWER_SECONDS = 240.0


class RefusedError(Exception):
    """What the server said to the name of an export."""


class Disk:
    """Raises OSError with the server's errno, EOFError where it has hung up."""

    def __init__(self, folder: Path, name: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(ANSWER_SECONDS)
        self.size = 0
        try:
            self._sock.connect(str(folder / "nbd.sock"))
            self._go(name)
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._sock.close()

    def _take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                part = self._sock.recv(length - len(data))
            except ConnectionError:
                part = b""
            if not part:
                raise EOFError
            data += part
        return data

    def _go(self, name: str) -> None:
        self._take(protocol.GREETING.size)
        data = struct.pack(">I", len(name.encode())) + name.encode() + struct.pack(">H", 0)
        head = protocol.OPTION.pack(protocol.IHAVEOPT, Option.GO, len(data))
        self._sock.sendall(protocol.CLIENT_FLAGS.pack(3) + head + data)
        while True:
            _, _, kind, length = protocol.OPTION_REPLY.unpack(self._take(protocol.OPTION_REPLY.size))
            said = self._take(length)
            if kind & 0x80000000:
                raise RefusedError(said.decode())
            if kind == OptionReply.INFO and said[:2] == struct.pack(">H", Info.EXPORT):
                (self.size,) = struct.unpack_from(">Q", said, 2)
            if kind == OptionReply.ACK:
                return

    def _ask(self, command: Command, offset: int, length: int, data: bytes = b"", *, durable: bool = False) -> bytes:
        flags = CommandFlag.FUA if durable else 0
        head = protocol.REQUEST.pack(protocol.REQUEST_MAGIC, flags, command, 7, offset, length)
        try:
            self._sock.sendall(head + data)
        except ConnectionError:
            raise EOFError from None
        magic, error, cookie = protocol.SIMPLE_REPLY.unpack(self._take(protocol.SIMPLE_REPLY.size))
        assert (magic, cookie) == (protocol.SIMPLE_REPLY_MAGIC, 7)
        if error:
            raise OSError(error, os.strerror(error))
        return self._take(length) if command == Command.READ else b""

    def read(self, offset: int, length: int) -> bytes:
        return self._ask(Command.READ, offset, length)

    def write(self, offset: int, data: bytes, *, durable: bool = False) -> None:
        self._ask(Command.WRITE, offset, len(data), data, durable=durable)

    def flush(self) -> None:
        self._ask(Command.FLUSH, 0, 0)
