"""Names to places."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.ring import Ring, partition_of
from store.ring.place import Placer
from tests.ring.rings import KEY, builder_of, even


def test_a_place_is_what_the_document_says() -> None:
    message = b"\0\0\0\x09container\0\0\0\0\0\0\0\x02ob"
    expected = hashlib.blake2b(message, digest_size=4, key=KEY, person=b"drystone place").digest()
    assert Placer(KEY).place(b"container", b"", b"ob") == int.from_bytes(expected, "big")


def test_places_never_change() -> None:
    assert Placer(KEY).place(b"account", b"container", b"object") == 0x07708A03
    assert Placer(KEY).place() == 0xC15B3A85


def test_parts_are_kept_apart() -> None:
    place = Placer(KEY).place
    assert len({place(b"ab", b"c"), place(b"a", b"bc"), place(b"abc"), place(b"abc", b""), place(b"", b"abc")}) == 5


def test_another_key_is_another_order() -> None:
    names = [b"%d" % number for number in range(50)]
    ours, theirs = Placer(KEY).place, Placer(KEY[::-1]).place
    assert sorted(names, key=ours) != sorted(names, key=theirs)
    with pytest.raises(ValueError):
        Placer(b"short")


@given(st.integers(0, 2**32 - 1), st.integers(0, 19))
def test_a_partition_splits_into_the_two_after_it(place: int, power: int) -> None:
    assert partition_of(place, power + 1) >> 1 == partition_of(place, power)


def test_places_fill_partitions_evenly() -> None:
    ring = Ring(KEY, (builder_of(even(1, 1, 1, 1), part_power=4).rebalance(1),))
    counts = [0] * 16
    for number in range(16_000):
        counts[partition_of(ring.place(b"%d" % number), 4)] += 1
    assert max(abs(count - 1000) for count in counts) < 150
