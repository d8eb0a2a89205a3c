"""`seal`: the bits of an image that is stored become those of a volume.

Nothing is believed that was found when the image came: it is inspected again, and `qemu-img`, which reads all but raw,
is given it as a disk that it can only read, told which format it has, and asked how large the disk is, before it may
write.
"""

from __future__ import annotations

from typing import Final

from image_registry.conversion.child import Done, run
from image_registry.conversion.confinement import COPY, LOOK, Limits
from image_registry.conversion.copying import Progress, copy_object
from image_registry.conversion.looking import inspect_object
from image_registry.conversion.object_disk import SECTOR_BYTES, NotedDisk, ObjectDisk
from image_registry.conversion.qemu_img import (
    convert_command,
    disk_size,
    info_command,
    nbd_image_node,
    nbd_node,
    progress_of,
    why,
)
from image_registry.conversion.serving import SOCKET, served
from image_registry.formats.bounds import Bounds
from store.blocks.disk import Disk
from store.core.errors import DrystoneError, InvalidError, RetryableError
from store.objects.interface import OpenObject

_AS_QEMU: Final = {"qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
"""Formats that are converted, by their names in Glance. All others are copied."""
_SLACK: Final = {"vhd": 16 * 255 * SECTOR_BYTES}
"""By so much the inspector and QEMU may differ: a cylinder, since versions of QEMU differ in whose VHDs have the size
that they say and whose that of their geometry."""
_SOURCE: Final = "image"
_TARGET: Final = "volume"


async def virtual_size(source: OpenObject, disk_format: str, bounds: Bounds = Bounds()) -> int:  # noqa: B008 - it is frozen
    """Bytes that a volume of this image needs.

    Raises InvalidError (ImageRefusedError where the content is not safe), NotFoundError where there is no qemu-img,
    RetryableError, and what reading raises.
    """
    verdict = await inspect_object(source, disk_format, bounds)
    assert verdict.disk_size is not None
    if disk_format not in _AS_QEMU:
        return verdict.disk_size
    image = NotedDisk(ObjectDisk(source))
    async with served(**{_SOURCE: image}) as folder:
        command = info_command(nbd_image_node(SOCKET, _SOURCE, _AS_QEMU[disk_format]))
        done = await run(command, LOOK, folder=folder)
        _check_done(done, image, disk_format)
    found = disk_size(done.said)
    expected = -(-verdict.disk_size // SECTOR_BYTES) * SECTOR_BYTES
    if abs(found - expected) > _SLACK.get(disk_format, 0):
        raise InvalidError(f"the image's disk has {verdict.disk_size} bytes by its header, and {found} by QEMU")
    return found


async def seal(
    source: OpenObject,
    disk_format: str,
    target: Disk,
    progress: Progress = lambda _: None,
    *,
    bounds: Bounds = Bounds(),  # noqa: B008 - it is frozen
    limits: Limits = COPY,
) -> None:
    """Fill a volume that is all zeros with the disk of an image, and flush it. Where this fails the volume has some of
    it, and is of no use.

    Raises as `virtual_size`, InvalidError where the volume is too small, and what writing raises.
    """
    needed = await virtual_size(source, disk_format, bounds)
    if target.size < needed:
        raise InvalidError(f"the image's disk has {needed} bytes, and the volume {target.size}")
    if disk_format in _AS_QEMU:
        await _convert(source, disk_format, target, progress, limits)
    else:
        await copy_object(source, target, progress)
    await target.flush()


async def _convert(source: OpenObject, disk_format: str, target: Disk, progress: Progress, limits: Limits) -> None:
    image, volume = NotedDisk(ObjectDisk(source)), NotedDisk(target)

    def heard(said: bytes) -> None:
        if (part := progress_of(said)) is not None:
            progress(part)

    async with served(**{_SOURCE: image, _TARGET: volume}) as folder:
        command = convert_command(nbd_image_node(SOCKET, _SOURCE, _AS_QEMU[disk_format]), nbd_node(SOCKET, _TARGET))
        done = await run(command, limits, folder=folder, heard=heard)
        _check_volume(volume)
        _check_done(done, image, disk_format)


def _check_volume(volume: NotedDisk) -> None:
    if volume.error is not None:
        raise volume.error


def _check_done(done: Done, image: NotedDisk, disk_format: str) -> None:
    """That all was read, and was what it is said to be."""
    error: DrystoneError | None = image.error
    if error is not None:
        raise error
    if done.code < 0:
        raise RetryableError(f"the image is not read: {why(done.errors, done.code)}")
    if done.code:
        raise InvalidError(f"the image is not read as {disk_format}: {why(done.errors, done.code)}")
