"""Listings of all versions.

Two ordered pages are laid together: the container's own objects, and the versions in the hidden one. An object's row
without a version of its own is shown as its version `null`; a pointer only says which version is the current one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import trio

from gateway.objects.notes import LISTED_VERSION
from gateway.objects.slices import SLICE, sliced
from gateway.objects.versions.names import (
    MARKER_TYPE,
    NULL,
    before_versions,
    behind_versions,
    parse,
    ticks_of,
    version_id,
    version_name,
)
from gateway.objects.versions.store import VersionedStore
from store.objects.model import Container, ListingQuery, ObjectEntry, Subdir


class VersionEntry(NamedTuple):
    """A version as listings show it, under the object's own name."""

    entry: ObjectEntry
    version: str
    latest: bool

    @property
    def name(self) -> str:
        return self.entry.name


def _hidden_query(query: ListingQuery, version_marker: str) -> ListingQuery:
    """The page of versions that stands beside a page of objects."""
    marker = query.marker
    if marker:
        if not version_marker:
            marker = before_versions(marker) if query.reverse else behind_versions(marker)
        elif version_marker == NULL:
            marker = before_versions(marker)
        else:
            marker = version_name(marker, ticks_of(version_marker) or 0)
    end = query.end_marker
    if end:
        end = behind_versions(end) if query.reverse else before_versions(end)
    return replace(query, marker=marker, end_marker=end)


async def page(
    store: VersionedStore, container: Container, query: ListingQuery, version_marker: str
) -> list[VersionEntry | Subdir]:
    """A page of versions behind `query.marker`; with a `version_marker`, behind that version of it."""
    own = await store.list_objects(container, query)
    versions = await store.list_versions(container, _hidden_query(query, version_marker))
    pointed = await _pointed(store, container, query, version_marker, own)
    present = {entry.name for entry in own} | pointed.keys()
    rows: list[VersionEntry | Subdir] = []
    subdirs: set[str] = set()
    async for some in sliced(own, SLICE):
        for entry in some:
            if isinstance(entry, Subdir):
                subdirs.add(entry.name)
            elif LISTED_VERSION not in entry.listing:
                rows.append(VersionEntry(entry, NULL, latest=True))
    newest: str | None = None if query.reverse else version_marker and query.marker
    async for group in sliced(versions, SLICE):
        for version in group:
            if isinstance(version, Subdir):
                subdirs.add(version.name)
                continue
            name, ticks = parse(version.name)
            named = version_id(ticks)
            if name in present:
                latest = pointed.get(name) == named
            elif version.content_type != MARKER_TYPE:
                latest = False
            elif query.reverse:
                latest = await _is_newest(store, container, version)
            else:
                latest = newest != name
            newest = name
            rows.append(VersionEntry(version._replace(name=name), named, latest))
    rows += [Subdir(name) for name in subdirs]
    rows.sort(key=lambda row: row.name.encode(), reverse=query.reverse)
    return rows[: query.limit]


async def _pointed(
    store: VersionedStore,
    container: Container,
    query: ListingQuery,
    version_marker: str,
    own: list[ObjectEntry | Subdir],
) -> dict[str, str]:
    """The current version by object, `null` where it has no id."""
    entries = list(own)
    if version_marker == NULL:  # where there is such a version, it is the current one, and was shown
        return {query.marker: NULL, **_by_name(entries)}
    if version_marker:  # a page that begins in the middle of an object
        around = ListingQuery(limit=1, prefix=query.marker)
        entries += [entry for entry in await store.list_objects(container, around) if entry.name == query.marker]
    return _by_name(entries)


def _by_name(entries: list[ObjectEntry | Subdir]) -> dict[str, str]:
    return {entry.name: entry.listing.get(LISTED_VERSION, NULL) for entry in entries if isinstance(entry, ObjectEntry)}


async def _is_newest(store: VersionedStore, container: Container, version: ObjectEntry) -> bool:
    await trio.lowlevel.checkpoint()
    name, _ = parse(version.name)
    found = await store.list_versions(container, ListingQuery(limit=1, prefix=before_versions(name)))
    return bool(found) and found[0].name == version.name
