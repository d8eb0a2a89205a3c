"""What a device says of itself: one small file, replaced whole.

`device` holds msgpack `[version, cluster, device id, in_sync, incarnation, enforced]` and an XXH3-64 (8 bytes,
little-endian) behind it. A device is `in_sync` when it has all that it should, so that a row which it has not is none:
not so for one that was made in place of a lost one, or that has lost part of its log, until it has rejoined its peers.
The `incarnation` is drawn when the device is made: it tells a folder from an older one that had the same place.
Requests by a ring older than the epoch `enforced` are refused.

The version is 2; and 3 once the device has given a promise or has a version that is not plain (`has_ballots`), so that
no older program opens it: that would take what a promise keeps out. Version 1 knew neither incarnation nor epoch; they
are read as b"" and 0. What changes the meaning of anything in a device's folder that has no version of its own (entries
of the index, names of files) makes a new version of this.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from xxhash import xxh3_64_intdigest

from store.core.codec import Codec
from store.core.disk import Disk
from store.core.errors import DamageError

INCARNATION_BYTES = 16
NAME = "device"
_CHECK = struct.Struct("<Q")


class Superblock(NamedTuple):
    cluster: bytes
    device: int
    in_sync: bool
    incarnation: bytes
    enforced: int
    has_ballots: bool = False
    """Whether there may be promises, or versions that are not plain."""


_WITHOUT_BALLOTS: Final = 2
_CODEC: Final = Codec[Superblock](
    "superblock",
    3,
    lambda superblock: superblock[:5],
    {
        1: lambda fields: Superblock(fields[0], fields[1], fields[2], b"", 0),
        _WITHOUT_BALLOTS: lambda fields: Superblock(fields[0], fields[1], fields[2], fields[3], fields[4]),
        3: lambda fields: Superblock(fields[0], fields[1], fields[2], fields[3], fields[4], has_ballots=True),
    },
)


def encode_superblock(superblock: Superblock) -> bytes:
    packed = _CODEC.encode(superblock, None if superblock.has_ballots else _WITHOUT_BALLOTS)
    return packed + _CHECK.pack(xxh3_64_intdigest(packed))


def decode_superblock(data: bytes) -> Superblock:
    """Raises DamageError where this is not what was written, NewerError where a newer program wrote it."""
    packed, check = data[: -_CHECK.size], data[-_CHECK.size :]
    if len(check) != _CHECK.size or _CHECK.unpack(check)[0] != xxh3_64_intdigest(packed):
        raise DamageError("the device's superblock fails its checksum")
    return _CODEC.decode(packed)


def read_superblock(disk: Disk) -> Superblock | None:
    """The superblock, or None on a device that has none yet. Raises as `decode_superblock`."""
    if NAME not in disk.list(""):
        return None
    return decode_superblock(disk.open(NAME).read(0, 4096))


def write_superblock(disk: Disk, superblock: Superblock) -> None:
    """Replace the superblock, durably. Blocks."""
    if f"{NAME}.new" in disk.list(""):
        disk.remove(f"{NAME}.new")
    file = disk.open(f"{NAME}.new", create=True)
    file.write(0, [encode_superblock(superblock)])
    file.sync()
    disk.rename(f"{NAME}.new", NAME)
    disk.sync_folder("")
