"""Manifests: the segments that a large object is made of, as they are asked for and as they are kept. Pure.

A kept manifest is a JSON list. An entry is `{"data": <base64>}`, or names a segment: `name`, `bytes`, `hash`,
`content_type`, `last_modified`, a `range` (`first-last`) where it is not the whole, `sub_slo` where it is a manifest
itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.objects import ranges
from store.core.errors import DamageError


@dataclass(frozen=True, slots=True)
class Wanted:
    """A segment as a client asks for it: bytes of its own (`data`), or an object with what it is said to be."""

    path: str = ""
    etag: str | None = None
    size: int | None = None
    range: ranges.Asked | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is kept. `first` and `last` are the bytes of it that count."""

    container: str
    object: str
    size: int
    etag: str
    first: int
    last: int
    sub: bool
    data: bytes | None = None

    @property
    def length(self) -> int:
        """Bytes that it adds to the whole."""
        return self.last - self.first + 1


def etag_of(entries: Sequence[dict[str, Any]]) -> str:
    """The etag of the whole: the MD5 over its parts' own, with their ranges."""
    whole = hashlib.md5(usedforsecurity=False)
    for entry in entries:
        if "data" in entry:
            part = hashlib.md5(base64.b64decode(entry["data"]), usedforsecurity=False).hexdigest()
        elif "range" in entry:
            part = f"{entry['hash']}:{entry['range']};"
        else:
            part = entry["hash"]
        whole.update(part.encode())
    return whole.hexdigest()


def load(kept: bytes) -> list[Segment]:
    """A kept manifest. Raises DamageError for anything that was not written by `json.dumps` of checked entries."""
    try:
        return [_segment(entry) for entry in json.loads(kept)]
    except (ValueError, TypeError, KeyError) as error:
        raise DamageError(f"no manifest ({error!r})") from error


def _segment(entry: dict[str, Any]) -> Segment:
    if "data" in entry:
        data = base64.b64decode(entry["data"])
        return Segment("", "", len(data), "", 0, len(data) - 1, False, data)
    container, _, name = entry["name"].lstrip("/").partition("/")
    size = int(entry["bytes"])
    first, last = 0, size - 1
    if "range" in entry:
        first, last = (int(edge) for edge in entry["range"].split("-"))
    return Segment(container, name, size, entry["hash"], first, last, bool(entry.get("sub_slo")))
