"""A snapshot as a disk: it is read, and never changes."""

from __future__ import annotations

from collections.abc import Sequence

from store.blocks.disk import Extent, ReadOnlyError
from store.blocks.disk_reader import DiskReader, Span
from store.device.record import Buffer


class SnapshotDisk:
    """Keeps the contract of `Disk`."""

    read_only = True

    def __init__(self, size: int, disk: DiskReader) -> None:
        self.size = size
        self._disk = disk

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        return await self._disk.read_bytes(Span(offset, length, self.size))

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        return await self._disk.extents(Span(offset, length, self.size), limit)

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        raise ReadOnlyError("a snapshot does not change")

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        raise ReadOnlyError("a snapshot does not change")

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        raise ReadOnlyError("a snapshot does not change")

    async def flush(self) -> None:
        """Nothing is left to be done."""
