"""Listings as text, JSON and XML. Pure: entries in, bytes out, in slices so that others can have their turn between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from gateway.objects.notes import (
    LISTED_BYTES,
    LISTED_LINK,
    LISTED_LINK_BYTES,
    LISTED_LINK_ETAG,
    LISTED_MANIFEST_ETAG,
    LISTED_VERSION,
)
from gateway.objects.slices import SLICE
from gateway.swift.protocol.dates import iso
from gateway.swift.protocol.locations import version_path
from gateway.swift.protocol.media_types import PLAIN
from store.objects.model import ContainerEntry, ObjectEntry, Policy, Subdir

Row = dict[str, Any]
_quoted = json.encoder.encode_basestring_ascii

NAMES_SLICE = 5 * SLICE
"""Names alone are written out so many at once."""
_OBJECT_FIELDS = ("name", "hash", "bytes", "content_type", "last_modified")
_CONTAINER_FIELDS = ("name", "count", "bytes", "last_modified", "storage_policy")


def object_row(entry: ObjectEntry | Subdir, account: str, container: str) -> Row:
    """An object of a container as JSON listings show it."""
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
        if LISTED_MANIFEST_ETAG in extra:
            row["slo_etag"] = f'"{extra[LISTED_MANIFEST_ETAG]}"'
        if LISTED_VERSION in extra:
            row["version_symlink"] = True
            row["symlink_path"] = version_path(account, container, entry.name, extra[LISTED_VERSION])
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


def names(some: Sequence[str]) -> Iterator[bytes]:
    """A listing of names alone, a line each, slice by slice."""
    for start in range(0, len(some), NAMES_SLICE):
        yield "".join([f"{name}\n" for name in some[start : start + NAMES_SLICE]]).encode()


def objects(entries: Sequence[ObjectEntry | Subdir], account: str, container: str, kind: str) -> Iterator[bytes]:
    """A container's listing in one of `media_types.TYPES`, slice by slice."""
    if kind == PLAIN:
        return _text(entries)
    if not kind.endswith("xml"):
        return _json_list(_json_object(entry, account, container) for entry in entries)
    return _xml("container", container, (_object_element(object_row(entry, account, container)) for entry in entries))


def containers(
    entries: Sequence[ContainerEntry | Subdir], account: str, kind: str, policies: Mapping[int, Policy]
) -> Iterator[bytes]:
    """An account's listing in one of `media_types.TYPES`, slice by slice."""
    if kind == PLAIN:
        return _text(entries)
    rows = (container_row(entry, policies) for entry in entries)
    if not kind.endswith("xml"):
        return json_list(rows)
    return _xml("account", account, (_container_element(row) for row in rows), "\n")


def _text(entries: Sequence[ObjectEntry | ContainerEntry | Subdir]) -> Iterator[bytes]:
    """A name a line."""
    for start in range(0, len(entries), SLICE):
        yield "".join([f"{entry.name}\n" for entry in entries[start : start + SLICE]]).encode()


def json_list(rows: Iterator[Row]) -> Iterator[bytes]:
    """A list of rows."""
    return _json_list(map(json.dumps, rows))


def _json_list(rows: Iterator[str]) -> Iterator[bytes]:
    before = "["
    while some := ", ".join(islice(rows, SLICE)):
        yield (before + some).encode("ascii")
        before = ", "
    yield b"[]" if before == "[" else b"]"


def _json_object(entry: ObjectEntry | Subdir, account: str, container: str) -> str:
    """The same as `json.dumps(object_row(...))`; spelled out for nearly all, which costs half of it."""
    if isinstance(entry, Subdir) or entry.listing:
        return json.dumps(object_row(entry, account, container))
    name, size, etag, content_type, _, changed = entry
    return (
        f'{{"name": {_quoted(name)}, "hash": "{etag}", "bytes": {size}, "content_type": {_quoted(content_type)}, '
        f'"last_modified": "{iso(changed)}"}}'
    )


def _xml(root: str, name: str, elements: Iterator[str], space: str = "") -> Iterator[bytes]:
    begun = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} name="{_attribute(name)}"'
    first = "".join(islice(elements, SLICE))
    if not (space or first):
        yield f"{begun} />".encode()
        return
    yield f"{begun}>{space}{first}".encode()
    while some := "".join(islice(elements, SLICE)):
        yield some.encode()
    yield f"</{root}>".encode()


def _object_element(row: Row) -> str:
    if "subdir" in row:
        return f'<subdir name="{_attribute(row["subdir"])}"><name>{escape(_clean(row["subdir"]))}</name></subdir>'
    return f"<object>{_fields(row, _OBJECT_FIELDS)}</object>"


def _container_element(row: Row) -> str:
    if "subdir" in row:
        return f'<subdir name="{_attribute(row["subdir"])}" />\n'
    return f"<container>{_fields(row, _CONTAINER_FIELDS)}</container>\n"


def _fields(row: Row, names: Sequence[str]) -> str:
    return "".join(
        f"<{name}>{text}</{name}>" if (text := escape(_clean(str(row[name])))) else f"<{name} />"
        for name in names
        if name in row
    )


def _attribute(value: str) -> str:
    return escape(_clean(value), {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"})


_UNFIT = {code: "\ufffd" for code in (*range(0x20), 0xFFFE, 0xFFFF) if code not in (0x09, 0x0A, 0x0D)}


def _clean(value: str) -> str:
    """Without the characters that no XML document can hold, so that one odd name cannot make a listing unreadable."""
    return value.translate(_UNFIT)
