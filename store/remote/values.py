"""Values of `DevicePort` as they travel: named tuples go as lists, and are made again here. Sans-I/O."""

from __future__ import annotations

from typing import Any, Final

from store.core.errors import DamageError
from store.device.block import BlockKey
from store.device.port import PromiseWrite, RowWrite
from store.device.promise import decode_meta as decode_promise
from store.device.promise import prepare_promise
from store.device.record import Buffer, Kind, Sealed, checksums, seal, verify_payload
from store.device.row import (
    Flag,
    IndexRow,
    Location,
    Origin,
    Row,
    RowKey,
    decode_meta,
    encode_meta,
    index_key,
    value_of,
)

DATA_ID_BYTES: Final = 16
TABLE_BYTES: Final = 16
_INDEX_ROW: Final = (bytes, bytes, int, int, list, int, int, bytes, bytes, bytes | None, list | None)


def split_sealed(sealed: Sealed) -> tuple[bytes, bytes, Buffer]:
    """(sums, meta, payload) of a sealed record."""
    at = len(sealed.body) - sealed.meta_bytes
    return sealed.body[:at], sealed.body[at:], sealed.payload


def join_sealed(kind: Kind, sums: bytes, meta: bytes, payload: Buffer) -> Sealed:
    """The record that was split. Raises DamageError where the payload is not what its sums say: it was damaged on its
    way, or before."""
    if checksums(payload) != sums:
        raise DamageError("a payload was damaged on its way to the device")
    return seal(kind, meta, payload, sums)


def row_write(epoch: int, sums: bytes, meta: bytes, payload: bytes | bytearray) -> RowWrite:
    """A row that is to be written, as it was prepared elsewhere. Raises DamageError; TypeError, ValueError or
    struct.error for a row that no index can have: a device that takes one is out when its index is written."""
    row = decode_meta(meta, memoryview(payload))
    _check_key(row.key)
    if not all(map(isinstance, row[2:9], (int, int, int, int, bytes, bytes, bytes))):
        raise TypeError("fields of a row that are none")
    if not 0 <= row.policy < 1 << 8 or not 0 <= row.flags < 1 << 8 or not 0 <= row.size < 1 << 63:
        raise ValueError("numbers of a row that are none")
    if len(row.data_id) != (DATA_ID_BYTES if row.flags & Flag.DATA else len(row.data_id)):
        raise ValueError("a row of data that cannot be")
    return RowWrite(row, index_key(row.key), value_of(row), join_sealed(Kind.ROW, sums, meta, payload), epoch)


def promise_write(epoch: int, meta: bytes) -> PromiseWrite:
    """A promise that is asked for, as it was prepared elsewhere. Raises DamageError."""
    return prepare_promise(decode_promise(meta), epoch)


def index_row(fields: list[Any] | None) -> IndexRow | None:
    """A row as an index knows it. Raises TypeError, ValueError where it is none."""
    if fields is None:
        return None
    name, stamp, flags, policy, location, size, expires, data_id, summary, detail, origin = fields
    if not all(map(isinstance, (*fields, *location), (*_INDEX_ROW, int, int, int))):
        raise TypeError("not a row of an index")
    return IndexRow(
        name, stamp, flags, policy, Location(*location), size, expires, data_id, summary, detail, _origin(origin)
    )


def _origin(fields: list[Any] | None) -> Origin | None:
    if fields is None:
        return None
    if not all(isinstance(field, bytes) for field in fields):
        raise TypeError("not where a row came from")
    return Origin(*fields)


def block_key(fields: list[Any]) -> BlockKey:
    """Raises TypeError, ValueError where this names no block."""
    data_id, block, fragment = fields
    if not isinstance(data_id, bytes) or not isinstance(block, int) or not isinstance(fragment, int):
        raise TypeError("this names no block")
    if len(data_id) != DATA_ID_BYTES or not 0 <= block < 1 << 32 or not 0 <= fragment < 1 << 8:
        raise ValueError("this names no block")
    return BlockKey(data_id, block, fragment)


def row_key(fields: list[Any]) -> RowKey:
    """Raises TypeError, ValueError where this names no row."""
    key = RowKey(*fields)
    _check_key(key)
    return key


def _check_key(key: RowKey) -> None:
    ring_hash, table, shard, name = key
    if not isinstance(ring_hash, int) or not isinstance(shard, int):
        raise TypeError("this names no row")
    if not isinstance(table, bytes) or not isinstance(name, bytes):
        raise TypeError("this names no row")
    if not 0 <= ring_hash < 1 << 32 or not 0 <= shard < 1 << 16:
        raise ValueError("this names no row")
    if len(table) != TABLE_BYTES or not 0 < len(name) < 1 << 16:
        raise ValueError("this names no row")


def pack_row(row: Row) -> tuple[tuple[bytes, bytes], Buffer]:
    """A whole row: (sums, meta) and its payload."""
    return (checksums(row.payload), encode_meta(row)), row.payload


def loaded_row(fields: list[bytes], payload: Buffer) -> Row:
    """The row that was packed. Raises DamageError."""
    sums, meta = fields
    verify_payload(sums, payload)
    return decode_meta(meta, memoryview(payload))
