"""Manifests of static large objects as clients send them and see them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import quote

import trio

from gateway.objects import ranges as byte_ranges
from gateway.objects.large.manifest import Wanted
from gateway.objects.slices import SLICE
from gateway.swift.protocol import json_items, ranges

_KEYS = frozenset({"path", "etag", "size_bytes", "range"})


MISTAKES_MAX = 1000
"""Mistakes listed; a small manifest could otherwise ask for a very long answer."""


class ManifestError(ValueError):
    """A manifest that cannot be taken; its text has a line for each mistake."""


class TooManyError(ManifestError):
    """A manifest with more entries than anyone may ask to be looked at."""


async def parse(body: bytes, own_path: str, entries_max: int) -> list[Wanted]:
    """A client's manifest. `own_path` is `container/object` of the manifest. Where there are many entries others have
    their turn in between. Raises ManifestError; TooManyError before any entry is looked at."""
    entries = await _entries(body, entries_max)
    wanted: list[Wanted] = []
    mistakes: list[str] = []
    for index, entry in enumerate(entries):
        if index % SLICE == SLICE - 1:
            await trio.lowlevel.checkpoint()
        try:
            wanted.append(_entry(entry, own_path, last=index == len(entries) - 1))
        except ManifestError as mistake:
            mistakes.append(f"Index {index}: {mistake}\n")
            if len(mistakes) == MISTAKES_MAX:
                break
    if entries and all(isinstance(entry, dict) and "data" in entry for entry in entries):
        mistakes.append("Inline data segments require at least one object-backed segment.\n")
    if mistakes:
        raise ManifestError("".join(mistakes))
    return wanted


async def _entries(body: bytes, entries_max: int) -> list[Any]:
    entries: list[Any] = []
    try:
        for entry in json_items.items(body):
            entries.append(entry)
            if len(entries) > entries_max:
                raise TooManyError(f"A manifest has at most {entries_max} entries")
            if len(entries) % SLICE == 0:
                await trio.lowlevel.checkpoint()
    except ManifestError:
        raise
    except json_items.NoListError:
        raise ManifestError("Manifest must be a list.\n") from None
    except json_items.TooComplicatedError:
        raise ManifestError(f"Index {len(entries)}: too long\n") from None
    except ValueError:
        raise ManifestError("Manifest must be valid JSON.\n") from None
    return entries


def _entry(entry: Any, own_path: str, *, last: bool) -> Wanted:
    if not isinstance(entry, dict):
        raise ManifestError("not a JSON object")
    if "data" in entry:
        _known(entry, frozenset({"data"}))
        return Wanted(data=_data(entry["data"]))
    if "path" not in entry:
        raise ManifestError("expected keys to include one of 'data' or 'path'")
    _known(entry, _KEYS)
    path, etag = entry["path"], entry.get("etag")
    if not isinstance(path, str):
        raise ManifestError('"path" must be a string')
    if etag is not None and not isinstance(etag, str):
        raise ManifestError('"etag" must be a string or null (if provided)')
    if not _storable(path) or "/" not in path.strip("/"):
        raise ManifestError("path does not refer to an object. Path must be of the form /container/object.")
    size = _size(entry.get("size_bytes"))
    if size is not None and size < 1 and not last:
        raise ManifestError("too small; each segment must be at least 1 byte.")
    if path.lstrip("/") == own_path:
        raise ManifestError("manifest must not include itself as a segment")
    asked = _range(entry.get("range"), size)
    return Wanted(path, etag, size, asked)


def _known(entry: dict[str, Any], keys: frozenset[str]) -> None:
    strange = sorted(key for key in entry if key not in keys)
    if strange:
        raise ManifestError(f"extraneous keys {', '.join(json.dumps(key) for key in strange)}")


def _storable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in path


def _data(value: Any) -> bytes:
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        raise ManifestError("data must be valid base64") from None
    if not data:
        raise ManifestError("too small; each segment must be at least 1 byte.")
    return data


def _size(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise ManifestError("invalid size_bytes") from None


def _range(value: Any, size: int | None) -> byte_ranges.Asked | None:
    if not value:
        return None
    asked = ranges.parse(f"bytes={value}") if isinstance(value, str) else None
    if asked is None:
        raise ManifestError("invalid range")
    if len(asked) > 1:
        raise ManifestError("multiple ranges (only one allowed)")
    if size is not None and not byte_ranges.fit(asked, size):
        raise ManifestError("unsatisfiable range")
    return asked


def as_sent(kept: bytes) -> bytes:
    """A kept manifest in the form that a client can send again."""
    entries = json.loads(kept)
    for entry in entries:
        if "data" not in entry:
            for key in ("content_type", "last_modified", "sub_slo"):
                entry.pop(key, None)
            entry["path"], entry["size_bytes"], entry["etag"] = entry.pop("name"), entry.pop("bytes"), entry.pop("hash")
    return json.dumps(entries, sort_keys=True).encode()


def quoted(path: str) -> str:
    """A path as the lists of mistakes name it."""
    return quote(path)
