"""Fences as a device keeps them: below which epoch no block of some data is taken. Sans-I/O.

What a fence is for: docs/volumes.md, "Takeover". Data have one at most, the highest, until they are forgotten or
dropped. It says with which epoch the first of them began.

**Record meta**, msgpack: `[1, data_id, epoch, first]`; there is no payload.

**Index key**: `z`, then the data id. **Index value**: epoch u64 | first u64 | segment u32 | offset u32 | length u32,
all little-endian | check (u32: the low half of XXH3-64 over key and all before it).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.core.codec import unknown_version
from store.core.errors import DamageError
from store.device.record import Kind, Sealed, seal
from store.device.row import Location

META_VERSION: Final = 1
_VALUE = struct.Struct("<QQIII")
_CHECK = struct.Struct("<I")


class DataFence(NamedTuple):
    """Of which data, below which epoch no block is taken, and the epoch of the first fence that they had here."""

    data_id: bytes
    epoch: int
    first: int


class IndexFence(NamedTuple):
    """A fence as the index knows it."""

    epoch: int
    first: int
    location: Location


def encode_meta(fence: DataFence) -> bytes:
    packed: bytes = msgpack.packb((META_VERSION, *fence))
    return packed


def decode_meta(meta: bytes | memoryview) -> DataFence:
    """The fence in a record. Raises DamageError where that is not known, NewerError where a newer program wrote it."""
    try:
        fields = msgpack.unpackb(meta)
        if fields[0] != META_VERSION:
            raise unknown_version("fence", fields[0], (META_VERSION,))
        _, data_id, epoch, first = fields
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"fence is not of a known form: {error}") from error
    return DataFence(data_id, epoch, first)


def seal_fence(fence: DataFence) -> Sealed:
    """The record of a fence, but for its place."""
    return seal(Kind.FENCE, encode_meta(fence))


def index_key(data_id: bytes) -> bytes:
    return b"z" + data_id


def encode_value(packed_key: bytes, fence: IndexFence) -> bytes:
    packed = _VALUE.pack(fence.epoch, fence.first, *fence.location)
    return packed + _check(packed_key, packed)


def decode_value(packed_key: bytes, value: bytes) -> IndexFence:
    """Raises DamageError unless key and value are what was written."""
    packed = value[: _VALUE.size]
    if value[_VALUE.size :] != _check(packed_key, packed):
        raise DamageError("index value of a fence fails its checksum")
    epoch, first, *location = _VALUE.unpack(packed)
    return IndexFence(epoch, first, Location(*location))


def _check(packed_key: bytes, value: bytes) -> bytes:
    return _CHECK.pack(xxh3_64_intdigest(packed_key + value) & 0xFFFFFFFF)
