"""Samples of what volumes store are read as what they were, by the program and by the words of docs/volumes.md, and
still written byte for byte."""

from __future__ import annotations

import struct
from collections import Counter

import msgpack
import pytest
from xxhash import xxh3_64_intdigest

from store.blocks import checkpoint
from store.blocks.block_map import BlockMap, Run
from store.blocks.catalogue import _decode as decode_name
from store.blocks.contents import Contents, Listed, Spot
from store.blocks.frame import Entry, Frame, Kind, decode_header, header_bytes
from store.blocks.head import Head, Past, Root
from store.blocks.log_object import parse_row
from store.blocks.place import BLOCK_BYTES, Place, unpack
from store.blocks.snapshots import Snapshot
from store.core.errors import DamageError, NewerError
from store.device.record import LOG_ALIGN
from store.device.row import Flag, Row, decode_meta
from store.objects.rowcodec import decode_object
from tests.formats import make_volume_samples as samples
from tests.formats.make_samples import SAMPLES
from tests.formats.test_samples import records

DATA_ID = bytes(range(16, 32))
PARENT = bytes(range(160, 176))
CLONE = bytes(range(176, 192))
NOON = 1_700_000_000_000_000


def sample(name: str) -> bytes:
    return (SAMPLES / f"volume-{name}.bin").read_bytes()


def rows() -> list[Row]:
    _, *found = records("volume-rows-1.bin", 11, LOG_ALIGN)
    return [decode_meta(record.meta, bytes(record.payload)) for record in found]


def test_volumes_are_still_written_as_they_were() -> None:
    assert sample("rows-1") == samples.rows_segment()
    assert sample("frame-1") == samples.frame_block()
    assert sample("checkpoint-1") == samples.checkpoint()


def test_rows_of_a_volume_version_1() -> None:
    found = rows()
    names = ["web", "h", "h", "l000000ff", "l000000ff", "l00000100", "sbegun", "sgrößer", "sunseen"]
    assert [row.key.name.decode() for row in found] == names
    for row in found:
        summary = decode_object(row.summary, row.stamp)
        assert (summary.etag, summary.content_type) == ("0" * 32, "application/x-drystone-volume")
        if summary.data_location is None:
            assert (row.flags, row.data_id) == (0, b"")
    assert msgpack.unpackb(found[0].payload) == [1, PARENT]
    assert decode_name(found[0].payload) == PARENT


def test_heads_version_1() -> None:
    stored, kept = (row.payload for row in rows()[1:3])
    assert msgpack.unpackb(stored) == [
        1,
        10 << 30,
        9,
        [2, 2, 4, 1001],
        3,
        [PARENT, CLONE],
        "monday",
        False,
        900_000_000,
        [[NOON - 9, [1, 6, 1, 0]], [NOON, [2, 1, 3, 900]]],
        "n1",
        NOON - 77,
    ]
    head = Head.decode(stored)
    assert (head.size, head.epoch, head.root, head.next_checkpoint) == (10 << 30, 9, Root(2, 2, 4, 1001), 3)
    assert (head.lineage, head.origin, head.depth, head.deleted) == ((PARENT, CLONE), "monday", 2, False)
    assert head.history == (Past(NOON - 9, Root(1, 6, 1, 0)), Past(NOON, Root(2, 1, 3, 900)))
    assert (head.window_us, head.holder, head.since_us) == (900_000_000, "n1", NOON - 77)
    assert head.encode() == stored
    assert Head.decode(kept) == Head(4096, 1, Root(0, 0, 1, 0), 1, (), "", True, 0, (), "", 0)
    assert Head.decode(kept).encode() == kept


def test_a_head_that_does_not_say_who_has_it_open() -> None:
    """As heads were before they said that: nobody is known to."""
    fields = msgpack.unpackb(rows()[1].payload)
    head = Head.decode(msgpack.packb(fields[:-2]))
    assert (head.holder, head.since_us, head.window_us) == ("", 0, 900_000_000)


def test_log_objects_version_1() -> None:
    opened, sealed, void = rows()[3:6]
    assert msgpack.unpackb(opened.payload) == [1, 9, [3, 1, 4]]
    assert (opened.flags, opened.data_id, opened.size) == (Flag.DATA, DATA_ID, 0)
    assert parse_row(255, opened) == (255, DATA_ID, (3, 1, 4), 9, None)
    location = decode_object(sealed.summary, sealed.stamp).data_location
    assert location is not None
    assert (location.block_bytes, location.devices, location.lengths) == (4096, (3, 1, 4), (3, 4))
    assert (sealed.flags, sealed.data_id, sealed.size) == (Flag.DATA, DATA_ID, 7 * 4096)
    assert msgpack.unpackb(sealed.payload) == [
        1,
        [
            [1000, NOON, 2, [[0, 0, 1]]],
            [1001, NOON + 1, 1, [[0, 7, 2], [1, 512, 512], [2, 5000, 262_144], [3, 40, 1, 0x0001_0000_0002_0003]]],
        ],
    ]
    object_ = parse_row(255, sealed)
    contents = object_.contents
    assert contents is not None
    assert (object_.number, object_.data_id, object_.homes) == (255, DATA_ID, (3, 1, 4))
    assert contents.frames[0] == Listed(1000, NOON, 2, [Entry(Kind.DATA, 0, 1)])
    assert [contents.spot(page) for page in (1, 2, 4)] == [Spot(0, 8192, 1), Spot(1, 4096, 3), Spot(1, 12_288, 1)]
    assert [page for _, page in contents.entries()] == [1, 2, 4, 4, 4]
    assert contents.encode() == sealed.payload
    assert msgpack.unpackb(void.payload) == [1, []]
    emptied = parse_row(256, void)
    assert (emptied.data_id, emptied.homes) == (b"", ())
    assert emptied.contents is not None
    assert emptied.contents.frames == []


def test_snapshots_version_1() -> None:
    begun, whole, unseen = (row.payload for row in rows()[6:])
    assert msgpack.unpackb(begun) == [1, 9, 10 << 30, None, NOON, [], False]
    assert msgpack.unpackb(whole) == [1, 9, 10 << 30, [2, 2, 4, 1001], NOON, [PARENT, CLONE], False]
    assert msgpack.unpackb(unseen) == [1, 8, 4096, [0, 0, 1, 0], NOON, [CLONE], True]
    assert Snapshot.decode(begun) == Snapshot(9, 10 << 30, None, NOON, (), False)
    assert Snapshot.decode(whole) == Snapshot(9, 10 << 30, Root(2, 2, 4, 1001), NOON, (PARENT, CLONE), False)
    assert Snapshot.decode(unseen) == Snapshot(8, 4096, Root(0, 0, 1, 0), NOON, (CLONE,), True)
    for stored in (begun, whole, unseen):
        assert Snapshot.decode(stored).encode() == stored


def test_a_frame_version_1() -> None:
    stored = sample("frame-1")
    assert stored[:4] == b"DRYF"
    packed = stored[8 : 8 + int.from_bytes(stored[4:8], "little")]
    entries = [[0, 7, 2], [1, 512, 512], [2, 5000, 262_144], [3, 40, 1, 0x0001_0000_0002_0003]]
    assert msgpack.unpackb(packed) == [1, 9, 1001, NOON + 1, entries]
    assert not any(stored[8 + len(packed) : BLOCK_BYTES])
    assert header_bytes(stored) == BLOCK_BYTES
    frame = decode_header(stored)
    assert frame == Frame(9, 1001, NOON + 1, [Entry(Kind(kind), *rest) for kind, *rest in entries])
    assert unpack(frame.entries[3].origin) == Place(1, 2, 3)
    assert [stored[at] for at in range(BLOCK_BYTES, len(stored), BLOCK_BYTES)] == list(b"abm")
    assert len(stored) == BLOCK_BYTES * (1 + frame.pages)


def test_a_checkpoint_version_1() -> None:
    """As docs/volumes.md says it is found: from the footer to the table, from its top to a directory, to a leaf, to a
    place."""
    stored = sample("checkpoint-1")
    magic, pages, table_bytes, check = struct.unpack("<4sIII", stored[-16:])
    table = stored[-16 - table_bytes : -16]
    assert (magic, pages, check) == (b"DRYC", 3, xxh3_64_intdigest(table) & 0xFFFFFFFF)
    assert len(stored) == 4096 * pages + table_bytes + 16

    def page(number: int) -> tuple[int, ...]:
        return struct.unpack("<512Q", stored[4096 * (number - 1) : 4096 * number])

    version, packed_top, *usage = msgpack.unpackb(table)
    top = struct.unpack("<3Q", packed_top)
    assert version == 1
    assert top == (0x0002_00000002_0003, 0, 0x0001_00000006_0002)  # the last is in the checkpoint of the parent
    directory = page(top[0] & 0xFFFF)
    assert [place for place in directory if place] == [0x0002_00000002_0001, 0x0002_00000002_0002]
    leaf = page(directory[0] & 0xFFFF)
    places = [0, 0, 0, 0x0002_000000FF_0001, 0x0002_000000FF_0002, 1, 0x0002_000000FF_0004, 0]
    assert list(leaf[:8]) == places
    assert page(directory[1] & 0xFFFF)[0] == 0x0000_00000001_0009
    depths = 1 << 32, 2 << 32
    assert usage == [
        [[depths[0] + 5, 2], [depths[1] + 255, 3], [1, 1]],
        [[depths[0] + 6, 2], [depths[1] + 2, 3]],
        [[254, 2050], [255, 7]],
        [[1, 2]],
    ]

    footer = checkpoint.decode_footer(stored[-16:])
    assert (footer.pages, footer.table_bytes, footer.check) == (pages, table_bytes, check)
    found = checkpoint.decode_table(table, footer)
    assert found.objects == Counter({depths[0] + 5: 2, depths[1] + 255: 3, 1: 1})
    assert found.checkpoints == Counter({depths[0] + 6: 2, depths[1] + 2: 3})
    assert (found.sizes, found.stored, found.pages) == ({254: 2050, 255: 7}, {1: 2}, 3)
    map_ = BlockMap(found.top, found.objects, found.checkpoints)
    while missing := map_.missing(0, 600):
        for each in missing:
            start, stop = checkpoint.page_range(unpack(each.place).page)
            map_.loaded(each, checkpoint.unpack_places(stored[start:stop]).tobytes())
    assert map_.look(0, 8) == [
        Run(0, 3, 0),
        Run(3, 2, 0x0002_000000FF_0001),
        Run(5, 1, 1),
        Run(6, 1, 0x0002_000000FF_0004),
        Run(7, 1, 0),
    ]
    assert [(each.directory, unpack(each.place)) for each in map_.missing(600_000, 1)] == [(True, Place(1, 6, 2))]


@pytest.mark.parametrize("decode", [Head.decode, Contents.decode, Snapshot.decode, decode_name])
def test_what_a_newer_program_stored_is_said_to_be_newer(decode: object) -> None:
    assert callable(decode)
    with pytest.raises(NewerError):
        decode(msgpack.packb([2, b"", 0]))
    with pytest.raises(DamageError):
        decode(b"\xc1")
