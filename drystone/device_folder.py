"""A device's folder before it is opened: what is in it, and whether it may become a device.

Nothing here makes a folder. One that should hold a device and does not is most likely a mount point whose disk is not
mounted: a device made there would fill another disk, and the real one would come back stale.
"""

from __future__ import annotations

import os
from contextlib import suppress

from drystone.cluster import Cluster
from drystone.device_copies import RingCopy, encode_cluster, encode_ring, write_copies
from store.core.disk import SystemDisk
from store.core.entropy import Random
from store.core.errors import ConflictError, DamageError, DeviceError, InvalidError
from store.engine.opening import make_device
from store.engine.options import Options
from store.engine.segment import FOLDER
from store.engine.superblock import Superblock, decode_superblock

_NOT_OURS = frozenset({"lost+found", "lock"})
"""What may lie in a folder that holds nothing: the file system's own, and the lock of a try that failed."""
_MADE = frozenset({"device", "device.new", "cluster", "cluster.new", "ring", "ring.new", FOLDER})
"""What a device consists of before it is opened for the first time."""


def find_superblock(path: str) -> Superblock:
    """What the device in this folder says of itself. Raises DeviceError, saying why, where none can be read."""
    try:
        with open(os.path.join(path, "device"), "rb") as file:
            return decode_superblock(file.read(4096))
    except FileNotFoundError:
        what = "holds no device" if os.path.isdir(path) else "is no folder"
        raise DeviceError(f"{path} {what}: is its disk mounted?") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror or error}") from error
    except DamageError as error:
        raise DeviceError(f"{path}: {error}") from error


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
    if "device" in names:
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
    inside = os.path.join(path, FOLDER)
    if not names <= _MADE or (FOLDER in names and os.listdir(inside)):
        return False
    for name in sorted(names - {FOLDER}, key=lambda name: name != "device"):  # without `device` it is none
        os.unlink(os.path.join(path, name))
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(path, "lock"))
    if FOLDER in names:
        os.rmdir(inside)
    return True


def make_in(path: str, number: int, cluster: Cluster, ring: RingCopy, random: Random, *, in_sync: bool) -> Superblock:
    """Make a device in an empty folder, durably. It is none before all of it is there."""
    try:
        disk = SystemDisk(path)
    except BlockingIOError as error:
        raise ConflictError(f"the folder {path} is in use by another process") from error
    try:
        write_copies(path, encode_cluster(cluster), encode_ring(ring))
        return make_device(number, cluster.id, disk, random, in_sync=in_sync)
    finally:
        disk.close()


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
