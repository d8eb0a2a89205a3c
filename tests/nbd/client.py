"""A plain NBD client for tests, which can also do what no client should."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import trio

from gateway.nbd import protocol
from gateway.nbd.protocol import Command, CommandFlag, Option, OptionReply


class Answer(NamedTuple):
    """A reply to an option."""

    option: int
    kind: int
    data: bytes


class Chunk(NamedTuple):
    """A simple reply (kind -1), or a chunk of a structured one."""

    kind: int
    flags: int
    cookie: int
    error: int
    data: bytes


def option(number: int, data: bytes = b"") -> bytes:
    return protocol.OPTION.pack(protocol.IHAVEOPT, number, len(data)) + data


def string(text: str) -> bytes:
    return protocol.U32.pack(len(text.encode())) + text.encode()


def go_data(name: str, *infos: int) -> bytes:
    return string(name) + struct.pack(f">H{len(infos)}H", len(infos), *infos)


def context_data(name: str, *queries: str) -> bytes:
    return string(name) + protocol.U32.pack(len(queries)) + b"".join(map(string, queries))


def request(
    command: int, offset: int = 0, length: int = 0, *, cookie: int = 0, flags: int = 0, data: bytes = b""
) -> bytes:
    """`length` is that of the data where there are any."""
    head = protocol.REQUEST.pack(protocol.REQUEST_MAGIC, flags, command, cookie, offset, len(data) or length)
    return head + data


def chunks_of(data: bytes, *, simple_reads: int = 0) -> tuple[list[Chunk], bytes]:
    """All whole replies, and what is left. `simple_reads`: the data of a simple reply without an error."""
    found = []
    at = 0
    while True:
        if data[at : at + 4] == protocol.U32.pack(protocol.SIMPLE_REPLY_MAGIC):
            if len(data) - at < 16:
                break
            _, error, cookie = protocol.SIMPLE_REPLY.unpack_from(data, at)
            end = at + 16 + (0 if error else simple_reads)
            if end > len(data):
                break
            found.append(Chunk(-1, 1, cookie, error, data[at + 16 : end]))
        else:
            if len(data) - at < protocol.CHUNK.size:
                break
            magic, flags, kind, cookie, length = protocol.CHUNK.unpack_from(data, at)
            assert magic == protocol.STRUCTURED_REPLY_MAGIC
            end = at + protocol.CHUNK.size + length
            if end > len(data):
                break
            body = data[at + protocol.CHUNK.size : end]
            error = protocol.U32.unpack_from(body)[0] if kind & 0x8000 else 0
            if kind & 0x8000:
                assert struct.unpack_from(">H", body, 4)[0] == len(body) - 6
                body = body[6:]
            found.append(Chunk(kind, flags, cookie, error, body))
        at = end
    return found, data[at:]


class Client:
    """Speaks over a stream, one thing after another."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._data = b""

    async def take(self, length: int) -> bytes:
        """Raises EOFError where the server has closed."""
        while len(self._data) < length:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if not data:
                raise EOFError
            self._data += data
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    async def greet(self, flags: int = 3) -> None:
        assert await self.take(18) == bytes.fromhex("4e42444d41474943 49484156454f5054 0003")
        await self.stream.send_all(protocol.CLIENT_FLAGS.pack(flags))

    async def ask(self, number: int, data: bytes = b"") -> list[Answer]:
        """All replies to an option, up to the last."""
        await self.stream.send_all(option(number, data))
        answers = []
        while True:
            head = await self.take(protocol.OPTION_REPLY.size)
            magic, replied, kind, length = protocol.OPTION_REPLY.unpack(head)
            assert magic == protocol.OPTION_REPLY_MAGIC
            assert replied == number
            answers.append(Answer(replied, kind, await self.take(length)))
            if kind == OptionReply.ACK or kind & 0x80000000:
                return answers

    async def enter(self, name: str = "disk", *, structured: bool = True, allocation: bool = True) -> None:
        """From the greeting into transmission."""
        await self.greet()
        if structured:
            assert (await self.ask(Option.STRUCTURED_REPLY))[-1].kind == OptionReply.ACK
            if allocation:
                await self.ask(Option.SET_META_CONTEXT, context_data(name, "base:allocation"))
        assert (await self.ask(Option.GO, go_data(name)))[-1].kind == OptionReply.ACK

    async def send(self, *requests: bytes) -> None:
        await self.stream.send_all(b"".join(requests))

    async def reply(self, *, read: int = 0) -> Chunk:
        """The next. `read`: the data of a simple reply."""
        data = await self.take(16)
        while True:
            found, rest = chunks_of(data, simple_reads=read)
            if found:
                assert rest == b""
                return found[0]
            data += await self.take(self._missing(data, read))

    def _missing(self, data: bytes, read: int) -> int:
        if data[:4] == protocol.U32.pack(protocol.SIMPLE_REPLY_MAGIC):
            return 16 + read - len(data)
        if len(data) < protocol.CHUNK.size:
            return protocol.CHUNK.size - len(data)
        return int(protocol.CHUNK.unpack_from(data)[4]) + protocol.CHUNK.size - len(data)

    async def do(self, command: int, offset: int = 0, length: int = 0, *, flags: int = 0, data: bytes = b"") -> Chunk:
        await self.send(request(command, offset, length, flags=flags, data=data, cookie=7))
        reply = await self.reply()
        assert reply.cookie == 7
        return reply

    async def read(self, offset: int, length: int) -> bytes:
        reply = await self.do(Command.READ, offset, length)
        assert reply.kind == protocol.ChunkType.OFFSET_DATA, reply
        assert reply.data[:8] == offset.to_bytes(8, "big")
        return reply.data[8:]

    async def write(self, offset: int, data: bytes, *, flags: int = 0) -> None:
        assert (await self.do(Command.WRITE, offset, data=data, flags=flags)).error == 0

    async def status(self, offset: int, length: int, *, one: bool = False) -> Sequence[tuple[int, int]]:
        """(length, state) of each extent."""
        reply = await self.do(Command.BLOCK_STATUS, offset, length, flags=CommandFlag.REQ_ONE if one else 0)
        assert reply.kind == protocol.ChunkType.BLOCK_STATUS, reply
        assert reply.data[:4] == protocol.U32.pack(protocol.BASE_ALLOCATION_ID)
        numbers = struct.unpack(f">{(len(reply.data) - 4) // 4}I", reply.data[4:])
        return list(zip(numbers[::2], numbers[1::2], strict=True))
