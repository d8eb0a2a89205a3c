"""Data blocks as a device keeps them: record meta, index key and index value. Sans-I/O.

Data are immutable under a 16-byte id. A block is 1 MiB of replicated data, or one fragment of a 1 MiB erasure-coded
stripe; `fragment` is 0 where data are replicated.

**Record meta**, msgpack: `[1, data_id, block, fragment, ring_hash, table, shard, name]`; the last four name the row
that owns the data, so that data without a row can be told from data whose row is merely elsewhere.

A copy shares the blocks of what it was made from: each of its blocks is a **block reference**, a record without payload
that names the record whose payload it is. Its meta is that of a block and `[..., segment, offset, length, payload
offset, payload length]` of the other record. Records never change, so neither can be told from the other by reading;
the space of the payload comes back when the last of them is dropped.

**Index key**: `d`, data id (16), block (4, big-endian), fragment (1).
**Index value**: segment u32 | offset u32 | length u32 | payload offset u32 | payload length u32, for a reference also
its own record's segment u32 | offset u32 | length u32, then check u32, all little-endian.
**Reference count**: `l`, segment (4, big-endian), offset (4, big-endian) of a record that has ever been shared -> how
many blocks have its payload u32 | check u32, both little-endian. A record without this entry has one.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.core.codec import unknown_version
from store.core.errors import DamageError
from store.device.row import Location, RowKey

META_VERSION = 1
_KEY = struct.Struct(">c16sIB")
_VALUE = struct.Struct("<IIIII")
_OWN = struct.Struct("<III")
_CHECK = struct.Struct("<I")
_REFERENCES_KEY = struct.Struct(">cII")


class BlockKey(NamedTuple):
    """Names one block on one device."""

    data_id: bytes
    block: int
    fragment: int


class IndexBlock(NamedTuple):
    """Where a block lies: the record with its payload, and the reference to that where the payload is another
    block's."""

    location: Location
    payload_at: int
    payload_bytes: int
    reference: Location | None = None

    @property
    def own(self) -> Location:
        """The record that was written for this block."""
        return self.location if self.reference is None else self.reference


def index_key(key: BlockKey) -> bytes:
    return _KEY.pack(b"d", *key)


def parse_key(packed: bytes) -> BlockKey:
    return BlockKey(*_KEY.unpack(packed)[1:])


def data_prefix(data_id: bytes) -> bytes:
    """What the index keys of all blocks of these data begin with."""
    return b"d" + data_id


def encode_meta(key: BlockKey, owner: RowKey) -> bytes:
    packed: bytes = msgpack.packb((META_VERSION, *key, *owner))
    return packed


def decode_meta(meta: bytes | memoryview) -> tuple[BlockKey, RowKey]:
    """(key, owner), of a block or a reference. Raises DamageError where that is not known, NewerError where a newer
    program wrote it."""
    data_id, block, fragment, ring_hash, table, shard, name = _unpack(meta, 1, 8)
    return BlockKey(data_id, block, fragment), RowKey(ring_hash, table, shard, name)


def encode_reference(key: BlockKey, owner: RowKey, target: IndexBlock) -> bytes:
    packed: bytes = msgpack.packb(
        (META_VERSION, *key, *owner, *target.location, target.payload_at, target.payload_bytes)
    )
    return packed


def decode_target(meta: bytes | memoryview) -> IndexBlock:
    """Where the payload of a reference lies; its own place is not in its meta."""
    segment, offset, length, payload_at, payload_bytes = _unpack(meta, 8, 13)
    return IndexBlock(Location(segment, offset, length), payload_at, payload_bytes)


def _unpack(meta: bytes | memoryview, start: int, stop: int) -> list[Any]:
    """Some of the fields."""
    try:
        fields: list[Any] = msgpack.unpackb(meta)
        version = fields[0]
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"block meta is not of a known form: {error}") from error
    if version != META_VERSION:
        raise unknown_version("block meta", version, (META_VERSION,))
    if len(fields) < stop:
        raise DamageError(f"block meta has {len(fields)} fields, not {stop}")
    return fields[start:stop]


def encode_value(packed_key: bytes, entry: IndexBlock) -> bytes:
    value = _VALUE.pack(*entry.location, entry.payload_at, entry.payload_bytes)
    if entry.reference is not None:
        value += _OWN.pack(*entry.reference)
    return value + _check(packed_key, value)


def decode_value(packed_key: bytes, value: bytes) -> IndexBlock:
    """Where the block lies. Raises DamageError where the value is not what was written."""
    body = _checked(packed_key, value)
    if len(body) not in (_VALUE.size, _VALUE.size + _OWN.size):
        raise DamageError("index value of a block is not of a known form")
    segment, offset, length, payload_at, payload_bytes = _VALUE.unpack_from(body)
    reference = Location(*_OWN.unpack_from(body, _VALUE.size)) if len(body) > _VALUE.size else None
    return IndexBlock(Location(segment, offset, length), payload_at, payload_bytes, reference)


def references_key(location: Location) -> bytes:
    return _REFERENCES_KEY.pack(b"l", location.segment, location.offset)


def encode_references(packed_key: bytes, count: int) -> bytes:
    value = _CHECK.pack(count)
    return value + _check(packed_key, value)


def decode_references(packed_key: bytes, value: bytes) -> int:
    """How many blocks have a record's payload. Raises DamageError where the value is not what was written."""
    count: int = _CHECK.unpack(_checked(packed_key, value))[0]
    return count


def _check(packed_key: bytes, value: bytes) -> bytes:
    return _CHECK.pack(xxh3_64_intdigest(packed_key + value) & 0xFFFFFFFF)


def _checked(packed_key: bytes, value: bytes) -> bytes:
    body = value[: -_CHECK.size]
    if _check(packed_key, body) != value[-_CHECK.size :]:
        raise DamageError("index value of a block fails its checksum")
    return body
