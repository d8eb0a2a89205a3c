"""Dynamic large objects: an object whose bytes are those of all objects under a prefix, as they are now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from gateway.swift.errors import Fields, RefusedError, SegmentError
from gateway.swift.read_view import MANIFEST, Pour, Sink
from gateway.swift.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.objects.interface import Buffer
from store.objects.model import Container, ListingQuery, ObjectEntry, ObjectInfo

_HEADER = MANIFEST.encode()

PAGES_MAX = 10
"""Pages of a listing that one manifest may stand for: each request for it lists them all."""


def manifest_header(request: Request) -> dict[str, str]:
    """The manifest header to keep, if one was sent. Raises RefusedError (400) where it names no prefix."""
    if _HEADER not in request.headers:
        return {}
    value = request.header(_HEADER) or ""
    container, _, prefix = value.partition("/")
    if not container or not prefix or "?" in value or "&" in value or prefix.startswith("/"):
        raise RefusedError(400, "X-Object-Manifest must be in the format container/prefix")
    return {MANIFEST: value}


@dataclass(slots=True)
class DloView:
    """All segments of one manifest; the first page of them is at hand, the others are listed again when read."""

    service: Service
    container: Container
    query: ListingQuery
    segments: list[ObjectEntry]
    size: int
    etag: str
    quoted: bool = True
    inline: Buffer | None = None
    kind: str | None = None
    several: bool = False
    extra: Fields = field(default_factory=list)

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        store = self.service.store
        segments, at = self.segments, 0
        while segments:
            for segment in segments:
                first, last = max(start - at, 0), min(stop - at, segment.size)
                at += segment.size
                if first < last:
                    try:
                        async with store.open(self.container, segment.name) as opened:
                            if opened.info.etag != segment.etag:
                                raise SegmentError(f"segment {segment.name!r} changed while it was read")
                            await how(opened, first, last, sink)
                    except NotFoundError:
                        raise SegmentError(f"segment {segment.name!r} is gone") from None
            if at >= stop or len(segments) < self.query.limit:
                return
            segments = await _page(self.service, self.container, self.query, segments[-1].name)


async def _page(service: Service, container: Container, query: ListingQuery, marker: str) -> list[ObjectEntry]:
    entries = await service.store.list_objects(container, replace(query, marker=marker))
    return [entry for entry in entries if isinstance(entry, ObjectEntry)]


async def view(service: Service, request: Request, container: Container, info: ObjectInfo) -> DloView:
    """What a manifest shows. The segments' container must be open to the principal for listing and reading."""
    name, _, prefix = unquote(info.head.headers[MANIFEST]).partition("/")
    held = await service.container(request, reading=True, listing=True, account=container.account, name=name)
    query = ListingQuery(limit=service.limits.container_listing_limit, prefix=prefix)
    first = page = await _page(service, held, query, "")
    etag = hashlib.md5(usedforsecurity=False)
    size = 0
    for _ in range(PAGES_MAX):
        for segment in page:
            etag.update(segment.etag.encode())
            size += segment.size
        if len(page) < query.limit:
            return DloView(service, held, query, first, size, etag.hexdigest())
        page = await _page(service, held, query, page[-1].name)
    raise SegmentError(f"over {PAGES_MAX * query.limit} segments under {prefix!r}")
