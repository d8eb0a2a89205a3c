"""Reading tar archives as they come: heads and contents in order, with never more in memory than one head.

The standard library knows what a head means; it reads only from files that block, so the walk is done here.
"""

from __future__ import annotations

import bz2
import tarfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import trio

BLOCK = 512
HEAD_MAX = 1024 * 1024
"""Extended heads, which name the next member, are read whole; so much of them for one member."""
GLOBAL_MAX = 64 * 1024
"""Of those that hold for all members, which are gone through again with each."""
PIECE = 64 * 1024
SLICE = 4 * 1024
"""So much that is packed is unpacked before others have their turn: it may hold many empty members, or very much."""
RECORDS_MAX = 1000
"""Records of one extended head, or of all that hold for all members."""
HEADS_PER_TURN = 32
"""Heads are taken apart in Python, and an archive may be nothing else; others have their turn in between."""

_HOLES_GO_ON, _MORE_GO_ON = 482, 504
"""Where the head of a sparse member, and each block of the list behind it, says whether another block follows."""


class TarError(ValueError):
    """What came is no archive."""


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...


class _Gzip:
    """zlib's decompressor with the manners of bz2's: it keeps what it has not taken yet. What it is given should be
    short, since what follows a packed member is copied with each."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._waiting = b""

    def decompress(self, data: bytes, max_length: int = PIECE, /) -> bytes:
        data = self._waiting + data
        plain = b""
        while not plain and data:
            if self._inner.eof:  # members may follow each other, and zeros the last
                data = data.lstrip(b"\0")
                if not data:
                    break
                self._inner = zlib.decompressobj(wbits=31)
            plain = self._inner.decompress(data, max_length)
            data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
        self._waiting = data
        return plain

    @property
    def needs_input(self) -> bool:
        return not self._waiting


async def decompressed(pieces: AsyncIterator[bytes], compression: str) -> AsyncGenerator[bytes, None]:
    """The pieces without compression ("", "gz" or "bz2"), each of a bounded size however well it was packed.

    Raises TarError for what was not packed so.
    """
    if not compression:
        async for piece in pieces:
            yield piece
        return
    inner: _Decompressor = _Gzip() if compression == "gz" else bz2.BZ2Decompressor()
    async for piece in pieces:
        for start in range(0, len(piece), SLICE):
            data = piece[start : start + SLICE]
            more = True
            while more:
                try:
                    plain = inner.decompress(data, PIECE)
                except EOFError:
                    return
                except (zlib.error, OSError, ValueError) as error:
                    raise TarError(str(error)) from error
                if plain:
                    yield plain
                await trio.lowlevel.checkpoint()
                more = bool(plain) or not inner.needs_input
                data = b""


class TarReader:
    """`async for member in reader`, then `async for piece in reader.content()` for as much as is wanted."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()
        self._left = 0
        self._padding = 0
        self._global: dict[str, str] = {}
        self._global_room = GLOBAL_MAX
        self._heads = 0

    def __aiter__(self) -> TarReader:
        return self

    async def __anext__(self) -> tarfile.TarInfo:
        await self._skip()
        extended: dict[str, str] = {}
        room = HEAD_MAX
        while True:
            block = await self._take(BLOCK, ending=True)
            if not block or block == bytes(BLOCK):
                if not self._heads and not block:
                    raise TarError("empty file")
                await self._drain()
                raise StopAsyncIteration
            member = self._head(block)
            await self._count_head()
            if member.type == tarfile.GNUTYPE_SPARSE:
                await self._skip_holes(block[_HOLES_GO_ON])
            if member.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                extended |= await self._records(member.size, room)
                room -= BLOCK + member.size
            elif member.type == tarfile.XGLTYPE:
                self._global |= await self._records(member.size, self._global_room)
                self._global_room -= member.size
                if len(self._global) > RECORDS_MAX:
                    raise TarError("too many records for all members")
            elif member.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                text = (await self._whole(member.size, room)).split(b"\0")[0].decode("utf-8", "surrogateescape")
                room -= BLOCK + member.size
                if member.type == tarfile.GNUTYPE_LONGNAME:
                    extended["path"] = text
            else:
                return self._member(member, {**self._global, **extended})

    async def _count_head(self) -> None:
        self._heads += 1
        if self._heads % HEADS_PER_TURN == 0:
            await trio.lowlevel.checkpoint()

    async def _skip_holes(self, more: int) -> None:
        """Past the list of holes that goes on behind the head of a sparse member, outside its stated size."""
        while more:
            more = (await self._take(BLOCK))[_MORE_GO_ON]
            await self._count_head()

    def _head(self, block: bytes) -> tarfile.TarInfo:
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError) as error:
            raise TarError(str(error)) from error
        if member.size < 0:
            raise TarError("a member of negative size")
        return member

    def _member(self, member: tarfile.TarInfo, headers: dict[str, str]) -> tarfile.TarInfo:
        member.pax_headers = headers
        member.name = headers.get("path", member.name)
        try:
            member.size = int(headers.get("size", member.size))
        except ValueError as error:
            raise TarError("a size that is no number") from error
        if member.size < 0:
            raise TarError("a member of negative size")
        self._left = 0 if member.type in _WITHOUT_CONTENT else member.size
        self._padding = -self._left % BLOCK
        return member

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the member that was given last."""
        while self._left:
            if not self._buffer:
                await self._more()
            piece = bytes(self._buffer[: self._left])
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            yield piece

    async def _skip(self) -> None:
        async for _ in self.content():
            pass
        if self._padding:
            await self._take(self._padding)
            self._padding = 0

    async def _drain(self) -> None:
        """Read what follows the end, which is only padding, so that the client can send it."""
        self._buffer.clear()
        async for _ in self._pieces:
            pass

    async def _records(self, size: int, most: int) -> dict[str, str]:
        """The records of an extended head, and others' turn after so many."""
        data = await self._whole(size, most)
        await trio.lowlevel.checkpoint()
        return _pax(data)

    async def _whole(self, size: int, most: int) -> bytes:
        if size > most:
            raise TarError("a head that is too long")
        data = await self._take(size + -size % BLOCK)
        return data[:size]

    async def _take(self, count: int, *, ending: bool = False) -> bytes:
        """So many bytes; none where the archive has ended and may. Raises TarError where it ends in between."""
        while len(self._buffer) < count:
            piece = await anext(self._pieces, None)
            if piece is not None:
                self._buffer += piece
            elif ending and not self._buffer:
                return b""
            else:
                raise TarError("unexpected end of data")
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _more(self) -> None:
        piece = await anext(self._pieces, None)
        if piece is None:
            raise TarError("unexpected end of data")
        self._buffer += piece


_WITHOUT_CONTENT = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
)


def _pax(data: bytes) -> dict[str, str]:
    """The records of an extended head: `<length> <key>=<value>\\n` each."""
    found: dict[str, str] = {}
    start = 0
    while start < len(data) and data[start] != 0:
        blank = data.find(b" ", start, start + 9)
        if blank < 0 or not data[start:blank].isdigit():
            raise TarError("an extended head that cannot be read")
        end = start + int(data[start:blank])
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if not equals or end > len(data) or data[end - 1 : end] != b"\n":
            raise TarError("an extended head that cannot be read")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        start = end
        if len(found) > RECORDS_MAX:
            raise TarError("an extended head with too many records")
    return found
