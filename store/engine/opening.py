"""Opening: a folder becomes an open device, or is refused; an empty one is made into a device first."""

from __future__ import annotations

from collections.abc import Callable

from store.core.disk import Disk
from store.core.entropy import Random, SystemRandom
from store.core.errors import DamageError, DeviceError
from store.engine.device import Device
from store.engine.index import Index
from store.engine.options import Options
from store.engine.segment import FOLDER
from store.engine.superblock import INCARNATION_BYTES, Superblock, read_superblock, write_superblock


def make_device(number: int, cluster: bytes, disk: Disk, random: Random, *, in_sync: bool) -> Superblock:
    """Make an empty device, durably, of a folder that holds none. One that takes a lost one's place is not `in_sync`.
    Blocks."""
    superblock = Superblock(cluster, number, in_sync, random.bytes(INCARNATION_BYTES), enforced=0)
    disk.make_folder(FOLDER)
    write_superblock(disk, superblock)
    return superblock


async def open_device(
    number: int,
    cluster: bytes,
    disk: Disk,
    open_index: Callable[[], Index],
    options: Options | None = None,
    *,
    replaces: bool = False,
    random: Random | None = None,
) -> Device:
    """Open a device, making it if its folder is empty. `replaces` says that a new one takes a lost one's place.
    `random` draws its incarnation.

    Raises DeviceError where it belongs to another cluster or place, or was made by a newer program.
    """
    try:
        superblock = read_superblock(disk)
    except DamageError as error:
        raise DeviceError(f"device {number}: {error}") from error
    random = random or SystemRandom()
    if superblock is None:
        superblock = make_device(number, cluster, disk, random, in_sync=not replaces)
    if superblock.cluster != cluster or superblock.device != number:
        raise DeviceError(
            f"the folder of device {number} holds device {superblock.device} "
            f"of cluster {superblock.cluster.hex()}, not of {cluster.hex()}"
        )
    if not superblock.incarnation:  # of version 1
        superblock = superblock._replace(incarnation=random.bytes(INCARNATION_BYTES))
        write_superblock(disk, superblock)
    device = Device(number, disk, open_index(), superblock, options or Options())
    try:
        await device.recover()
    except BaseException:
        device.stop_workers()
        device.release()
        raise
    return device
