"""A folder that holds a device, or is to: what is known of it before the device is opened.

Public: for the owner of devices.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from store.core.disk import SystemDisk
from store.core.entropy import Random
from store.core.errors import ConflictError, DamageError, DeviceError
from store.engine.opening import make_device
from store.engine.segment import FOLDER as LOG_FOLDER
from store.engine.superblock import NAME, Superblock, decode_superblock

__all__ = ["LOCK", "LOG_FOLDER", "MADE", "SUPERBLOCK", "Superblock", "find_superblock", "make_in_folder"]

LOCK = "lock"
"""Is there wherever a device was, or was tried to be, opened or made."""
SUPERBLOCK = NAME
"""Without this file the folder holds no device."""
MADE = frozenset({SUPERBLOCK, f"{SUPERBLOCK}.new", LOG_FOLDER})
"""What a device consists of before it is opened for the first time."""


def find_superblock(path: str) -> Superblock:
    """What the device in this folder says of itself. Raises DeviceError, saying why, where none can be read."""
    try:
        with open(os.path.join(path, SUPERBLOCK), "rb") as file:
            return decode_superblock(file.read(4096))
    except FileNotFoundError:
        what = "holds no device" if os.path.isdir(path) else "is no folder"
        raise DeviceError(f"{path} {what}: is its disk mounted?") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror or error}") from error
    except DamageError as error:
        raise DeviceError(f"{path}: {error}") from error


def make_in_folder(
    path: str, number: int, cluster: bytes, random: Random, *, in_sync: bool, first: Callable[[], None]
) -> Superblock:
    """Make a device in an empty folder, durably. `first` puts there what else belongs to it: it is no device before all
    of it is there. One that takes a lost one's place is not `in_sync`. Blocks. Raises ConflictError."""
    try:
        disk = SystemDisk(path)
    except BlockingIOError as error:
        raise ConflictError(f"the folder {path} is in use by another process") from error
    try:
        first()
        return make_device(number, cluster, disk, random, in_sync=in_sync)
    finally:
        disk.close()
