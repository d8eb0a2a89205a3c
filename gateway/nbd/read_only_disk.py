"""A disk that is served to be read, whatever it is to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from store.blocks.disk import Disk, Extent, ReadOnlyError
from store.objects.interface import Buffer


class ReadOnlyDisk:
    """Keeps the contract of `Disk`."""

    read_only = True

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @property
    def size(self) -> int:
        return self._disk.size

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        return await self._disk.read(offset, length)

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> NoReturn:
        raise ReadOnlyError("the disk is attached to be read")

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> NoReturn:
        raise ReadOnlyError("the disk is attached to be read")

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> NoReturn:
        raise ReadOnlyError("the disk is attached to be read")

    async def flush(self) -> None:
        """There is nothing to be flushed."""

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        return await self._disk.extents(offset, length, limit)
