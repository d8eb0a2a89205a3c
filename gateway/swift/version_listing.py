"""Listings of all versions: GET of a container with `versions`.

Two ordered pages are laid together: the container's own objects, and the versions in the hidden one. An object's row
without a version of its own is shown as its version `null`; a pointer only says which version is the current one.
"""

from __future__ import annotations

from dataclasses import replace

import trio

from gateway.swift import listing
from gateway.swift.errors import RefusedError
from gateway.swift.listing_formats import LISTED_VERSION, Row, json_list, object_row
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.slices import SLICE, join, sliced
from gateway.swift.version_names import (
    MARKER_TYPE,
    NULL,
    before_versions,
    behind_versions,
    parse,
    ticks_of,
    version_id,
    version_name,
)
from store.objects.model import Container, ListingQuery, ObjectEntry, Subdir

PARAM = "versions"
_RESERVED = frozenset("0123456789.")


def check(request: Request) -> None:
    """Raise RefusedError: 406 unless JSON will do, 400 for markers and delimiters that mean nothing here."""
    accept = request.headers.get(b"accept")
    if "format" in request.query:
        if listing.content_type(request) != listing.JSON:
            raise RefusedError(406)
    elif accept:
        try:
            best = listing.best_match(accept.decode("latin-1"), (listing.JSON,))
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


def _hidden_query(request: Request, query: ListingQuery) -> ListingQuery:
    """The page of versions that stands beside a page of objects."""
    marker = query.marker
    stated = request.param("version_marker")
    if marker:
        if not stated:
            marker = before_versions(marker) if query.reverse else behind_versions(marker)
        elif stated == NULL:
            marker = before_versions(marker)
        else:
            marker = version_name(marker, ticks_of(stated) or 0)
    end = query.end_marker
    if end:
        end = behind_versions(end) if query.reverse else before_versions(end)
    return replace(query, marker=marker, end_marker=end)


async def page(service: Service, request: Request, container: Container, query: ListingQuery) -> bytes:
    """The listing."""
    own = await service.store.list_objects(container, query)
    versions = await service.store.list_versions(container, _hidden_query(request, query))
    pointed = await _pointed(service, request, container, query, own)
    present = {entry.name for entry in own} | pointed.keys()
    rows: list[tuple[str, Row]] = []
    subdirs: set[str] = set()
    async for some in sliced(own, SLICE):
        for entry in some:
            if isinstance(entry, Subdir):
                subdirs.add(entry.name)
            elif LISTED_VERSION not in entry.listing:
                rows.append((entry.name, {**object_row(entry), "version_id": NULL, "is_latest": True}))
    newest: str | None = None if query.reverse else request.param("version_marker") and query.marker
    async for group in sliced(versions, SLICE):
        for version in group:
            if isinstance(version, Subdir):
                subdirs.add(version.name)
                continue
            name, ticks = parse(version.name)
            row = {**object_row(version), "name": name, "version_id": version_id(ticks)}
            if name in present:
                row["is_latest"] = pointed.get(name) == row["version_id"]
            elif version.content_type != MARKER_TYPE:
                row["is_latest"] = False
            elif query.reverse:
                row["is_latest"] = await _is_newest(service, container, version)
            else:
                row["is_latest"] = newest != name
            newest = name
            rows.append((name, row))
    rows += [(name, {"subdir": name}) for name in subdirs]
    rows.sort(key=lambda pair: pair[0].encode(), reverse=query.reverse)
    return await join(json_list(row for _, row in rows[: query.limit]))


async def _pointed(
    service: Service, request: Request, container: Container, query: ListingQuery, own: list[ObjectEntry | Subdir]
) -> dict[str, str]:
    """The current version by object, `null` where it has no id."""
    entries = list(own)
    stated = request.param("version_marker")
    if stated == NULL:  # where there is such a version, it is the current one, and was shown
        return {query.marker: NULL, **_by_name(entries)}
    if stated:  # a page that begins in the middle of an object
        around = ListingQuery(limit=1, prefix=query.marker)
        entries += [
            entry for entry in await service.store.list_objects(container, around) if entry.name == query.marker
        ]
    return _by_name(entries)


def _by_name(entries: list[ObjectEntry | Subdir]) -> dict[str, str]:
    return {entry.name: entry.listing.get(LISTED_VERSION, NULL) for entry in entries if isinstance(entry, ObjectEntry)}


async def _is_newest(service: Service, container: Container, version: ObjectEntry) -> bool:
    await trio.lowlevel.checkpoint()
    name, _ = parse(version.name)
    found = await service.store.list_versions(container, ListingQuery(limit=1, prefix=before_versions(name)))
    return bool(found) and found[0].name == version.name
