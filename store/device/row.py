"""Metadata rows as a device keeps them: the row, its record's meta, its index key and its index value. Sans-I/O.

A row belongs to a table (an account's containers, a container's objects), in one of the table's hash shards. All rows
of a shard have the same place in the ring and lie side by side in the index, in the order of their names.

**Record meta**, msgpack: `[1, ring_hash, table, shard, name, time_us, writer, flags, policy, size, expires, data_id,
summary, detail]`. `summary` is what listings show and stays in the index; `detail` is the rest and stays in the log,
and where it is small in the index too. Both are the owner's (store.objects), opaque here. Of a version that is not
plain (`Origin`): `[2, ...]` with the same fields, and `root, base, shown` behind them (12 bytes each).

**Index key**: `r`, place (4 bytes, big-endian), table (16), shard (2, big-endian), name. LMDB's keys stop at 511
bytes, so of a name over 400 bytes the key holds the first 400 and a 16-byte BLAKE2b of the whole, and the value holds
the name.

**Index value**: stamp (12 bytes, ordered) | flags u8 | policy u8 | segment u32 | offset u32 | length u32 | size u64,
all little-endian | expires (u64, big-endian) if EXPIRES | data id (16) if DATA | name (u16 length, bytes) if its key
does not hold it | detail (u16 length, bytes) if DETAIL | a form (u8, 1), root, base, shown (12 each) if CONDITIONAL |
summary | check (u32: the low half of XXH3-64 over key and all before it). LMDB has no checksums of its own, hence ours.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Final, NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.core.codec import unknown_version
from store.core.errors import DamageError, NewerError
from store.core.stamp import Stamp

PLAIN_META_VERSION = 1
META_VERSION = 2
NAME_KEY_BYTES = 400
DETAIL_BYTES_MAX = 96
"""A detail of up to so many bytes is in the index value too: whoever asks for it needs no read of the log."""
SYSTEM = b"\x00"
"""Names that begin with this are the store's own rows: neither listed nor counted. No client can write one."""
UPLOAD = SYSTEM + b"u"
"""The name of an upload's intent: this, then the data id. Its summary is the name of the object that is to be."""

_PREFIX = struct.Struct(">cI16sH")
_VALUE = struct.Struct("<BBIIIQ")
_CHECK = struct.Struct("<I")
_EXPIRES = struct.Struct(">Q")
_LENGTH = struct.Struct("<H")
_FORM = struct.Struct("B")
PREFIX_BYTES = _PREFIX.size
KEY_BYTES_MAX = PREFIX_BYTES + NAME_KEY_BYTES + 16
"""No index key of a row is longer."""
STAMP_BYTES = 12
ORIGIN_BYTES = _FORM.size + 3 * STAMP_BYTES
_FIXED = STAMP_BYTES + _VALUE.size


class Flag:
    """What a row is besides its data: bits of `Row.flags`. Plain integers, since every request tests them."""

    TOMBSTONE: Final = 1
    """Says that the name is deleted."""
    DATA: Final = 2
    """Its data lie outside, under `data_id`."""
    EXPIRES: Final = 4
    """Absent from `expires` on."""
    GUARD: Final = 8
    """Refused by a replica that has an abort record for its `data_id`."""
    ABORT: Final = 16
    """An upload's intent that says: this upload shall never be committed. Refused by a replica where it is already."""
    LONG_NAME: Final = 32
    """The index value holds the name."""
    DETAIL: Final = 64
    """The index value holds the detail."""
    CONDITIONAL: Final = 128
    """The index value holds the origin. In a record the version of its meta says so."""


FLAG_NAMES: Final = {
    1: "tombstone",
    2: "data",
    4: "expires",
    8: "guard",
    16: "abort",
    32: "long name",
    64: "detail",
    128: "conditional",
}
UNKNOWN_FLAGS: Final = ~sum(FLAG_NAMES)
"""Of a newer program: what they say of a row, or of the layout of an index value, is not known here. In the one byte
that an index value has for them there is none left: there a newer program has another form of what is behind it."""
ORIGIN_FORM: Final = 1


class RowKey(NamedTuple):
    """Where a row belongs: `ring_hash` is the ring's, of table and shard."""

    ring_hash: int
    table: bytes
    shard: int
    name: bytes


class Origin(NamedTuple):
    """What a version came of that is not plain (docs/consistency.md, "Words"), in packed stamps: its root, the version
    that it replaces, and what clients are shown as the time of the change."""

    root: bytes
    base: bytes
    shown: bytes


class Row(NamedTuple):
    """One version of a row. `size` is what usage counts; `payload` holds all data where they live in the row. Without
    an `origin` it is plain: its own root, of no base, and shown as of its stamp."""

    key: RowKey
    stamp: Stamp
    flags: int
    policy: int
    size: int
    expires: int
    data_id: bytes
    summary: bytes
    detail: bytes
    payload: bytes | bytearray | memoryview
    origin: Origin | None = None

    @property
    def shown(self) -> Stamp:
        """What clients are shown as the time of the change."""
        return self.stamp if self.origin is None else Stamp.unpack(self.origin.shown)


class Location(NamedTuple):
    """Where a record lies; `length` includes its padding."""

    segment: int
    offset: int
    length: int


class IndexRow(NamedTuple):
    """A row as the index knows it: everything but the payload, and `detail` (None) where that is not small."""

    name: bytes
    stamp: bytes
    flags: int
    policy: int
    location: Location
    size: int
    expires: int
    data_id: bytes
    summary: bytes
    detail: bytes | None
    origin: Origin | None = None

    @property
    def live(self) -> bool:
        return not self.flags & Flag.TOMBSTONE

    @property
    def root(self) -> bytes:
        """The stamp of the plain write that this version came of."""
        return self.stamp if self.origin is None else self.origin.root

    @property
    def shown(self) -> bytes:
        """The stamp that clients are shown as the time of the change."""
        return self.stamp if self.origin is None else self.origin.shown


class ListedRow(NamedTuple):
    """As much of a row as listings show. `stamp` is the time that they show, which of a plain version is its stamp."""

    name: bytes
    stamp: bytes
    flags: int
    policy: int
    size: int
    expires: int
    summary: bytes

    @property
    def live(self) -> bool:
        return not self.flags & Flag.TOMBSTONE


def shard_prefix(ring_hash: int, table: bytes, shard: int) -> bytes:
    """What the index keys of all rows of a shard begin with."""
    return _PREFIX.pack(b"r", ring_hash, table, shard)


def shard_stop(prefix: bytes) -> bytes:
    """The first key above all keys that begin with the prefix of a shard."""
    return (int.from_bytes(prefix) + 1).to_bytes(len(prefix))


def index_key(key: RowKey) -> bytes:
    ring_hash, table, shard, name = key
    if len(name) > NAME_KEY_BYTES:
        name = name[:NAME_KEY_BYTES] + blake2b(name, digest_size=16).digest()
    return _PREFIX.pack(b"r", ring_hash, table, shard) + name


def is_long(packed: bytes) -> bool:
    """Whether the name is too long for an index key, which has its beginning and its hash."""
    return len(packed) > PREFIX_BYTES + NAME_KEY_BYTES


def parse_key(packed: bytes, name: bytes) -> RowKey:
    """The row key of a packed one and the whole name."""
    _, ring_hash, table, shard = _PREFIX.unpack_from(packed)
    return RowKey(ring_hash, table, shard, name)


def key_shard(packed: bytes) -> tuple[int, bytes, int]:
    """(place, table, shard) of an index key."""
    _, ring_hash, table, shard = _PREFIX.unpack_from(packed)
    return ring_hash, table, shard


def encode_meta(row: Row) -> bytes:
    ring_hash, table, shard, name = row.key
    time_us, writer = row.stamp
    origin = row.origin
    packed: bytes = msgpack.packb(
        (
            PLAIN_META_VERSION if origin is None else META_VERSION,
            ring_hash,
            table,
            shard,
            name,
            time_us,
            writer,
            row.flags,
            row.policy,
            row.size,
            row.expires,
            row.data_id,
            row.summary,
            row.detail,
            *(origin or ()),
        )
    )
    return packed


def decode_meta(meta: bytes | memoryview, payload: bytes | memoryview = b"") -> Row:
    """The row in a record. Raises DamageError where that is not known, NewerError where a newer program wrote it."""
    try:
        fields = msgpack.unpackb(meta)
        origin = None
        if fields[0] == META_VERSION:
            *fields, root, base, shown = fields
            origin = _origin_of(root, base, shown)
        elif fields[0] != PLAIN_META_VERSION:
            raise unknown_version("row meta", fields[0], (PLAIN_META_VERSION, META_VERSION))
        (
            _,
            ring_hash,
            table,
            shard,
            name,
            time_us,
            writer,
            flags,
            policy,
            size,
            expires,
            data_id,
            summary,
            detail,
        ) = fields
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"row meta is not of a known form: {error}") from error
    if flags & (UNKNOWN_FLAGS | Flag.CONDITIONAL):
        raise NewerError(f"a row with the flags {flags:#x} is not known here: a newer Drystone wrote it")
    return Row(
        RowKey(ring_hash, table, shard, name),
        Stamp(time_us, writer),
        flags,
        policy,
        size,
        expires,
        data_id,
        summary,
        detail,
        payload,
        origin,
    )


def _origin_of(*stamps: object) -> Origin:
    """Raises ValueError where these are no packed stamps."""
    root, base, shown = (each for each in stamps if isinstance(each, bytes) and len(each) == STAMP_BYTES)
    return Origin(root, base, shown)


def pack_origin(origin: Origin) -> bytes:
    return _FORM.pack(ORIGIN_FORM) + b"".join(origin)


def unpack_origin(packed: bytes, at: int) -> Origin:
    """The origin that lies at `at`. Raises NewerError where a newer program wrote it."""
    if packed[at] != ORIGIN_FORM:
        raise NewerError(f"an origin of the form {packed[at]} is not known here: a newer Drystone wrote it")
    return Origin(*(packed[each : each + STAMP_BYTES] for each in range(at + 1, at + ORIGIN_BYTES, STAMP_BYTES)))


class RowValue(NamedTuple):
    """What the index says of a row on every device alike: all but where its record lies."""

    stamp: bytes
    flags: int
    policy: int
    size: int
    rest: bytes


def value_of(row: Row) -> RowValue:
    """The value of a row, encoded once for all of its devices."""
    flags = row.flags
    rest = b""
    if flags & Flag.EXPIRES:
        rest = _EXPIRES.pack(row.expires)
    if flags & Flag.DATA:
        rest += row.data_id
    name = row.key.name
    if len(name) > NAME_KEY_BYTES:
        flags |= Flag.LONG_NAME
        rest += _LENGTH.pack(len(name)) + name
    detail = row.detail
    if 0 < len(detail) <= DETAIL_BYTES_MAX:
        flags |= Flag.DETAIL
        rest += _LENGTH.pack(len(detail)) + detail
    if row.origin is not None:
        flags |= Flag.CONDITIONAL
        rest += pack_origin(row.origin)
    return RowValue(row.stamp.pack(), flags, row.policy, row.size, rest + row.summary)


def encode_value(packed_key: bytes, value: RowValue, location: Location) -> bytes:
    """The index value of a row whose record lies at `location`."""
    stamp, flags, policy, size, rest = value
    segment, offset, length = location
    packed = stamp + _VALUE.pack(flags, policy, segment, offset, length, size) + rest
    return packed + _CHECK.pack(xxh3_64_intdigest(packed_key + packed) & 0xFFFFFFFF)


def retired_note(row: IndexRow) -> bytes:
    """What is left of a tombstone that is retired: its stamp, its name if that is too long for the key, and its origin
    if it is not plain."""
    name = _LENGTH.pack(len(row.name)) + row.name if len(row.name) > NAME_KEY_BYTES else b""
    return row.stamp + name + (b"" if row.origin is None else pack_origin(row.origin))


def retired_value(packed_key: bytes, note: bytes) -> bytes:
    """The index value of the tombstone of which nothing but a note is left. It does not tell where the record lies, nor
    a long name that the note of an earlier program leaves out."""
    stamp, rest = note[:STAMP_BYTES], note[STAMP_BYTES:]
    flags = Flag.TOMBSTONE
    named = 0
    if is_long(packed_key) and len(rest) > ORIGIN_BYTES:
        flags |= Flag.LONG_NAME
        named = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
    if len(rest) > named:
        flags |= Flag.CONDITIONAL
    return encode_value(packed_key, RowValue(stamp, flags, 0, 0, rest), Location(0, 0, 0))


def move_value(packed_key: bytes, value: bytes, location: Location) -> bytes:
    """The same value with its record at another place."""
    flags, policy, _, _, _, size = _VALUE.unpack_from(value, STAMP_BYTES)
    moved = value[:STAMP_BYTES] + _VALUE.pack(flags, policy, *location, size) + value[_FIXED : -_CHECK.size]
    return moved + _CHECK.pack(xxh3_64_intdigest(packed_key + moved) & 0xFFFFFFFF)


def verify_value(packed_key: bytes, value: bytes) -> None:
    """Raises DamageError unless key and value are what was written."""
    end = len(value) - _CHECK.size
    if end < _FIXED or xxh3_64_intdigest(packed_key + value[:end]) & 0xFFFFFFFF != _CHECK.unpack_from(value, end)[0]:
        raise DamageError("index value fails its checksum")


def verify_page(page: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes] | None:
    """The first entry of a page that is not as it was written. The same as `verify_value` of each, in one loop."""
    check_bytes = _CHECK.size
    unpack = _CHECK.unpack_from
    for key, value in page:
        end = len(value) - check_bytes
        if end < _FIXED or xxh3_64_intdigest(key + value[:end]) & 0xFFFFFFFF != unpack(value, end)[0]:
            return key, value
    return None


def row_name(packed_key: bytes, value: bytes) -> bytes:
    """The name of a row, without decoding the rest of it."""
    flags = value[STAMP_BYTES]
    if not flags & Flag.LONG_NAME:
        return packed_key[PREFIX_BYTES:]
    at = _FIXED + (8 if flags & Flag.EXPIRES else 0) + (16 if flags & Flag.DATA else 0)
    return value[at + 2 : at + 2 + _LENGTH.unpack_from(value, at)[0]]


_LONGER: Final = Flag.DATA | Flag.EXPIRES | Flag.LONG_NAME | Flag.CONDITIONAL | UNKNOWN_FLAGS
"""Flags of index values that have more in them than listings show."""


_NAMED_APART: Final = Flag.EXPIRES | Flag.LONG_NAME | Flag.CONDITIONAL | UNKNOWN_FLAGS
"""Flags of index values of which more must be looked at to list a name."""


def decode_page(page: list[tuple[bytes, bytes]]) -> list[ListedRow]:
    """What listings show of the rows of a page, tombstones left out. In one loop, since there are thousands."""
    rows = []
    unpack, unpack_length, check_bytes = _VALUE.unpack_from, _LENGTH.unpack_from, _CHECK.size
    for key, value in page:
        flags, policy, _, _, _, size = unpack(value, STAMP_BYTES)
        if flags & Flag.TOMBSTONE:
            continue
        if flags & _LONGER:
            rows.append(listed(decode_value(key, value)))
            continue
        at = _FIXED + 2 + unpack_length(value, _FIXED)[0] if flags & Flag.DETAIL else _FIXED
        rows.append(ListedRow(key[PREFIX_BYTES:], value[:STAMP_BYTES], flags, policy, size, 0, value[at:-check_bytes]))
    return rows


def decode_names(page: list[tuple[bytes, bytes]], now_seconds: int) -> list[bytes]:
    """The names alone of the rows of a page, without tombstones and what has expired by then."""
    names = []
    for key, value in page:
        flags = value[STAMP_BYTES]
        if flags & _NAMED_APART:
            row = decode_value(key, value)
            if row.live and (not row.expires or row.expires > now_seconds):
                names.append(row.name)
        elif not flags & Flag.TOMBSTONE:
            names.append(key[PREFIX_BYTES:])
    return names


def listed(row: IndexRow) -> ListedRow:
    return ListedRow(row.name, row.shown, row.flags, row.policy, row.size, row.expires, row.summary)


def decode_value(packed_key: bytes, value: bytes) -> IndexRow:
    """The row in an index value that was verified. Raises NewerError where a newer program wrote it.

    The flags are what tells one form from another: those of version 1 never had DETAIL, those of plain rows never have
    CONDITIONAL.
    """
    flags, policy, segment, offset, length, size = _VALUE.unpack_from(value, STAMP_BYTES)
    if flags & UNKNOWN_FLAGS:
        raise NewerError(f"an index value with the flags {flags:#x} is not known here: a newer Drystone wrote it")
    at = _FIXED
    expires = 0
    data_id = b""
    if flags & Flag.EXPIRES:
        expires = _EXPIRES.unpack_from(value, at)[0]
        at += 8
    if flags & Flag.DATA:
        data_id = value[at : at + 16]
        at += 16
    if flags & Flag.LONG_NAME:
        end = at + 2 + _LENGTH.unpack_from(value, at)[0]
        name = value[at + 2 : end]
        at = end
    else:
        name = packed_key[PREFIX_BYTES:]
    detail = None
    if flags & Flag.DETAIL:
        end = at + 2 + _LENGTH.unpack_from(value, at)[0]
        detail = value[at + 2 : end]
        at = end
    origin = None
    if flags & Flag.CONDITIONAL:
        origin = unpack_origin(value, at)
        at += ORIGIN_BYTES
    return IndexRow(
        name,
        value[:STAMP_BYTES],
        flags,
        policy,
        Location(segment, offset, length),
        size,
        expires,
        data_id,
        value[at : -_CHECK.size],
        detail,
        origin,
    )
