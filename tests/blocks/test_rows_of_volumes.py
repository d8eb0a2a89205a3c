"""Heads, log objects and checkpoints come back as they were written; what is none is said to be none."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.blocks import checkpoint
from store.blocks.block_map import BlockMap, Frozen
from store.blocks.contents import Contents, Listed
from store.blocks.frame import Entry, Kind
from store.blocks.head import Behind, Head, Past, Root, new_head
from store.blocks.log_frame import ENTRIES_MAX, FRAME_BLOCKS, FRAME_PAGES, LogFrame
from store.blocks.log_object import OBJECT_PAGES, open_row, parse_row, sealed_row
from store.blocks.place import BLOCK_BYTES, pack
from store.blocks.table import Table
from store.core.errors import DamageError, NewerError
from store.core.limits import RECORD_BYTES_MAX
from store.device.record import BULK_ALIGN, lay_out, seal
from store.device.record import Kind as RecordKind
from store.device.row import Row
from tests.blocks.conftest import MIB, catalogue_of, media, node_of

numbers = st.integers(0, 2**32 - 1)
behinds = st.none() | st.builds(Behind, numbers, numbers, numbers, st.integers(0, 2**63))
roots = st.builds(Root, st.integers(0, 65535), numbers, numbers, st.integers(0, 2**63), behinds)
times = st.integers(0, 2**62)
heads = st.builds(
    Head,
    st.integers(0, 2**47),
    numbers,
    roots,
    numbers,
    st.lists(st.binary(), max_size=4).map(tuple),
    window_us=times,
    since_us=times,
    history=st.lists(st.builds(Past, times, roots), max_size=4).map(tuple),
)


@given(heads)
def test_a_head_comes_back(head: Head) -> None:
    assert Head.decode(head.encode()) == head
    assert head.depth == len(head.lineage)


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"x", msgpack.packb([]), msgpack.packb([1]), msgpack.packb(7)])
@pytest.mark.parametrize("decode", [Head.decode, Contents.decode])
def test_what_is_no_head_and_no_contents(packed: bytes, decode: Callable[[bytes], object]) -> None:
    with pytest.raises(DamageError):
        decode(packed)


@pytest.mark.parametrize("fields", [[3], [3, 1], [3, 1, 2, 3, 4, 5, 6, 7]])
@pytest.mark.parametrize("decode", [Head.decode, Contents.decode])
def test_what_a_newer_program_wrote_is_said_to_be_newer(fields: list[int], decode: Callable[[bytes], object]) -> None:
    """Whatever fields it has then."""
    with pytest.raises(NewerError):
        decode(msgpack.packb(fields))


def test_a_new_volume_begins_with_nothing() -> None:
    head = new_head(MIB)
    assert (head.size, head.epoch, head.depth) == (MIB, 0, 0)
    assert head.root == Root(0, 0, 1, 0)


async def test_log_objects_come_back_from_their_rows() -> None:
    async with node_of(media()) as node:
        table = Table(node.store, await catalogue_of(node).create("v", MIB))
        data_id = bytes(range(16))
        opened = parse_row(7, open_row(table, 7, data_id, (3, 1, 2), 9))
        assert opened == (7, data_id, (3, 1, 2), 9, None)
        frames = [Listed(5, 6, 4096, [Entry(Kind.DATA, 0, 3), Entry(Kind.DISCARD, 9, 100)]), Listed(6, 7, 512, [])]
        row = sealed_row(table, 7, data_id, (3, 1, 2), Contents(frames))
        sealed = parse_row(7, row)
        assert sealed.contents is not None
        assert [(frame.sequence, frame.pages) for frame in sealed.contents.frames] == [(5, 3), (6, 0)]
        assert sealed[:4] == (7, data_id, (3, 1, 2), 0)
        assert row.size == 4 * BLOCK_BYTES + 512
        void = parse_row(7, sealed_row(table, 7, data_id, (3, 1, 2), Contents()))
        assert void.data_id == b""
        assert void.contents is not None
        assert void.contents.frames == []


async def test_log_objects_that_are_none() -> None:
    async with node_of(media()) as node:
        table = Table(node.store, await catalogue_of(node).create("v", MIB))
        row = open_row(table, 7, bytes(16), (1, 2), 9)

        def with_payload(*fields: object) -> Row:
            return row._replace(payload=msgpack.packb(fields))

        for bad in (with_payload(), with_payload(1), with_payload(1, 2), with_payload(1, 2, 3), with_payload(b"")):
            with pytest.raises(DamageError):
                parse_row(7, bad)
        for newer in (with_payload(2), with_payload(2, 1, [1], 5)):
            with pytest.raises(NewerError):
                parse_row(7, newer)


LARGEST = {
    Kind.DATA: Entry(Kind.DATA, 2**34 - 1, FRAME_PAGES),
    Kind.DISCARD: Entry(Kind.DISCARD, 2**34 - 1, 2**34),
    Kind.MOVE: Entry(Kind.MOVE, 2**34 - 1, FRAME_PAGES, 2**64 - 1),
}


@pytest.mark.parametrize("kind", LARGEST)
def test_the_header_of_a_frame_is_a_page_at_most_whatever_is_in_it(kind: Kind) -> None:
    frame = LogFrame(2**63)
    while frame.has_room(Entry(Kind.DISCARD, 0, 1)):
        frame.entries.append(LARGEST[kind])
    assert len(frame.entries) == ENTRIES_MAX
    frame.close(2**63, 2**63)
    assert len(frame.payload) <= BLOCK_BYTES


def test_what_is_in_an_object_fits_into_a_record_whatever_that_is() -> None:
    """Frames of nothing but zeros, as many as an object may have: its row has room for them."""
    entries = [Entry(Kind.DISCARD, 2**34 - 1, FRAME_BLOCKS)] * ENTRIES_MAX
    contents = Contents([Listed(2**63, 2**63, BLOCK_BYTES, entries)] * OBJECT_PAGES)
    assert len(contents.encode()) < RECORD_BYTES_MAX - 64 * 1024


def test_a_frame_has_room_for_so_many_pages() -> None:
    frame = LogFrame(1)
    first = frame.add(Entry(Kind.DATA, 0, FRAME_PAGES - 1), b"a" * (FRAME_PAGES - 1) * BLOCK_BYTES)
    assert frame.has_room(Entry(Kind.DATA, 0, 1))
    assert not frame.has_room(Entry(Kind.MOVE, 0, 2, 99))
    last = frame.add(Entry(Kind.DATA, 9, 1), b"b" * BLOCK_BYTES)
    assert frame.has_room(Entry(Kind.ZERO, 0, 2))
    assert not frame.has_room(Entry(Kind.DATA, 0, 1))
    frame.close(1, 1)
    assert bytes(frame.payload[BLOCK_BYTES:]) == bytes(first) + bytes(last)
    assert (bytes(first[:1]), bytes(last)) == (b"a", b"b" * BLOCK_BYTES)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def frozen(leaves: int = 3) -> Frozen:
    map_ = BlockMap()
    for leaf in range(leaves):
        map_.put(leaf * 512 + 5, 3, pack(0, leaf + 1, 9))
    return map_.freeze(0, 4)


def stored(of: Frozen, sizes: dict[int, int]) -> bytes:
    return b"".join(checkpoint.encode(of, sizes, {7: 3}))


def table_of(whole: bytes) -> checkpoint.CheckpointTable:
    footer = checkpoint.decode_footer(whole[-checkpoint.FOOTER_BYTES :])
    start = footer.pages * BLOCK_BYTES
    return checkpoint.decode_table(whole[start : -checkpoint.FOOTER_BYTES], footer)


@pytest.mark.parametrize("leaves", [0, 1, 3, 600])
def test_a_checkpoint_comes_back(leaves: int) -> None:
    made, sizes = frozen(leaves), {1: 20, 2**32 - 1: 4000}
    whole = stored(made, sizes)
    table = table_of(whole)
    wanted = made.top, made.objects, made.checkpoints, sizes, {7: 3}, len(made.pages)
    assert table == checkpoint.CheckpointTable(*wanted)
    for number, page in enumerate(made.pages, 1):
        start, stop = checkpoint.page_range(number)
        assert checkpoint.unpack_places(whole[start:stop]) == page
    assert isinstance(table.objects, Counter)


def test_damage_to_what_a_checkpoint_says_is_found() -> None:
    whole = stored(frozen(), {1: 20})
    begins = checkpoint.decode_footer(whole[-checkpoint.FOOTER_BYTES :]).pages * BLOCK_BYTES
    for at in range(begins, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with pytest.raises(DamageError):
            table_of(bytes(damaged))
    with pytest.raises(DamageError):
        checkpoint.decode_footer(b"")


def test_a_checkpoint_of_a_newer_program_or_of_no_known_form() -> None:
    def table(*fields: object) -> tuple[bytes, checkpoint.Footer]:
        packed: bytes = msgpack.packb(fields)
        return packed, checkpoint.Footer(0, len(packed), checkpoint._check(packed))

    with pytest.raises(NewerError):
        checkpoint.decode_table(*table(2, b"", [], [], [], 5))
    for bad in ([1], [1, b"123", [], [], []], [1, b"", [1], [], []], [0, b"", [], [], []], list[object]()):
        with pytest.raises(DamageError):
            checkpoint.decode_table(*table(*bad))


def test_places_are_little_endian() -> None:
    assert checkpoint.unpack_places(b"\x01" + bytes(7) + b"\x02\x01" + bytes(6)) == array("Q", [1, 258])


def test_a_frame_is_about_so_many_blocks_and_no_more_whatever_it_says_of_them() -> None:
    """What one frame changes of the map has room in a checkpoint."""
    frame = LogFrame(1)
    frame.add(Entry(Kind.ZERO, 0, FRAME_BLOCKS - 1))
    assert frame.has_room(Entry(Kind.DISCARD, 0, 1))
    assert not frame.has_room(Entry(Kind.DISCARD, 0, 2))


@pytest.mark.parametrize(("blocks", "header"), [(1, 512), (15, 512), (16, BLOCK_BYTES), (FRAME_PAGES, BLOCK_BYTES)])
def test_a_small_frame_takes_no_page_for_its_header(blocks: int, header: int) -> None:
    """Of the record that a device keeps it in: header and data begin with a page of their own in larger ones."""
    frame = LogFrame(1)
    data = bytes(range(256)) * (blocks * BLOCK_BYTES // 256)
    frame.add(Entry(Kind.DATA, 0, blocks), data)
    frame.close(1, 1)
    assert (frame.header_bytes, len(frame.payload)) == (header, header + len(data))
    assert bytes(frame.payload[header:]) == data
    sealed = seal(RecordKind.BLOCK, bytes(150), frame.payload)
    _, length, _ = lay_out(sealed, seq=1, durable=0, segment=1, offset=4096, align=BULK_ALIGN)
    assert length // BLOCK_BYTES - blocks == (1 if header == 512 else 2)
