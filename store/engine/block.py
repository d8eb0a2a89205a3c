"""Data blocks as a device keeps them: record meta, index key and index value. Sans-I/O.

Data are immutable under a 16-byte id. A block is 1 MiB of replicated data, or one fragment of a 1 MiB erasure-coded
stripe; `fragment` is 0 where data are replicated.

**Record meta**, msgpack: `[1, data_id, block, fragment, place, table, shard, name]`; the last four name the row that
owns the data, so that data without a row can be told from data whose row is merely elsewhere.

**Index key**: `d`, data id (16), block (4, big-endian), fragment (1).
**Index value**: segment u32 | offset u32 | length u32 | payload offset u32 | payload length u32 | check u32, all
little-endian.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.core.errors import DamageError
from store.engine.row import Location, RowKey

META_VERSION = 1
_KEY = struct.Struct(">c16sIB")
_VALUE = struct.Struct("<IIIII")
_CHECK = struct.Struct("<I")


class BlockKey(NamedTuple):
    """Names one block on one device."""

    data_id: bytes
    block: int
    fragment: int


class IndexBlock(NamedTuple):
    """Where a block lies."""

    location: Location
    payload_at: int
    payload_bytes: int


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
    """(key, owner). Raises DamageError where the version is unknown."""
    try:
        version, data_id, block, fragment, place, table, shard, name = msgpack.unpackb(meta)
    except (ValueError, msgpack.UnpackException) as error:
        raise DamageError(f"block meta is not of a known form: {error}") from error
    if version != META_VERSION:
        raise DamageError(f"block meta of version {version} is not known here")
    return BlockKey(data_id, block, fragment), RowKey(place, table, shard, name)


def encode_value(packed_key: bytes, entry: IndexBlock) -> bytes:
    value = _VALUE.pack(*entry.location, entry.payload_at, entry.payload_bytes)
    return value + _CHECK.pack(xxh3_64_intdigest(packed_key + value) & 0xFFFFFFFF)


def decode_value(packed_key: bytes, value: bytes) -> IndexBlock:
    """Where the block lies. Raises DamageError where the value is not what was written."""
    if (
        len(value) != _VALUE.size + _CHECK.size
        or xxh3_64_intdigest(packed_key + value[: _VALUE.size]) & 0xFFFFFFFF
        != _CHECK.unpack_from(value, _VALUE.size)[0]
    ):
        raise DamageError("index value of a block fails its checksum")
    segment, offset, length, payload_at, payload_bytes = _VALUE.unpack_from(value)
    return IndexBlock(Location(segment, offset, length), payload_at, payload_bytes)
