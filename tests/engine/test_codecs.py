"""Rows, blocks and superblocks come back as they were stored, and damage to an index value is noticed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from store.core.errors import DamageError, NewerError
from store.core.stamp import ZERO, Stamp
from store.device import block, data_fence, promise, row
from store.device.block import BlockKey, IndexBlock
from store.device.data_fence import DataFence, IndexFence
from store.device.promise import IndexPromise, Promise
from store.device.row import Flag, IndexRow, Location, Origin, Row, RowKey
from store.engine.committer import decode_previous
from store.engine.superblock import Superblock, read_superblock, write_superblock
from store.objects import rowcodec
from tests.engine.devices import disk_of
from tests.simulation.disk import SimMedium

tables = st.binary(min_size=16, max_size=16)
keys = st.builds(
    RowKey, st.integers(0, 2**32 - 1), tables, st.integers(0, 2**16 - 1), st.binary(min_size=1, max_size=900)
)
locations = st.builds(Location, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
epochs = st.integers(0, 2**63 - 1)
stamps = st.builds(Stamp, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))


origins = st.builds(Origin, *[stamps.map(Stamp.pack)] * 3)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    flags = draw(st.integers(0, 31))
    return Row(
        draw(keys),
        draw(stamps),
        flags,
        draw(st.integers(0, 255)),
        draw(st.integers(0, 2**64 - 1)),
        draw(st.integers(1, 2**64 - 1)) if flags & Flag.EXPIRES else 0,
        draw(tables) if flags & Flag.DATA else b"",
        draw(st.binary(max_size=50)),
        draw(st.binary(max_size=2 * row.DETAIL_BYTES_MAX)),
        b"",
        draw(st.none() | origins),
    )


@given(rows())
def test_row_meta(written: Row) -> None:
    assert row.decode_meta(row.encode_meta(written)) == written


@given(rows(), locations, locations)
def test_row_value(written: Row, ring_hash: Location, moved: Location) -> None:
    packed = row.index_key(written.key)
    assert len(packed) <= 511
    value = row.encode_value(packed, row.value_of(written), ring_hash)
    row.verify_value(packed, value)
    long = Flag.LONG_NAME if len(written.key.name) > row.NAME_KEY_BYTES else 0
    here = Flag.DETAIL if 0 < len(written.detail) <= row.DETAIL_BYTES_MAX else 0
    conditional = Flag.CONDITIONAL if written.origin is not None else 0
    expected = IndexRow(
        written.key.name, written.stamp.pack(), written.flags | long | here | conditional, written.policy, ring_hash,
        written.size, written.expires, written.data_id, written.summary, written.detail if here else None,
        written.origin,
    )  # fmt: skip
    shown = written.origin.shown if written.origin is not None else written.stamp.pack()
    assert row.listed(expected).stamp == shown
    if expected.live:
        assert row.decode_page([(packed, value)]) == [row.listed(expected)]
    assert row.decode_value(packed, value) == expected
    elsewhere = row.move_value(packed, value, moved)
    row.verify_value(packed, elsewhere)
    assert row.decode_value(packed, elsewhere) == expected._replace(location=moved)
    assert row.parse_key(packed, written.key.name) == written.key


@given(rows(), locations, st.data())
def test_a_flipped_bit_in_a_row_value_is_noticed(written: Row, ring_hash: Location, data: st.DataObject) -> None:
    packed = row.index_key(written.key)
    value = bytearray(row.encode_value(packed, row.value_of(written), ring_hash))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamageError):
        row.verify_value(packed, bytes(value))


@given(rows(), locations)
def test_what_is_left_of_a_retired_tombstone(written: Row, location: Location) -> None:
    packed = row.index_key(written.key)
    before = row.decode_value(packed, row.encode_value(packed, row.value_of(written), location))
    value = row.retired_value(packed, row.retired_note(before))
    row.verify_value(packed, value)
    left = row.decode_value(packed, value)
    assert (left.live, left.name, left.stamp, left.origin) == (False, before.name, before.stamp, before.origin)
    assert left.root == before.root


@pytest.mark.parametrize("stamps_", [(), (b"1" * 12,) * 2, (b"1" * 12,) * 4, (b"1" * 12, b"1" * 12, b"1" * 11)])
def test_an_origin_that_is_none_is_damage(stamps_: tuple[bytes, ...]) -> None:
    plain = Row(RowKey(1, b"t" * 16, 0, b"o"), ZERO, 0, 0, 0, 0, b"", b"s", b"", b"")
    fields = msgpack.unpackb(row.encode_meta(plain))
    with pytest.raises(DamageError, match="known form"):
        row.decode_meta(msgpack.packb([2, *fields[1:], *stamps_]))


@given(keys, stamps, locations, st.data())
def test_promise(key: RowKey, stamp: Stamp, location: Location, data: st.DataObject) -> None:
    written = Promise(key, stamp)
    assert promise.decode_meta(promise.encode_meta(written)) == written
    packed = promise.index_key(row.index_key(key))
    assert len(packed) <= 511
    value = promise.encode_value(packed, IndexPromise(stamp.pack(), location))
    assert promise.decode_value(packed, value) == IndexPromise(stamp.pack(), location)
    bad = bytearray(value)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(bad), value[:-1], value + b"\0", b""):
        with pytest.raises(DamageError):
            promise.decode_value(packed, damaged)


@given(tables, epochs, epochs, locations, st.data())
def test_fence(data_id: bytes, epoch: int, first: int, location: Location, data: st.DataObject) -> None:
    written = DataFence(data_id, epoch, first)
    assert data_fence.decode_meta(data_fence.encode_meta(written)) == written
    packed = data_fence.index_key(data_id)
    value = data_fence.encode_value(packed, IndexFence(epoch, first, location))
    assert data_fence.decode_value(packed, value) == IndexFence(epoch, first, location)
    bad = bytearray(value)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(bad), value[:-1], value + b"\0", b""):
        with pytest.raises(DamageError):
            data_fence.decode_value(packed, damaged)


@given(st.builds(BlockKey, tables, st.integers(0, 2**32 - 1), st.integers(0, 255)), keys, locations, st.data())
def test_block(key: BlockKey, owner: RowKey, ring_hash: Location, data: st.DataObject) -> None:
    assert block.decode_meta(block.encode_meta(key, owner)) == (key, owner)
    packed = block.index_key(key)
    assert block.parse_key(packed) == key
    entry = IndexBlock(ring_hash, 4096, 77)
    value = block.encode_value(packed, entry)
    assert block.decode_value(packed, value) == entry
    bad = bytearray(value)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamageError):
        block.decode_value(packed, bytes(bad))


Decode = Callable[[bytes], object]

DECODES: list[tuple[str, Decode]] = [
    ("row meta", row.decode_meta),
    ("promise", promise.decode_meta),
    ("fence", data_fence.decode_meta),
    ("block meta", block.decode_meta),
    ("block meta", block.decode_target),
    ("previous-segment record", decode_previous),
    ("object summary", lambda summary: rowcodec.decode_object(summary, ZERO)),
    ("object summary", lambda summary: rowcodec.object_entry("o", ZERO, 0, summary)),
    ("table summary", lambda summary: rowcodec.decode_table(summary, ZERO)),
    ("detail", rowcodec.decode_headers),
]


@pytest.mark.parametrize(("name", "decode"), DECODES)
def test_what_is_of_no_known_version_is_told_from_what_a_newer_program_wrote(name: str, decode: Decode) -> None:
    for number in range(1, 20):  # whatever else a newer version has
        with pytest.raises(NewerError, match=f"{name}: version 3 is not known here.*newer Drystone"):
            decode(msgpack.packb([3, *range(number)]))
    for stored in (b"", b"\xc1", *map(msgpack.packb, ([], 1, {}, None, [0, 1], ["3", 1], [1], [1, 2]))):
        with pytest.raises(DamageError) as raised:
            decode(stored)
        assert not isinstance(raised.value, NewerError)


def test_a_flag_of_a_newer_program_is_refused_wherever_it_is_read() -> None:
    """It may say that the row is not there, or that the index value has another field. In the index there is no flag
    left for it, but the form of what is behind the last one."""
    written = Row(RowKey(1, b"t" * 16, 0, b"o"), ZERO, 128, 0, 0, 0, b"", b"s", b"", b"")
    packed = row.index_key(written.key)
    for flags in (128, 256):
        with pytest.raises(NewerError, match=f"{flags:#x}"):
            row.decode_meta(row.encode_meta(written._replace(flags=flags)))
    known = row.value_of(written._replace(flags=0, origin=Origin(b"r" * 12, b"b" * 12, b"s" * 12)))
    value = row.encode_value(packed, known._replace(rest=b"\2" + known.rest[1:]), Location(1, 2, 3))
    for read in (
        lambda: row.decode_value(packed, value),
        lambda: row.decode_page([(packed, value)]),
        lambda: row.decode_names([(packed, value)], 0),
    ):
        with pytest.raises(NewerError, match="form 2"):
            read()


def test_superblock() -> None:
    medium = SimMedium(Random(1))
    assert read_superblock(disk_of(medium)) is None
    for in_sync, has_ballots in product((True, False), repeat=2):
        written = Superblock(b"c" * 16, 3, in_sync, b"i" * 16, 7, has_ballots)
        write_superblock(disk_of(medium), written)
        medium.lose_power()
        assert read_superblock(disk_of(medium)) == written
    medium.flip("device", 5)
    with pytest.raises(DamageError):
        read_superblock(disk_of(medium))
    medium.wipe()
    newer = msgpack.packb([4, 1, 2, 3])
    disk_of(medium).open("device", create=True).write(0, [newer + xxh3_64_intdigest(newer).to_bytes(8, "little")])
    with pytest.raises(NewerError, match="newer Drystone"):
        read_superblock(disk_of(medium))
