"""An object as a disk that can only be read: so an image is served to who converts it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.objects.reading import closing
from store.blocks.disk import Disk, Extent, ExtentKind, ReadOnlyError
from store.core.errors import DrystoneError
from store.objects.interface import Buffer, OpenObject

SECTOR_BYTES = 512


class ObjectDisk:
    """The object is held open as long as this is used. The disk has whole sectors: behind the object's end there are
    zeros."""

    def __init__(self, source: OpenObject) -> None:
        self._source = source
        self._bytes = source.info.size
        self.size = -(-self._bytes // SECTOR_BYTES) * SECTOR_BYTES
        self.read_only = True

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        if not 0 <= offset <= offset + length <= self.size:
            raise IndexError(f"{offset}+{length} is not within {self.size}")
        stop = min(offset + length, self._bytes)
        pieces: list[Buffer] = []
        if offset < stop:
            async with closing(self._source.read(offset, stop)) as read:
                pieces = [bytes(piece) async for piece in read]  # each is overwritten when the next is asked for
        if behind := offset + length - max(offset, stop):
            pieces.append(bytes(behind))
        return pieces

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        raise ReadOnlyError("an image cannot be written")

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        raise ReadOnlyError("an image cannot be written")

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        raise ReadOnlyError("an image cannot be written")

    async def flush(self) -> None:
        """There is nothing that was written."""

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        return [Extent(length, ExtentKind.DATA)]


class NotedDisk:
    """A disk, and the first error that it had: who uses it over a protocol hears only that there was one."""

    def __init__(self, disk: Disk, *, read_only: bool | None = None) -> None:
        self._disk = disk
        self.read_only = disk.read_only if read_only is None else read_only
        self.error: DrystoneError | None = None

    @property
    def size(self) -> int:
        return self._disk.size

    def _note(self, error: DrystoneError) -> None:
        self.error = self.error or error

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        try:
            return await self._disk.read(offset, length)
        except DrystoneError as error:
            self._note(error)
            raise

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        try:
            await self._disk.write(offset, data, durable=durable)
        except DrystoneError as error:
            self._note(error)
            raise

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        try:
            await self._disk.zero(offset, length, keep=keep, durable=durable)
        except DrystoneError as error:
            self._note(error)
            raise

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        try:
            await self._disk.discard(offset, length, durable=durable)
        except DrystoneError as error:
            self._note(error)
            raise

    async def flush(self) -> None:
        try:
            await self._disk.flush()
        except DrystoneError as error:
            self._note(error)
            raise

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        try:
            return await self._disk.extents(offset, length, limit)
        except DrystoneError as error:
            self._note(error)
            raise
