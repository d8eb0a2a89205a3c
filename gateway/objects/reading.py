"""What a reader sees of an object: its own bytes, or those of the segments that a manifest names."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from store.objects.interface import Buffer, OpenObject

T = TypeVar("T")
Sink = Callable[[Buffer], Awaitable[None]]
Pour = Callable[[OpenObject, int, int, Sink], Awaitable[None]]
"""Gives the bytes [start, stop) of an open object to a sink: `pour`, or with a bound for all downloads together."""


class ReadView(Protocol):
    """Something to read: `size` bytes, named by `etag` (without quotes)."""

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...

    @property
    def composite(self) -> bool:
        """Whether the etag is made of segments' etags, and so is no MD5 of the bytes."""
        ...

    @property
    def inline(self) -> Buffer | None:
        """All bytes, where they are at hand."""
        ...

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        """Give the bytes [start, stop) to `sink`, piece by piece, each before the next is read.

        Raises SegmentError where a manifest's segments are not what it says.
        """
        ...


class PlainView:
    """An object's own bytes."""

    __slots__ = ("etag", "opened", "size")

    composite = False

    def __init__(self, opened: OpenObject) -> None:
        self.opened = opened
        self.size = opened.info.size
        self.etag = opened.info.etag

    @property
    def inline(self) -> Buffer | None:
        return self.opened.inline

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        await how(self.opened, start, stop, sink)


class BytesView:
    """Bytes made here."""

    __slots__ = ("data", "etag", "size")

    composite = False

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.etag = hashlib.md5(data, usedforsecurity=False).hexdigest()

    @property
    def inline(self) -> Buffer | None:
        return self.data

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        await sink(self.data[start:stop])


async def pour(opened: OpenObject, start: int, stop: int, sink: Sink) -> None:
    """Give an open object's bytes to `sink`."""
    async with closing(opened.read(start, stop)) as pieces:
        async for piece in pieces:
            await sink(piece)


@asynccontextmanager
async def closing(pieces: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close a generator that is left half read, here and not whenever it is collected."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


async def whole(opened: OpenObject) -> bytes:
    """All bytes of a small object."""
    if opened.inline is not None:
        return bytes(opened.inline)
    gathered = bytearray()

    async def gather(piece: Buffer) -> None:
        gathered.extend(piece)

    await pour(opened, 0, opened.info.size, gather)
    return bytes(gathered)
