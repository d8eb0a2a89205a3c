"""What accounts, containers and objects look like inside a row: `summary` (in the index) and `detail` (in the log).

All msgpack, each with its version first.

    object     summary [1, etag (16 bytes), content type, created [us, writer] or 0, listing or 0, location or 0]
               detail  [1, headers]
               location [block bytes, k, m, codec, [device, ...]]: k = 0 says replicated; devices in fragment order
               version 2, the same with location [block bytes, 0, 0, "", [device, ...], [length, ...]]: blocks have
               each its own length, in units of block bytes; none says that they are open
    container  summary [1, container id, shards, created [us, writer] or 0]      detail [1, headers]
    account    summary [1, account id, shards, created [us, writer] or 0]        detail [1, headers]
               of either, while it is being deleted: version 2, the same fields

`created` 0 stands for the row's own stamp, `listing` 0 for an empty mapping, `location` 0 for data within the row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack

from store.core.codec import unknown_version
from store.core.errors import DamageError, InvalidError
from store.core.stamp import Stamp
from store.objects.model import Headers, ObjectEntry, ObjectHead

VERSION = 1
CLOSING_VERSION = 2
LENGTHS_VERSION = 2
"""Of an object summary that says the length of each block."""


_OBJECT_VERSIONS = (VERSION, LENGTHS_VERSION)
_PLAIN_FIELDS = 5
"""Of a location, in version 1."""


class DataLocation(NamedTuple):
    """Where an object's data lie: device ids, by fragment if `k` > 0 (else each has all blocks)."""

    block_bytes: int
    k: int
    m: int
    codec: str
    devices: tuple[int, ...]
    lengths: tuple[int, ...] | None = None
    """Of each block, in units of `block_bytes`, where they have each its own: such data are replicated. None says that
    all have `block_bytes`, but for the last. See `store.objects.block_lengths`."""

    @property
    def is_open(self) -> bool:
        """Whether who writes these data may still append to them: nobody else knows then what blocks there are, and
        none of them is missing anywhere. Once they are sealed, a version of the row with the same data says it."""
        return self.lengths == ()


class ObjectSummary(NamedTuple):
    etag: str
    content_type: str
    created: Stamp
    listing: dict[str, str]
    data_location: DataLocation | None


class TableSummary(NamedTuple):
    """An account or a container: the table that its children are in. `closing` says that it may have been deleted by
    whoever wrote this (see `store.objects.tables`)."""

    id: bytes
    shards: int
    created: Stamp
    closing: bool = False


def encode_object(
    etag: str, head: ObjectHead, created: Stamp | None, data_location: DataLocation | None
) -> tuple[bytes, bytes]:
    """(summary, detail). `created` None says: the row's own stamp. Raises InvalidError where a length is given for
    each block and they cannot have it."""
    version, where = VERSION, data_location and data_location[:_PLAIN_FIELDS]
    if data_location is not None and data_location.lengths is not None:
        if refusal := _refusal(data_location):
            raise InvalidError(refusal)
        version, where = LENGTHS_VERSION, data_location
    summary = msgpack.packb(
        (
            version,
            bytes.fromhex(etag),
            head.content_type,
            created or 0,
            dict(head.listing) if head.listing else 0,
            where or 0,
        )
    )
    return summary, encode_headers(head.headers)


def decode_object(summary: bytes, stamp: Stamp) -> ObjectSummary:
    try:
        fields = msgpack.unpackb(summary)
        if fields[0] not in _OBJECT_VERSIONS:
            raise unknown_version("object summary", fields[0], _OBJECT_VERSIONS)
        version, etag, content_type, created, listing, where = fields
        return ObjectSummary(
            etag.hex(),
            content_type,
            Stamp(*created) if created else stamp,
            listing or {},
            _decode_location(where, with_lengths=version == LENGTHS_VERSION),
        )
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"object summary is not of a known form: {error}") from error


def _decode_location(where: Any, *, with_lengths: bool) -> DataLocation | None:
    """Raises ValueError and the like where it is none."""
    if not with_lengths:
        return DataLocation(where[0], where[1], where[2], where[3], tuple(where[4])) if where else None
    block_bytes, k, m, codec, devices, lengths = where
    data_location = DataLocation(block_bytes, k, m, codec, tuple(devices), tuple(lengths))
    if refusal := _refusal(data_location):
        raise ValueError(refusal)
    return data_location


def _refusal(data_location: DataLocation) -> str:
    """Why blocks cannot have these lengths."""
    if data_location.k:
        return "data whose blocks have each its own length are replicated, and not erasure-coded"
    if not all(isinstance(units, int) and units > 0 for units in data_location.lengths or ()):
        return f"a block's length is a number above 0: {data_location.lengths}"
    return ""


def encode_headers(headers: Headers) -> bytes:
    packed: bytes = msgpack.packb((VERSION, dict(headers)))
    return packed


def decode_headers(detail: bytes) -> dict[str, str]:
    try:
        fields = msgpack.unpackb(detail)
        if fields[0] != VERSION:
            raise unknown_version("detail", fields[0], (VERSION,))
        _, headers = fields
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"detail is not of a known form: {error}") from error
    if not isinstance(headers, dict):
        raise DamageError("detail is not of a known form")
    return headers


def encode_table(summary: TableSummary, stamp: Stamp) -> bytes:
    created = 0 if summary.created == stamp else summary.created
    version = CLOSING_VERSION if summary.closing else VERSION
    packed: bytes = msgpack.packb((version, summary.id, summary.shards, created))
    return packed


def decode_table(summary: bytes, stamp: Stamp) -> TableSummary:
    try:
        fields = msgpack.unpackb(summary)
        if fields[0] not in (VERSION, CLOSING_VERSION):
            raise unknown_version("table summary", fields[0], (VERSION, CLOSING_VERSION))
        version, table, shards, created = fields
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"table summary is not of a known form: {error}") from error
    created = Stamp(*created) if isinstance(created, list) else stamp
    return TableSummary(table, shards, created, version == CLOSING_VERSION)


def object_entry(name: str, stamp: Stamp, size: int, summary: bytes) -> ObjectEntry:
    try:
        fields = msgpack.unpackb(summary)
        if fields[0] not in _OBJECT_VERSIONS:
            raise unknown_version("object summary", fields[0], _OBJECT_VERSIONS)
        _, etag, content_type, _, listing, _ = fields
        return ObjectEntry(name, size, etag.hex(), content_type, listing or {}, stamp)
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"object summary is not of a known form: {error}") from error
