"""Listings as text, JSON and XML. Pure: entries in, bytes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from gateway.swift.dates import iso
from gateway.swift.listing import PLAIN
from store.objects.model import ContainerEntry, ObjectEntry, Policy, Subdir

Row = dict[str, Any]

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


def objects(entries: Sequence[ObjectEntry | Subdir], container: str, kind: str) -> bytes:
    """A container's listing in one of `listing.TYPES`."""
    if kind == PLAIN:
        return text(entries)
    rows = [object_row(entry) for entry in entries]
    if not kind.endswith("xml"):
        return json.dumps(rows).encode("ascii")
    root = ElementTree.Element("container", name=_clean(container))
    for row in rows:
        if "subdir" in row:
            child = ElementTree.SubElement(root, "subdir", name=_clean(row["subdir"]))
            ElementTree.SubElement(child, "name").text = _clean(row["subdir"])
        else:
            child = ElementTree.SubElement(root, "object")
            _fields(child, row, _OBJECT_FIELDS)
    return _xml(root)


def containers(
    entries: Sequence[ContainerEntry | Subdir], account: str, kind: str, policies: Mapping[int, Policy]
) -> bytes:
    """An account's listing in one of `listing.TYPES`."""
    if kind == PLAIN:
        return text(entries)
    rows = [container_row(entry, policies) for entry in entries]
    if not kind.endswith("xml"):
        return json.dumps(rows).encode("ascii")
    root = ElementTree.Element("account", name=_clean(account))
    root.text = "\n"
    for row in rows:
        if "subdir" in row:
            child = ElementTree.SubElement(root, "subdir", name=_clean(row["subdir"]))
        else:
            child = ElementTree.SubElement(root, "container")
            _fields(child, row, _CONTAINER_FIELDS)
        child.tail = "\n"
    return _xml(root)


def _fields(parent: ElementTree.Element, row: Row, names: Sequence[str]) -> None:
    for name in names:
        if name in row:
            ElementTree.SubElement(parent, name).text = _clean(str(row[name]))


def _xml(root: ElementTree.Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode").encode()


_UNFIT = {code: "\ufffd" for code in (*range(0x20), 0xFFFE, 0xFFFF) if code not in (0x09, 0x0A, 0x0D)}


def _clean(value: str) -> str:
    """Without the characters that no XML document can hold, so that one odd name cannot make a listing unreadable."""
    return value.translate(_UNFIT)
