"""What a reader sees of an object: its own bytes, or those of the segments that a manifest names."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar
from urllib.parse import quote

from gateway.swift.dates import http_date, modified_seconds, timestamp
from gateway.swift.errors import Fields
from gateway.swift.metadata import RAW
from store.objects.interface import Buffer, OpenObject
from store.objects.model import ObjectInfo

T = TypeVar("T")
Sink = Callable[[Buffer], Awaitable[None]]
Pour = Callable[[OpenObject, int, int, Sink], Awaitable[None]]
"""Gives the bytes [start, stop) of an open object to a sink: `pour`, or with a bound for all downloads together."""

MANIFEST = "x-object-manifest"
STATIC = "x-static-large-object"
SLO_ETAG, SLO_SIZE, SLO_DEPTH = ".slo-etag", ".slo-size", ".slo-depth"
"""Notes kept with a static large object: etag and size of the whole, so that HEAD reads no manifest, and how many
manifests there are within each other, this one counted."""

LINK_TARGET, LINK_ACCOUNT, LINK_ETAG, LINK_BYTES = ".link-target", ".link-account", ".link-etag", ".link-bytes"
"""Notes of a symlink: what it names, in which account if another, and etag and size where it vouches for them."""

VERSION_ID, VERSION_PLACE = ".version-id", ".version-place"
"""Notes of an object in a container with versions: which version it is; the path of that, where it is the current."""

_SHOWN_NOTES = {
    LINK_TARGET: b"x-symlink-target",
    LINK_ACCOUNT: b"x-symlink-target-account",
    LINK_ETAG: b"x-symlink-target-etag",
    LINK_BYTES: b"x-symlink-target-bytes",
    VERSION_ID: b"x-object-version-id",
    VERSION_PLACE: b"content-location",
}
"""The notes that are shown, those of a symlink only where it is not followed."""


class ReadView(Protocol):
    """Something to read: `size` bytes, named by `etag` (without quotes)."""

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...

    @property
    def quoted(self) -> bool:
        """Whether the etag is shown in quotes, as Swift does where it is no MD5 of the bytes."""
        ...

    @property
    def kind(self) -> str | None:
        """A content type in the place of the object's own."""
        ...

    @property
    def extra(self) -> Fields:
        """Fields besides the object's own."""
        ...

    @property
    def inline(self) -> Buffer | None:
        """All bytes, where they are at hand."""
        ...

    @property
    def several(self) -> bool:
        """Whether one answer may have several ranges; else such a request is answered with the whole."""
        ...

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        """Give the bytes [start, stop) to `sink`, piece by piece, each before the next is read.

        Raises SegmentError where a manifest's segments are not what it says.
        """
        ...


class PlainView:
    """An object's own bytes."""

    __slots__ = ("etag", "kind", "opened", "size")

    quoted = False
    several = True

    def __init__(self, opened: OpenObject, kind: str | None = None) -> None:
        self.opened = opened
        self.size = opened.info.size
        self.etag = opened.info.etag
        self.kind = kind

    @property
    def extra(self) -> Fields:
        return []

    @property
    def inline(self) -> Buffer | None:
        return self.opened.inline

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        await how(self.opened, start, stop, sink)


class BytesView:
    """Bytes made here."""

    __slots__ = ("data", "etag", "size")

    quoted = False
    kind = None
    several = True

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.etag = hashlib.md5(data, usedforsecurity=False).hexdigest()

    @property
    def extra(self) -> Fields:
        return []

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


def fields(info: ObjectInfo, etag: str, *, quoted: bool, kind: str | None = None) -> Fields:
    """The headers that describe an object."""
    head = info.head
    found: Fields = [
        (b"content-type", (kind or head.content_type).encode()),
        (b"etag", f'"{etag}"'.encode() if quoted else etag.encode()),
        (b"last-modified", http_date(modified_seconds(info.changed))),
        (b"x-timestamp", timestamp(info.changed)),
        (b"accept-ranges", b"bytes"),
    ]
    for name, value in head.headers.items():
        if name.startswith(RAW):
            found.append((name[len(RAW) :].encode("latin-1"), value.encode("latin-1")))
        elif name[0] != ".":  # the gateway's own notes, which no client sees
            found.append((name.encode(), value.encode()))
        elif name in _SHOWN_NOTES:
            found.append((_SHOWN_NOTES[name], (value if name == VERSION_PLACE else quote(value)).encode()))
    if head.expires_at is not None:
        found.append((b"x-delete-at", b"%d" % head.expires_at))
    return found
