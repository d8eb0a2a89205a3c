"""`export`: a volume becomes an image, which is streamed to who wants it.

Raw goes straight from the disk, and what is zeros is not read. All other formats have their tables written when all
data are: they are made in a file first, which has no name, so that nothing is left of it whatever happens.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import trio

from image_registry.conversion.child import run
from image_registry.conversion.confinement import COPY, Limits
from image_registry.conversion.copying import Progress
from image_registry.conversion.object_disk import NotedDisk
from image_registry.conversion.qemu_img import create_command, nbd_node, progress_of, why
from image_registry.conversion.serving import SOCKET, served
from store.blocks.disk import Disk, ExtentKind
from store.core.errors import FullError, InvalidError, RetryableError
from store.objects.interface import Buffer

PIECE_BYTES: Final = 1 << 20
EXTENTS: Final = 1024
"""Asked for at once."""
_MADE_AS: Final = {
    "qcow2": ("qcow2", ""),
    "vmdk": ("vmdk", "subformat=streamOptimized"),
    "vdi": ("vdi", ""),
    "vhd": ("vpc", "force_size=on"),
    "vhdx": ("vhdx", ""),
}
"""QEMU's name and options. VMDK as hypervisors import it; VHD with the size of the volume, not that of a geometry."""
FORMATS: Final = ("raw", *_MADE_AS)
_SPARE_BYTES: Final = 256 << 20
_ZEROS: Final = bytes(PIECE_BYTES)

Sink = Callable[[Buffer], Awaitable[object]]
"""Takes the next bytes of the image, which may be changed once it has returned."""


async def export(
    disk: Disk,
    disk_format: str,
    sink: Sink,
    *,
    folder: str,
    file_bytes: int | None = None,
    progress: Progress = lambda _: None,
    limits: Limits = COPY,
) -> None:
    """Stream an image of a disk that nobody writes meanwhile. `folder`: where the file is made, on a disk with room for
    `file_bytes`, which it is never larger than: by default as the disk, and a bit.

    Raises InvalidError where there is no such format, FullError, RetryableError, NotFoundError where there is no
    qemu-img, and what the disk and the sink raise.
    """
    if disk_format == "raw":
        await _export_raw(disk, sink, progress)
        return
    if disk_format not in _MADE_AS:
        raise InvalidError(f"a volume is made no image of the format {disk_format!r}, but of {', '.join(FORMATS)}")
    most = disk.size + disk.size // 64 + _SPARE_BYTES if file_bytes is None else file_bytes
    descriptor = await trio.to_thread.run_sync(_open_nameless, folder)
    try:
        await _make(disk, disk_format, descriptor, replace(limits, file_bytes=most), lambda part: progress(part / 2))
        await _send(descriptor, sink, lambda part: progress((1 + part) / 2))
    finally:
        os.close(descriptor)


async def _export_raw(disk: Disk, sink: Sink, progress: Progress) -> None:
    at, size = 0, disk.size
    while at < size:
        for extent in await disk.extents(at, size - at, EXTENTS):
            stop = at + extent.length
            while at < stop:
                length = min(PIECE_BYTES, stop - at)
                if extent.kind is ExtentKind.DATA:
                    for piece in await disk.read(at, length):
                        await sink(piece)
                else:
                    await sink(memoryview(_ZEROS)[:length])
                at += length
                progress(at / size)


def _open_nameless(folder: str) -> int:
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RetryableError(f"no file can be made in {folder}: {error.strerror}") from error


async def _make(disk: Disk, disk_format: str, descriptor: int, limits: Limits, progress: Progress) -> None:
    volume = NotedDisk(disk, read_only=True)

    def heard(said: bytes) -> None:
        if (part := progress_of(said)) is not None:
            progress(part)

    format_, options = _MADE_AS[disk_format]
    async with served(volume=volume) as folder:
        command = create_command(nbd_node(SOCKET, "volume"), f"/proc/self/fd/{descriptor}", format_, options)
        done = await run(command, limits, folder=folder, descriptors=(descriptor,), heard=heard)
    if volume.error is not None:
        raise volume.error
    if done.code:
        assert limits.file_bytes is not None
        if done.code == -signal.SIGXFSZ or os.strerror(errno.EFBIG).encode() in done.errors:
            raise FullError(f"the image needs more than the {limits.file_bytes} bytes that it may have here")
        raise RetryableError(f"the image is not made: {why(done.errors, done.code)}")


async def _send(descriptor: int, sink: Sink, progress: Progress) -> None:
    size = os.fstat(descriptor).st_size
    at = 0
    while at < size:
        piece = await trio.to_thread.run_sync(os.pread, descriptor, PIECE_BYTES, at)
        await sink(piece)
        at += len(piece)
        progress(at / size)
