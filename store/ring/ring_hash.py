"""From a name to a place: a number that nobody without the cluster's key can choose."""

from __future__ import annotations

import hashlib
import struct

KEY_BYTES = 16
RING_HASH_BITS = 32

_PERSON = b"drystone place"
_LENGTH = struct.Struct(">I")


class RingHasher:
    """Hashes names to places with one cluster's key.

    The hash is keyed because users choose names: with a public hash anyone could aim all their objects at one partition
    and fill three disks of a large cluster.
    """

    __slots__ = ("_keyed",)

    def __init__(self, cluster_key: bytes) -> None:
        if len(cluster_key) != KEY_BYTES:
            raise ValueError(f"a cluster key has {KEY_BYTES} bytes, not {len(cluster_key)}")
        # Keying costs one compression; it is done once here and copied for each name.
        self._keyed = hashlib.blake2b(key=cluster_key, digest_size=RING_HASH_BITS // 8, person=_PERSON)

    def ring_hash(self, *parts: bytes) -> int:
        """The place, 0 to 2**32 - 1, of a name made of `parts`.

        Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") are different names.
        """
        keyed = self._keyed.copy()
        for part in parts:
            keyed.update(_LENGTH.pack(len(part)))
            keyed.update(part)
        return int.from_bytes(keyed.digest(), "big")


def partition_of(ring_hash: int, part_power: int) -> int:
    """The partition of a place: its top `part_power` bits."""
    return ring_hash >> (RING_HASH_BITS - part_power)
