"""Promises as a device keeps them: below which stamp a row takes nothing. Sans-I/O.

What a promise is for: docs/consistency.md, "A replica". A row has one at most, and has it until its version reaches it.

**Record meta**, msgpack: `[1, ring_hash, table, shard, name, time_us, writer]`; there is no payload.

**Index key**: `p`, then the row's index key. **Index value**: stamp (12 bytes, ordered) | segment u32 | offset u32 |
length u32, all little-endian | check (u32: the low half of XXH3-64 over key and all before it).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.core.codec import unknown_version
from store.core.errors import DamageError
from store.core.stamp import Stamp
from store.device.port import PromiseWrite
from store.device.record import Kind, seal
from store.device.row import STAMP_BYTES, Location, RowKey
from store.device.row import index_key as row_index_key

META_VERSION: Final = 1
_VALUE = struct.Struct("<III")
_CHECK = struct.Struct("<I")


class Promise(NamedTuple):
    """Of which row, and below which stamp nothing is taken."""

    key: RowKey
    stamp: Stamp


class IndexPromise(NamedTuple):
    """A promise as the index knows it."""

    stamp: bytes
    location: Location


def encode_meta(promise: Promise) -> bytes:
    packed: bytes = msgpack.packb((META_VERSION, *promise.key, *promise.stamp))
    return packed


def decode_meta(meta: bytes | memoryview) -> Promise:
    """The promise in a record. Raises DamageError where that is not known, NewerError where a newer program wrote
    it."""
    try:
        fields = msgpack.unpackb(meta)
        if fields[0] != META_VERSION:
            raise unknown_version("promise", fields[0], (META_VERSION,))
        _, ring_hash, table, shard, name, time_us, writer = fields
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"promise is not of a known form: {error}") from error
    return Promise(RowKey(ring_hash, table, shard, name), Stamp(time_us, writer))


def prepare_promise(promise: Promise, epoch: int) -> PromiseWrite:
    """A promise encoded once for all replicas of the row, which were chosen by a ring of this epoch."""
    sealed = seal(Kind.PROMISE, encode_meta(promise))
    return PromiseWrite(row_index_key(promise.key), promise.stamp.pack(), sealed, epoch)


def index_key(packed_row_key: bytes) -> bytes:
    return b"p" + packed_row_key


def encode_value(packed_key: bytes, promise: IndexPromise) -> bytes:
    packed = promise.stamp + _VALUE.pack(*promise.location)
    return packed + _CHECK.pack(xxh3_64_intdigest(packed_key + packed) & 0xFFFFFFFF)


def decode_value(packed_key: bytes, value: bytes) -> IndexPromise:
    """Raises DamageError unless key and value are what was written."""
    end = STAMP_BYTES + _VALUE.size
    if len(value) != end + _CHECK.size or value[end:] != _CHECK.pack(
        xxh3_64_intdigest(packed_key + value[:end]) & 0xFFFFFFFF
    ):
        raise DamageError("index value of a promise fails its checksum")
    return IndexPromise(value[:STAMP_BYTES], Location(*_VALUE.unpack_from(value, STAMP_BYTES)))
