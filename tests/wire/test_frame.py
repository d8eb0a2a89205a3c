"""Frames: whatever way the bytes come, and whatever bytes they are."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from store.wire.errors import ProtocolError
from store.wire.frame import HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, PREFIX_BYTES, Frame, FrameReader, encode

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4),
    max_leaves=8,
)
PAYLOADS = st.binary(max_size=50) | st.integers(0, 200_000).map(bytes)
FRAMES = st.lists(st.tuples(st.integers(0, 20), st.lists(PLAIN, max_size=4), PAYLOADS), max_size=6)


def stream_of(frames: list[tuple[int, list[object], bytes]]) -> bytes:
    return b"".join(encode((kind, *fields), payload) + payload for kind, fields, payload in frames)


def read(reader: FrameReader, data: bytes, cuts: list[int]) -> list[Frame]:
    frames = []
    at = 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        frames += reader.feed(data[at:cut])
        at = cut
    return frames


@given(FRAMES, st.lists(st.integers(0, 300_000), max_size=12))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[tuple[int, list[object], bytes]], cuts: list[int]
) -> None:
    reader = FrameReader()
    found = read(reader, stream_of(frames), cuts)
    assert [(each.fields, bytes(each.payload)) for each in found] == [
        ([kind, *fields], payload) for kind, fields, payload in frames
    ]
    assert reader.empty


def test_byte_by_byte() -> None:
    frames: list[tuple[int, list[object], bytes]] = [(1, [b"x" * 300], b"y" * 70_000), (2, [], b""), (3, ["t"], b"z")]
    data = stream_of(frames)
    reader = FrameReader()
    found = [frame for at in range(len(data)) for frame in reader.feed(data[at : at + 1])]
    assert [frame.fields[0] for frame in found] == [1, 2, 3]
    assert bytes(found[0].payload) == b"y" * 70_000


@given(st.binary(min_size=1, max_size=200), st.integers(0, 10**6), st.integers(1, 255))
def test_no_damage_of_sizes_or_head_is_taken_for_a_message(head: bytes, at: int, flip: int) -> None:
    data = bytearray(encode((1, head)))
    data[at % len(data)] ^= flip
    reader = FrameReader()
    try:
        assert reader.feed(bytes(data)) == []
    except ProtocolError:
        return
    assert not reader.empty, "more is waited for"


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    try:
        frames = FrameReader().feed(data)
    except ProtocolError:
        return
    assert frames == []


@pytest.mark.parametrize("sizes", [(HEAD_BYTES_MAX + 1, 0), (0, PAYLOAD_BYTES_MAX + 1), (2**32 - 1, 2**32 - 1)])
def test_what_is_too_large_is_refused_before_it_arrives(sizes: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(struct.pack("<IIQ", *sizes, 0))


def test_what_is_not_a_list_that_begins_with_a_kind_is_refused() -> None:
    for head in (b"", b"\xc0", b"\x90", b"\x91\xc0", b"\x91\xa1a", b"\x81\x01\x02", b"\x93\x01", b"\x91" * 2000):
        sizes = struct.pack("<II", len(head), 0)
        with pytest.raises(ProtocolError):
            FrameReader().feed(sizes + struct.pack("<Q", xxh3_64_intdigest(sizes + head)) + head)


def test_the_reader_holds_no_more_than_a_frame() -> None:
    """Whatever a peer sends, as long as it is read."""
    random = Random(1)
    payload = bytes(PAYLOAD_BYTES_MAX)
    data = encode((1,), payload) + payload
    reader = FrameReader()
    for _ in range(3):
        at = 0
        while at < len(data):
            step = random.randrange(1, 100_000)
            reader.feed(data[at : at + step])
            at += step
            held = len(reader._pending) + len(reader._payload or b"")
            assert held <= PAYLOAD_BYTES_MAX + PREFIX_BYTES + 100_000


def test_a_hello_is_small() -> None:
    reader = FrameReader(100, 0)
    with pytest.raises(ProtocolError):
        reader.feed(encode((0, "x" * 200)))
