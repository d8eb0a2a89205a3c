"""Names to places."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.ring import Ring, partition_of
from store.ring.ring_hash import RingHasher
from tests.ring.rings import KEY, builder_of, even


def test_a_ring_hash_is_what_the_document_says() -> None:
    message = b"\0\0\0\x09container\0\0\0\0\0\0\0\x02ob"
    expected = hashlib.blake2b(message, digest_size=4, key=KEY, person=b"drystone place").digest()
    assert RingHasher(KEY).ring_hash(b"container", b"", b"ob") == int.from_bytes(expected, "big")


def test_places_never_change() -> None:
    assert RingHasher(KEY).ring_hash(b"account", b"container", b"object") == 0x07708A03
    assert RingHasher(KEY).ring_hash() == 0xC15B3A85


def test_parts_are_kept_apart() -> None:
    ring_hash = RingHasher(KEY).ring_hash
    assert (
        len(
            {
                ring_hash(b"ab", b"c"),
                ring_hash(b"a", b"bc"),
                ring_hash(b"abc"),
                ring_hash(b"abc", b""),
                ring_hash(b"", b"abc"),
            }
        )
        == 5
    )


def test_another_key_is_another_order() -> None:
    names = [b"%d" % number for number in range(50)]
    ours, theirs = RingHasher(KEY).ring_hash, RingHasher(KEY[::-1]).ring_hash
    assert sorted(names, key=ours) != sorted(names, key=theirs)
    with pytest.raises(ValueError):
        RingHasher(b"short")


@given(st.integers(0, 2**32 - 1), st.integers(0, 19))
def test_a_partition_splits_into_the_two_after_it(ring_hash: int, power: int) -> None:
    assert partition_of(ring_hash, power + 1) >> 1 == partition_of(ring_hash, power)


def test_places_fill_partitions_evenly() -> None:
    ring = Ring(KEY, (builder_of(even(1, 1, 1, 1), part_power=4).rebalance(1),))
    counts = [0] * 16
    for number in range(16_000):
        counts[partition_of(ring.ring_hash(b"%d" % number), 4)] += 1
    assert max(abs(count - 1000) for count in counts) < 150
