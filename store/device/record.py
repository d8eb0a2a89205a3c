"""The bytes of one record. Sans-I/O: values in, buffers out, and back.

A record is understood alone: it says what it is, where it lies, and how to verify it.

    header (56 bytes, little-endian) | sums | meta | padding | payload | padding

    offset  size  field
         0     4  magic "DRYS"
         4     1  format version (1)
         5     1  kind
         6     2  zero
         8     8  sequence number: 1 higher than the record before it in the same stream
        16     8  durable: every record of the stream up to this number was on stable storage when this was written
        24     8  id of the segment that it was written to; a recycled segment has a new id, so old bytes are no records
        32     4  offset of the record in its segment
        36     4  length of meta
        40     4  length of the payload
        44     4  offset of the payload in the record
        48     8  XXH3-64 of bytes 0 to 47, sums and meta

`sums` is an XXH3-64 (8 bytes, little-endian) for each 64 KiB of payload, the last one for what is left, so a range is
verified by reading just the pieces that it touches. `meta` is msgpack, its layout given by the kind. In the log a
record is aligned to 8 bytes and its payload follows directly; in bulk segments a record is aligned to 4,096, so that
its space can be given back by punching a hole. There a payload begins with a page, too; or ends with one, where it is
small, and its first bytes have room behind meta: so a small record takes a page less.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from store.core.errors import DamageError
from store.core.limits import CHECK_BYTES, RECORD_BYTES_MAX

Buffer = bytes | bytearray | memoryview

MAGIC = b"DRYS"
FORMAT = 1
"""What has another one is no record, like any damage: so a newer one comes with a newer header of its segment
(store.engine.segment), by which a start tells it from damage."""
_HEAD = struct.Struct("<4sBBHQQQIIII")
_SUM = struct.Struct("<Q")
HEADER_BYTES = _HEAD.size + _SUM.size
LOG_ALIGN = 8
BULK_ALIGN = 4096
_ZEROS = bytes(BULK_ALIGN)


class Kind(IntEnum):
    """What a record is."""

    ROW = 1
    """A version of a metadata row."""
    BLOCK = 2
    """A block of replicated data, or a fragment of an erasure-coded stripe."""
    PREVIOUS_SEGMENT = 3
    """Recovery's word about the segments before it: where each one ends."""
    REFERENCE = 4
    """A block whose payload is another block's."""
    PROMISE = 5
    """A stamp below which a row takes nothing."""
    FENCE = 6
    """An epoch below which no block of some data is taken."""


class Header(NamedTuple):
    """A record's header, verified together with sums and meta."""

    kind: int
    seq: int
    durable: int
    segment: int
    offset: int
    meta_bytes: int
    payload_bytes: int
    payload_at: int

    @property
    def length(self) -> int:
        """Bytes from the header's first to the payload's last."""
        return self.payload_at + self.payload_bytes


class Sealed(NamedTuple):
    """What of a record is the same on every device: made once, written many times."""

    kind: int
    body: bytes
    """Sums and meta."""
    meta_bytes: int
    payload: Buffer
    payload_bytes: int


def checksums(payload: Buffer) -> bytes:
    """The `sums` of a payload."""
    size = len(payload)
    if size <= CHECK_BYTES:
        return _SUM.pack(xxh3_64_intdigest(payload)) if size else b""
    view = memoryview(payload)
    return b"".join(_SUM.pack(xxh3_64_intdigest(view[at : at + CHECK_BYTES])) for at in range(0, size, CHECK_BYTES))


def seal(kind: int, meta: bytes, payload: Buffer = b"", sums: bytes | None = None) -> Sealed:
    """A record but for its place. `sums` may be given where another device's record has them already."""
    size = len(payload)
    body = (checksums(payload) if sums is None else sums) + meta
    return Sealed(kind, body, len(meta), payload, size)


def lay_out(
    sealed: Sealed, *, seq: int, durable: int, segment: int, offset: int, align: int
) -> tuple[list[Buffer], int, int]:
    """A record at its place: buffers to write, their total length (a multiple of `align`), and payload's offset."""
    kind, body, meta_bytes, payload, payload_bytes = sealed
    body_end = HEADER_BYTES + len(body)
    payload_at = body_end if align == LOG_ALIGN else -(-body_end // align) * align
    begun = payload_bytes % align
    if align != LOG_ALIGN and body_end + begun <= payload_at and payload_bytes <= CHECK_BYTES:
        payload_at -= begun
    head = _HEAD.pack(MAGIC, FORMAT, kind, 0, seq, durable, segment, offset, meta_bytes, payload_bytes, payload_at)
    front = head + _SUM.pack(xxh3_64_intdigest(head + body)) + body
    if payload_at != body_end:
        front += _ZEROS[: payload_at - body_end]
    length = payload_at + payload_bytes
    padding = -length % align
    if not payload_bytes:
        return [front + _ZEROS[:padding]], length + padding, payload_at
    if padding:
        return [front, payload, _ZEROS[:padding]], length + padding, payload_at
    return [front, payload], length, payload_at


def sums_bytes(payload_bytes: int) -> int:
    """The length of a record's sums."""
    return -(-payload_bytes // CHECK_BYTES) * 8


def parse_header(data: Buffer, *, segment: int, offset: int) -> Header | None:
    """The header at the start of `data` if these look like the first bytes of a record at that place, else None.

    Nothing is verified yet: see `verify_front`.
    """
    if len(data) < HEADER_BYTES or data[:4] != MAGIC:
        return None
    _, version, kind, _, seq, durable, its_segment, its_offset, meta_bytes, payload_bytes, payload_at = (
        _HEAD.unpack_from(data)
    )
    if (
        version != FORMAT
        or its_segment != segment
        or its_offset != offset
        or payload_at + payload_bytes > RECORD_BYTES_MAX
        or HEADER_BYTES - (-payload_bytes // CHECK_BYTES) * 8 + meta_bytes > payload_at
    ):
        return None
    return Header(kind, seq, durable, its_segment, its_offset, meta_bytes, payload_bytes, payload_at)


def front_bytes(header: Header) -> int:
    """Bytes of header, sums and meta: what `verify_front` needs."""
    return HEADER_BYTES + sums_bytes(header.payload_bytes) + header.meta_bytes


def verify_front(header: Header, data: Buffer) -> tuple[memoryview, memoryview] | None:
    """(sums, meta) if header, sums and meta are what was written, else None."""
    end = front_bytes(header)
    if len(data) < end:
        return None
    view = memoryview(data)
    check = _SUM.unpack_from(data, _HEAD.size)[0]
    if xxh3_64_intdigest(bytes(view[: _HEAD.size]) + view[HEADER_BYTES:end]) != check:
        return None
    sums_end = end - header.meta_bytes
    return view[HEADER_BYTES:sums_end], view[sums_end:end]


def verify_payload(sums: Buffer, payload: Buffer, first_piece: int = 0) -> None:
    """Check pieces of payload, the first of which is number `first_piece`. Raises DamageError."""
    view = memoryview(payload)
    at = first_piece * 8
    for start in range(0, len(view), CHECK_BYTES):
        if xxh3_64_intdigest(view[start : start + CHECK_BYTES]) != _SUM.unpack_from(sums, at)[0]:
            raise DamageError(f"payload piece {at // 8} fails its checksum")
        at += 8


def read_record(data: Buffer, *, segment: int, offset: int) -> tuple[Header, memoryview, memoryview]:
    """(header, meta, payload) of a whole record, everything verified. Raises DamageError."""
    header = parse_header(data, segment=segment, offset=offset)
    front = verify_front(header, data) if header is not None else None
    if header is None or front is None or len(data) < header.length:
        raise DamageError(f"no valid record at {offset} in segment {segment}")
    sums, meta = front
    payload = memoryview(data)[header.payload_at : header.length]
    verify_payload(sums, payload)
    return header, meta, payload
