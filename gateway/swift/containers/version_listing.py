"""Listings of all versions: GET of a container with `versions`."""

from __future__ import annotations

from gateway.objects.slices import join
from gateway.objects.versions.listing import VersionEntry
from gateway.objects.versions.listing import page as listing_of_versions
from gateway.objects.versions.names import NULL, ticks_of
from gateway.swift.containers.formats import Row, json_list, object_row
from gateway.swift.protocol import listing, media_types
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.objects.model import Container, ListingQuery, Subdir

PARAM = "versions"
_RESERVED = frozenset("0123456789.")


def check(request: Request) -> None:
    """Raise RefusedError: 406 unless JSON will do, 400 for markers and delimiters that mean nothing here."""
    accept = request.headers.get(b"accept")
    if "format" in request.query:
        if listing.content_type(request) != media_types.JSON:
            raise RefusedError(406)
    elif accept:
        try:
            best = media_types.best_match(accept.decode("latin-1"), (media_types.JSON,))
        except ValueError:
            raise RefusedError(400, "Invalid Accept header") from None
        if best is None:
            raise RefusedError(406)
    if "version_marker" in request.query:
        if "marker" not in request.query:
            raise RefusedError(400, "version_marker param requires marker")
        stated = request.param("version_marker")
        if stated != NULL and ticks_of(stated) is None:
            raise RefusedError(400, "invalid version_marker param")
    if not _RESERVED.isdisjoint(request.param("delimiter")):
        raise RefusedError(400, "invalid delimiter param")


async def page(service: Service, request: Request, container: Container, query: ListingQuery) -> bytes:
    """The listing."""
    entries = await listing_of_versions(service.store, container, query, request.param("version_marker"))
    return await join(json_list(map(_row, entries)))


def _row(entry: VersionEntry | Subdir) -> Row:
    if isinstance(entry, Subdir):
        return {"subdir": entry.name}
    return {**object_row(entry.entry, "", ""), "version_id": entry.version, "is_latest": entry.latest}
