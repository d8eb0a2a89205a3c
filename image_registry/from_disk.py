"""The bits of an image that are made of a disk: what `openstack image create --volume` asks for."""

from __future__ import annotations

import trio

from image_registry.conversion.export import export
from image_registry.images import Images
from image_registry.receiving import Pieces
from image_registry.records import Image, Receiving, Status
from image_registry.uploads import Uploads
from store.blocks.disk import Disk
from store.core.errors import BusyError, InvalidError
from store.objects.interface import Buffer


class FromDisk:
    """Makes images of disks that nobody writes meanwhile."""

    def __init__(self, images: Images, uploads: Uploads, folder: str) -> None:
        """`folder`: where there is room for images of formats that cannot be streamed."""
        self._images = images
        self._uploads = uploads
        self._folder = folder

    async def store(self, id_: str, store: str, disk: Disk) -> Image:
        """Give an image that waits for its bits those of a disk, in the image's format. One that has bits stays as it
        is. Raises BusyError where another process receives bits for it or was a moment ago, otherwise as
        Uploads.store_bits, and what reading the disk raises."""
        found = await self._images.find(id_)
        if await self._uploads.status(found.image) == Receiving.SAVING:
            raise BusyError(f"Image {id_} is received by another process; try again.")
        if found.image.status in (Status.ACTIVE, Status.DEACTIVATED):
            return found.image
        disk_format = found.image.disk_format
        if disk_format is None:
            raise InvalidError("An image has to have a disk format before it is made of a disk.")
        made = _Made()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.make, disk, disk_format, self._folder)
            size = disk.size if disk_format == "raw" else None
            try:
                image: Image | None = await self._uploads.store_bits(found, store, made.pieces(), size)
                failure: Exception | None = None
            except Exception as error:  # it comes out as it is, and in no group
                image, failure = None, error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        assert image is not None
        return image


class _Made:
    """An image on its way from whoever makes it to whoever receives it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes](0)
        self._failure: Exception | None = None

    async def make(self, disk: Disk, disk_format: str, folder: str) -> None:
        async with self._send:
            try:
                await export(disk, disk_format, self._take, folder=folder)
            except Exception as error:  # told to whoever receives, who must not take a part for all
                self._failure = error

    async def _take(self, piece: Buffer) -> None:
        await self._send.send(bytes(piece))

    async def pieces(self) -> Pieces:
        async with self._receive:
            async for piece in self._receive:
                yield piece
        if self._failure is not None:
            raise self._failure
