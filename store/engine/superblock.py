"""What a device says of itself: one small file, replaced whole.

`device` holds msgpack `[1, cluster, device id, trusted]` and an XXH3-64 (8 bytes, little-endian) behind it. A device is
`trusted` when its silence about a row means that there is no such row: not so for one that was made anew in place of a
lost one, or that has lost part of its log, until it has been reconciled with its peers.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.core.disk import Disk
from store.core.errors import DamageError, DeviceError

_NAME = "device"
_CHECK = struct.Struct("<Q")


class Superblock(NamedTuple):
    cluster: bytes
    device: int
    trusted: bool


def read_superblock(disk: Disk) -> Superblock | None:
    """The superblock, or None on a device that has none yet. Raises DamageError where it is not what was written."""
    if _NAME not in disk.list(""):
        return None
    data = disk.open(_NAME).read(0, 4096)
    packed, check = data[: -_CHECK.size], data[-_CHECK.size :]
    if len(check) != _CHECK.size or _CHECK.unpack(check)[0] != xxh3_64_intdigest(packed):
        raise DamageError("the device's superblock fails its checksum")
    version, *fields = msgpack.unpackb(packed)
    if version != 1:
        raise DeviceError(f"the device has format {version}, which is not known here: a newer Drystone made it")
    return Superblock(*fields)


def write_superblock(disk: Disk, superblock: Superblock) -> None:
    """Replace the superblock, durably. Blocks."""
    packed = msgpack.packb((1, *superblock))
    if f"{_NAME}.new" in disk.list(""):
        disk.remove(f"{_NAME}.new")
    file = disk.open(f"{_NAME}.new", create=True)
    file.write(0, [packed + _CHECK.pack(xxh3_64_intdigest(packed))])
    file.sync()
    disk.rename(f"{_NAME}.new", _NAME)
    disk.sync_folder("")
