"""Listings as text, JSON and XML: entries in, bytes out, a slice at a time so that thousands of entries hold nobody
up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from xml.etree import ElementTree

import trio

from gateway.swift.dates import iso
from gateway.swift.listing import PLAIN
from store.objects.model import ContainerEntry, ObjectEntry, Policy, Subdir

Row = dict[str, Any]
E = TypeVar("E")

SLICE = 200
"""Entries between two turns of the loop."""

_OBJECT_FIELDS = ("name", "hash", "bytes", "content_type", "last_modified")
_CONTAINER_FIELDS = ("name", "count", "bytes", "last_modified", "storage_policy")

LISTED_BYTES = "bytes"
"""Key of `ObjectHead.listing`: the size that a listing shows, where it is not the row's own (a static large object)."""

LISTED_SLO_ETAG = "slo_etag"
"""Key of `ObjectHead.listing`: the etag of a static large object's whole."""

LISTED_LINK, LISTED_LINK_ETAG, LISTED_LINK_BYTES = "link", "link_etag", "link_bytes"
"""Keys of `ObjectHead.listing`: what a symlink names (`account/container/object`); its etag and size where static."""

LISTED_VERSION, LISTED_HASH, LISTED_PLACE = "version", "hash", "place"
"""Keys of `ObjectHead.listing`: the version that is the current one, its etag, and (not kept) its path."""


def object_row(entry: ObjectEntry | Subdir) -> Row:
    """An object as JSON listings show it."""
    if isinstance(entry, Subdir):
        return {"subdir": entry.name}
    row: Row = {
        "name": entry.name,
        "hash": entry.etag,
        "bytes": entry.size,
        "content_type": entry.content_type,
        "last_modified": iso(entry.changed),
    }
    extra = entry.listing
    if extra:
        if LISTED_BYTES in extra:
            row["bytes"] = int(extra[LISTED_BYTES])
        if LISTED_SLO_ETAG in extra:
            row["slo_etag"] = f'"{extra[LISTED_SLO_ETAG]}"'
        if LISTED_VERSION in extra:
            row["version_symlink"] = True
            row["symlink_path"] = extra[LISTED_PLACE]
        elif LISTED_LINK in extra:
            row["symlink_path"] = quote(f"/v1/{extra[LISTED_LINK]}")
            if LISTED_LINK_ETAG in extra:
                row["symlink_etag"] = extra[LISTED_LINK_ETAG]
                row["symlink_bytes"] = int(extra[LISTED_LINK_BYTES])
    return row


def container_row(entry: ContainerEntry | Subdir, policies: Mapping[int, Policy]) -> Row:
    """A container as JSON listings show it."""
    if isinstance(entry, Subdir):
        return {"subdir": entry.name}
    row: Row = {
        "name": entry.name,
        "count": entry.usage.objects,
        "bytes": entry.usage.bytes,
        "last_modified": iso(entry.changed),
    }
    policy = policies.get(entry.policy)
    if policy is not None:
        row["storage_policy"] = policy.name
    return row


def text(entries: Sequence[ObjectEntry | ContainerEntry | Subdir]) -> bytes:
    """A name a line."""
    return "".join([f"{entry.name}\n" for entry in entries]).encode()


async def objects(entries: Sequence[ObjectEntry | Subdir], container: str, kind: str) -> bytes:
    """A container's listing in one of `listing.TYPES`."""
    if kind == PLAIN:
        return text(entries)
    if not kind.endswith("xml"):
        return await _json(entries, object_row)

    def element(entry: ObjectEntry | Subdir) -> ElementTree.Element:
        row = object_row(entry)
        if "subdir" not in row:
            return _fields("object", row, _OBJECT_FIELDS)
        child = ElementTree.Element("subdir", name=_clean(row["subdir"]))
        ElementTree.SubElement(child, "name").text = _clean(row["subdir"])
        return child

    return await _xml(ElementTree.Element("container", name=_clean(container)), entries, element, "")


async def containers(
    entries: Sequence[ContainerEntry | Subdir], account: str, kind: str, policies: Mapping[int, Policy]
) -> bytes:
    """An account's listing in one of `listing.TYPES`."""
    if kind == PLAIN:
        return text(entries)
    if not kind.endswith("xml"):
        return await _json(entries, lambda entry: container_row(entry, policies))

    def element(entry: ContainerEntry | Subdir) -> ElementTree.Element:
        row = container_row(entry, policies)
        if "subdir" in row:
            return ElementTree.Element("subdir", name=_clean(row["subdir"]))
        return _fields("container", row, _CONTAINER_FIELDS)

    return await _xml(ElementTree.Element("account", name=_clean(account)), entries, element, "\n")


async def _json(entries: Sequence[E], row: Callable[[E], Row]) -> bytes:
    slices = []
    for start in range(0, len(entries), SLICE):
        slices.append(json.dumps([row(entry) for entry in entries[start : start + SLICE]])[1:-1])
        await trio.lowlevel.checkpoint()
    return f"[{', '.join(slices)}]".encode("ascii")


async def _xml(
    root: ElementTree.Element, entries: Sequence[E], element: Callable[[E], ElementTree.Element], between: str
) -> bytes:
    whole = ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
    opening, closing = whole[: whole.rindex("</")], whole[whole.rindex("</") :]
    if not entries and not between:
        opening, closing = ElementTree.tostring(root, encoding="unicode"), ""
    slices = [b'<?xml version="1.0" encoding="UTF-8"?>\n', (opening + between).encode()]
    for start in range(0, len(entries), SLICE):
        texts = [ElementTree.tostring(element(e), encoding="unicode") + between for e in entries[start : start + SLICE]]
        slices.append("".join(texts).encode())
        await trio.lowlevel.checkpoint()
    return b"".join([*slices, closing.encode()])


def _fields(tag: str, row: Row, names: Sequence[str]) -> ElementTree.Element:
    element = ElementTree.Element(tag)
    for name in names:
        if name in row:
            ElementTree.SubElement(element, name).text = _clean(str(row[name]))
    return element


_UNFIT = {code: "\ufffd" for code in (*range(0x20), 0xFFFE, 0xFFFF) if code not in (0x09, 0x0A, 0x0D)}


def _clean(value: str) -> str:
    """Without the characters that no XML document can hold, so that one odd name cannot make a listing unreadable."""
    return value.translate(_UNFIT)
