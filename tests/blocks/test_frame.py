"""Frames and tables of contents come back as they were; what is none is said to be none."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.blocks import frame as codec
from store.blocks.contents import Contents
from store.blocks.frame import Entry, Frame, Kind
from store.blocks.place import BLOCK_BYTES, DEPTH_MAX, OBJECTS_MAX, PAGES_MAX, Place, is_stored, pack, unpack
from store.core.errors import DamageError, NewerError

numbers = st.integers(0, 2**40)
entries = st.builds(
    lambda kind, first, count, origin: Entry(kind, first, count, origin if kind is Kind.MOVE else 0),
    st.sampled_from(Kind),
    numbers,
    st.integers(1, 256),
    st.integers(2, 2**64 - 1),
)
frames = st.builds(Frame, numbers, numbers, numbers, st.lists(entries, max_size=300))


@given(frames, st.sampled_from([BLOCK_BYTES, codec.HEADER_ALIGN]))
def test_a_frame_comes_back(written: Frame, align: int) -> None:
    header = codec.encode_header(written, align)
    assert len(header) % align == 0
    assert codec.header_bytes(header[:8]) == len(header)
    assert codec.decode_header(header + b"data") == written


@given(st.lists(frames, max_size=8))
def test_contents_come_back_and_say_where_pages_are(written: list[Frame]) -> None:
    contents = Contents()
    stored = {}
    for number, frame in enumerate(written):
        header = codec.encode_header(frame, codec.HEADER_ALIGN if number % 2 else BLOCK_BYTES)
        first = contents.append(frame, len(header))
        for at in range(frame.pages):
            stored[first + at] = (number, len(header) + at * BLOCK_BYTES, frame.pages - at)
    read = Contents.decode(contents.encode())
    for each in (contents, read):
        assert each.pages == len(stored)
        assert {page: tuple(each.spot(page)) for page in stored} == stored
        assert [entry for entry, _ in each.entries()] == [entry for frame in written for entry in frame.entries]
        ends = [page + entry.pages for entry, page in each.entries()]
        assert ends[-1:] == ([len(stored) + 1] if ends else [])
        for page in (0, len(stored) + 1):
            with pytest.raises(DamageError):
                each.spot(page)
    assert read.stored_pages == len(written) + len(stored)


def header(*fields: object) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return b"DRYF" + len(packed).to_bytes(4, "little") + packed


@pytest.mark.parametrize(
    "damaged",
    [
        b"DRYX" + bytes(BLOCK_BYTES),
        b"DRYF",
        b"DRYF" + (5000).to_bytes(4, "little") + bytes(BLOCK_BYTES),
        b"DRYF" + bytes(BLOCK_BYTES),
        header(1, 2, 3),
        header(1, 2, 3, 4, [[9, 0, 1]]),
        header(1, 2, 3, 4, [[0, 0, 0]]),
        header(1, 2, 3, 4, [[0, -1, 1]]),
        header(1, 2, 3, 4, [[0, b"0", 1]]),
        header(1, 2, 3, 4, [[0, 1]]),
        header(1, 2, 3, 4, [[0, 0, 1, 5]]),
        header(1, 2, 3, 4, [[3, 0, 1]]),
        header(0, 2, 3, 4, []),
    ],
)
def test_what_is_no_frame(damaged: bytes) -> None:
    with pytest.raises(DamageError):
        codec.decode_header(damaged)
    if len(damaged) < BLOCK_BYTES:
        with pytest.raises(DamageError):
            codec.decode_header(damaged + bytes(BLOCK_BYTES - len(damaged)))


def test_what_a_newer_program_wrote() -> None:
    newer = header(2, 2, 3, 4, [])
    with pytest.raises(NewerError):
        codec.decode_header(newer + bytes(-len(newer) % BLOCK_BYTES))
    with pytest.raises(NewerError):
        Contents.decode(msgpack.packb((3, [])))
    with pytest.raises(DamageError):
        Contents.decode(msgpack.packb((1, [[1, 2]])))


@given(st.integers(0, DEPTH_MAX), st.integers(1, OBJECTS_MAX), st.integers(1, PAGES_MAX))
def test_a_place_comes_back(depth: int, number: int, page: int) -> None:
    place = pack(depth, number, page)
    assert unpack(place) == Place(depth, number, page)
    assert is_stored(place)
    assert place < 2**64


@pytest.mark.parametrize("none", [(-1, 1, 1), (DEPTH_MAX + 1, 1, 1), (0, 0, 1), (0, OBJECTS_MAX + 1, 1), (0, 1, 0)])
def test_what_is_no_place(none: tuple[int, int, int]) -> None:
    with pytest.raises(OverflowError):
        pack(*none)
