"""A device's folder before it is opened: what is in it, and whether it may become a device.

Nothing here makes a folder. One that should hold a device and does not is most likely a mount point whose disk is not
mounted: a device made there would fill another disk, and the real one would come back stale.
"""

from __future__ import annotations

import os
from contextlib import suppress

from drystone.cluster import Cluster
from drystone.device_copies import RingCopy, encode_cluster, encode_ring, write_copies
from store.core.entropy import Random
from store.core.errors import DeviceError, InvalidError
from store.engine.folder import LOCK, LOG_FOLDER, MADE, SUPERBLOCK, Superblock, find_superblock, make_in_folder
from store.engine.options import Options

_NOT_OURS = frozenset({"lost+found", LOCK})
"""What may lie in a folder that holds nothing: the file system's own, and the lock of a try that failed."""
_MADE = MADE | {"cluster", "cluster.new", "ring", "ring.new"}
"""What a device consists of before it is opened for the first time."""


def check_new(path: str, options: Options, *, mounted_with: int = 0) -> None:
    """Whether a device may be made in this folder, `mounted_with` so many others that are made on the same disk.

    Raises InvalidError, saying what to do, where it may not.
    """
    if not os.path.isdir(path):
        raise InvalidError(f"there is no folder {path}: make it, or mount its disk")
    try:
        names = set(os.listdir(path)) - _NOT_OURS
        disk = os.statvfs(path)
    except OSError as error:
        raise InvalidError(f"{path} cannot be used: {error.strerror or error}") from error
    if SUPERBLOCK in names:
        found = find_superblock(path)
        raise InvalidError(
            f"{path} holds device {found.device} of cluster {found.cluster.hex()}: a device is made of an empty folder"
        )
    if names:
        some = ", ".join(sorted(names)[:3])
        raise InvalidError(f"{path} holds other files ({some}): a device needs a folder of its own, which is empty")
    if not os.access(path, os.W_OK | os.X_OK) or disk.f_flag & os.ST_RDONLY:
        raise InvalidError(f"{path} cannot be written to: give it to the user that runs Drystone")
    check_room(path, options, mounted_with=mounted_with)


def check_room(path: str, options: Options, *, mounted_with: int = 0) -> None:
    """Raises InvalidError where the disk of this folder is too small for one more device."""
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    needed = options.disk_bytes_min + mounted_with * options.log_bytes_min
    if free < needed:
        count = f"{mounted_with + 1} devices on one disk need" if mounted_with else "a device needs"
        raise InvalidError(f"{path} has {_megabytes(free)} free: {count} at least {_megabytes(needed)}")


def check_made(path: str, number: int, cluster: bytes) -> None:
    """Raises InvalidError, with the next step, unless the device of this number and cluster lies in this folder."""
    try:
        found = find_superblock(path)
    except DeviceError as error:
        raise InvalidError(f"{error} To make a device there: drystone device add {path}") from error
    if (found.cluster, found.device) != (cluster, number):
        raise InvalidError(
            f"{path} holds device {found.device} of cluster {found.cluster.hex()}, and not device {number}, which it "
            f"would be. If it was never in use: drystone device add {path}"
        )


def clear_made(path: str) -> bool:
    """Make a folder empty again in which a device was made and never opened; any other is left as it is. Whether it is
    empty now. Whoever calls knows that the ring does not have the device."""
    names = set(os.listdir(path)) - _NOT_OURS
    inside = os.path.join(path, LOG_FOLDER)
    if not names <= _MADE or (LOG_FOLDER in names and os.listdir(inside)):
        return False
    for name in sorted(names - {LOG_FOLDER}, key=lambda name: name != SUPERBLOCK):  # without that it is none
        os.unlink(os.path.join(path, name))
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(path, LOCK))
    if LOG_FOLDER in names:
        os.rmdir(inside)
    return True


def make_in(path: str, number: int, cluster: Cluster, ring: RingCopy, random: Random, *, in_sync: bool) -> Superblock:
    """Make a device in an empty folder, durably. It is none before all of it is there."""
    return make_in_folder(
        path,
        number,
        cluster.id,
        random,
        in_sync=in_sync,
        first=lambda: write_copies(path, encode_cluster(cluster), encode_ring(ring)),
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
