"""Blocks that have each their own length: what a row says of them, and which of them has a byte."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.core.errors import DamageError, InvalidError
from store.core.stamp import ZERO, Stamp
from store.objects.block_lengths import BlockLengths
from store.objects.model import ObjectHead
from store.objects.rowcodec import (
    LENGTHS_VERSION,
    VERSION,
    DataLocation,
    decode_object,
    encode_object,
    object_entry,
)

ETAG = "00112233445566778899aabbccddeeff"
HEAD = ObjectHead("t", {}, {"a": "b"})
PLAIN = DataLocation(1 << 20, 0, 0, "", (3, 1, 2))
LENGTHS = st.lists(st.integers(1, 9), max_size=20).map(tuple)


def summary_of(data_location: DataLocation | None) -> bytes:
    return encode_object(ETAG, HEAD, None, data_location)[0]


@pytest.mark.parametrize("data_location", [None, PLAIN, PLAIN._replace(k=4, m=2, codec="zfec")])
def test_what_has_no_lengths_is_stored_as_it_always_was(data_location: DataLocation | None) -> None:
    fields = [VERSION, bytes.fromhex(ETAG), "t", 0, {"a": "b"}, 0]
    if data_location is not None:
        fields[5] = [1 << 20, data_location.k, data_location.m, data_location.codec, [3, 1, 2]]
    assert summary_of(data_location) == msgpack.packb(fields)
    assert decode_object(summary_of(data_location), ZERO).data_location == data_location


@given(LENGTHS)
def test_lengths_are_read_as_they_were_written(lengths: tuple[int, ...]) -> None:
    data_location = DataLocation(4096, 0, 0, "", (3, 1, 2), lengths)
    summary = summary_of(data_location)
    fields = msgpack.unpackb(summary)
    assert (fields[0], fields[5]) == (LENGTHS_VERSION, [4096, 0, 0, "", [3, 1, 2], list(lengths)])
    assert LENGTHS_VERSION == 2
    found = decode_object(summary, Stamp(5, 6))
    assert (found.etag, found.created, found.listing, found.data_location) == (
        ETAG, Stamp(5, 6), {"a": "b"}, data_location,
    )  # fmt: skip
    assert data_location.is_open == (not lengths)
    entry = object_entry("o", Stamp(5, 6), 77, summary)
    assert (entry.size, entry.etag, entry.content_type, entry.listing) == (77, ETAG, "t", {"a": "b"})


def test_data_that_say_nothing_of_lengths_are_not_open() -> None:
    assert not PLAIN.is_open


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"k": 4, "m": 2, "codec": "zfec"}, "replicated, and not erasure-coded"),
        ({"k": 4, "m": 2, "codec": "zfec", "lengths": ()}, "replicated, and not erasure-coded"),
        ({"lengths": (1, 0)}, "number above 0"),
        ({"lengths": (1, -1)}, "number above 0"),
        ({"lengths": (1, "2")}, "number above 0"),
    ],
)
def test_what_cannot_be_is_neither_written_nor_read(wrong: dict[str, object], reason: str) -> None:
    data_location = PLAIN._replace(lengths=(1, 2))._replace(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match=reason):
        summary_of(data_location)
    stored = msgpack.packb([LENGTHS_VERSION, bytes.fromhex(ETAG), "t", 0, 0, data_location])
    with pytest.raises(DamageError, match=reason):
        decode_object(stored, ZERO)


@pytest.mark.parametrize("where", [0, PLAIN[:5], [*PLAIN[:5], 7], [*PLAIN[:5], [1], 1]])
def test_a_version_that_says_lengths_has_them(where: object) -> None:
    stored = msgpack.packb([LENGTHS_VERSION, bytes.fromhex(ETAG), "t", 0, 0, where])
    with pytest.raises(DamageError, match="object summary is not of a known form"):
        decode_object(stored, ZERO)


@given(LENGTHS.filter(bool), st.sampled_from([1, 7, 4096]))
def test_each_byte_is_in_the_block_that_a_list_of_blocks_says(lengths: tuple[int, ...], unit: int) -> None:
    size = unit * sum(lengths)
    blocks = BlockLengths(DataLocation(unit, 0, 0, "", (1,), lengths), size)
    assert blocks.count == len(lengths)
    position = 0
    for block, units in enumerate(lengths):
        assert (blocks.start(block), blocks.length(block)) == (position, units * unit)
        for offset in {0, 1 % (units * unit), units * unit - 1}:
            assert blocks.find(position + offset) == (block, offset)
        position += units * unit


@given(st.integers(1, 9), st.integers(0, 40))
def test_blocks_of_one_length_but_for_the_last(block_bytes: int, size: int) -> None:
    blocks = BlockLengths(DataLocation(block_bytes, 0, 0, "", (1,)), size)
    cut = [list(range(at, min(size, at + block_bytes))) for at in range(0, size, block_bytes)]
    assert blocks.count == len(cut)
    for number, positions in enumerate(cut):
        assert (blocks.start(number), blocks.length(number)) == (positions[0], len(positions))
        assert [blocks.find(position) for position in positions] == [(number, at) for at in range(len(positions))]


@pytest.mark.parametrize(("lengths", "size"), [((1, 2), 11), ((1, 2), 13), ((1, 2), 0), ((), 4)])
def test_a_row_whose_size_is_not_that_of_its_blocks_is_damaged(lengths: tuple[int, ...], size: int) -> None:
    with pytest.raises(DamageError, match=f"{size} bytes, in blocks of {4 * sum(lengths)} bytes"):
        BlockLengths(DataLocation(4, 0, 0, "", (1,), lengths), size)


def test_open_data_have_no_blocks() -> None:
    assert BlockLengths(DataLocation(4096, 0, 0, "", (1,), ()), 0).count == 0
