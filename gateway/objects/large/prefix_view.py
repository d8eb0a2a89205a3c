"""Manifests by prefix: an object whose bytes are those of all objects under a prefix, as they are now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from urllib.parse import unquote

from gateway.objects.access.caller import Caller
from gateway.objects.errors import SegmentError
from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import PREFIX_MANIFEST
from gateway.objects.reading import Pour, Sink
from gateway.objects.versions.store import VersionedStore
from store.core.errors import NotFoundError
from store.objects.interface import Buffer
from store.objects.model import Container, ListingQuery, ObjectEntry, ObjectInfo

PAGES_MAX = 10
"""Pages of a listing that one manifest may stand for: each request for it lists them all."""


@dataclass(slots=True)
class PrefixView:
    """All segments of one manifest; the first page of them is at hand, the others are listed again when read."""

    store: VersionedStore
    container: Container
    query: ListingQuery
    segments: list[ObjectEntry]
    size: int
    etag: str
    composite: bool = True
    inline: Buffer | None = None

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        segments, at = self.segments, 0
        while segments:
            for segment in segments:
                first, last = max(start - at, 0), min(stop - at, segment.size)
                at += segment.size
                if first < last:
                    try:
                        async with self.store.open(self.container, segment.name) as opened:
                            if opened.info.etag != segment.etag:
                                raise SegmentError(f"segment {segment.name!r} changed while it was read")
                            await how(opened, first, last, sink)
                    except NotFoundError:
                        raise SegmentError(f"segment {segment.name!r} is gone") from None
            if at >= stop or len(segments) < self.query.limit:
                return
            segments = await _page(self.store, self.container, self.query, segments[-1].name)


async def _page(store: VersionedStore, container: Container, query: ListingQuery, marker: str) -> list[ObjectEntry]:
    entries = await store.list_objects(container, replace(query, marker=marker))
    return [entry for entry in entries if isinstance(entry, ObjectEntry)]


async def view(layer: ObjectLayer, caller: Caller, container: Container, info: ObjectInfo) -> PrefixView:
    """What a manifest shows. The segments' container must be open to the caller for listing and reading."""
    name, _, prefix = unquote(info.head.headers[PREFIX_MANIFEST]).partition("/")
    held = await layer.container(caller, container.account, name, reading=True, listing=True)
    query = ListingQuery(limit=layer.page_rows, prefix=prefix)
    first = page = await _page(layer.store, held, query, "")
    etag = hashlib.md5(usedforsecurity=False)
    size = 0
    for _ in range(PAGES_MAX):
        for segment in page:
            etag.update(segment.etag.encode())
            size += segment.size
        if len(page) < query.limit:
            return PrefixView(layer.store, held, query, first, size, etag.hexdigest())
        page = await _page(layer.store, held, query, page[-1].name)
    raise SegmentError(f"over {PAGES_MAX * query.limit} segments under {prefix!r}")
