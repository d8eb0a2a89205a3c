"""Values of `DevicePort` as they travel: named tuples go as lists, and are made again here. Sans-I/O."""

from __future__ import annotations

from typing import Any

from store.core.errors import DamageError
from store.device.block import BlockKey
from store.device.port import Applied, PromiseWrite, RowWrite, Seen
from store.device.promise import decode_meta as decode_promise
from store.device.promise import prepare_promise
from store.device.record import Buffer, Kind, Sealed, checksums, seal, verify_payload
from store.device.row import IndexRow, Location, Origin, Row, RowKey, decode_meta, encode_meta, index_key, value_of


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
    """A row that is to be written, as it was prepared elsewhere. Raises DamageError."""
    row = decode_meta(meta, memoryview(payload))
    return RowWrite(row, index_key(row.key), value_of(row), join_sealed(Kind.ROW, sums, meta, payload), epoch)


def promise_write(epoch: int, meta: bytes) -> PromiseWrite:
    """A promise that is asked for, as it was prepared elsewhere. Raises DamageError."""
    return prepare_promise(decode_promise(meta), epoch)


def applied(fields: list[Any]) -> Applied:
    """What became of a row. Raises TypeError, ValueError where this does not say."""
    refused, stamp, displaced, barred, floor, covers = fields
    return Applied(refused, stamp, index_row(displaced), barred, floor, covers)


def seen(fields: list[Any]) -> Seen:
    """What a device has of a row. Raises TypeError, ValueError where this does not say."""
    value, floor, retired, believed, barred = fields
    return Seen(value, floor, retired, believed, barred)


def index_row(fields: list[Any] | None) -> IndexRow | None:
    """A row as an index knows it. Raises TypeError, ValueError where it is none."""
    if fields is None:
        return None
    name, stamp, flags, policy, location, size, expires, data_id, summary, detail, origin = fields
    return IndexRow(
        name, stamp, flags, policy, Location(*location), size, expires, data_id, summary, detail,
        None if origin is None else Origin(*origin),
    )  # fmt: skip


def block_key(fields: list[Any]) -> BlockKey:
    """Raises TypeError, ValueError where this names no block."""
    data_id, block, fragment = fields
    if not isinstance(data_id, bytes) or not isinstance(block, int) or not isinstance(fragment, int):
        raise TypeError("this names no block")
    return BlockKey(data_id, block, fragment)


def row_key(fields: list[Any]) -> RowKey:
    """Raises TypeError, ValueError where this names no row."""
    ring_hash, table, shard, name = fields
    if not isinstance(ring_hash, int) or not isinstance(shard, int):
        raise TypeError("this names no row")
    if not isinstance(table, bytes) or not isinstance(name, bytes):
        raise TypeError("this names no row")
    return RowKey(ring_hash, table, shard, name)


def pack_row(row: Row) -> tuple[tuple[bytes, bytes], Buffer]:
    """A whole row: (sums, meta) and its payload."""
    return (checksums(row.payload), encode_meta(row)), row.payload


def loaded_row(fields: list[bytes], payload: Buffer) -> Row:
    """The row that was packed. Raises DamageError."""
    sums, meta = fields
    verify_payload(sums, payload)
    return decode_meta(meta, memoryview(payload))
