"""Disks in memory, and exports of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from gateway.nbd.exports import ExportInfo
from store.blocks.disk import Disk, Extent, ExtentKind, ReadOnlyError
from store.core.errors import NotFoundError
from store.device.record import Buffer

PAGE = 4096
_KINDS = (ExtentKind.HOLE, ExtentKind.ZERO, ExtentKind.DATA)


class MemoryDisk:
    """Bytes, and what each page is. Reads come in two pieces, as those of a volume may."""

    def __init__(self, size: int, *, read_only: bool = False) -> None:
        self.content = bytearray(size)
        self.kinds = bytearray(-(-size // PAGE))
        self.read_only = read_only

    @property
    def size(self) -> int:
        return len(self.content)

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        middle = offset + length // 2
        pieces = self.content[offset:middle], self.content[middle : offset + length]
        return [piece for piece in pieces if piece]

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        self._check_writable()
        self.content[offset : offset + len(data)] = data
        self._mark(offset // PAGE, -(-(offset + len(data)) // PAGE), ExtentKind.DATA)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        self._check_writable()
        self.content[offset : offset + length] = bytes(length)
        kind = ExtentKind.ZERO if keep else ExtentKind.HOLE
        self._mark(-(-offset // PAGE), (offset + length) // PAGE, kind)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        self._check_writable()
        first, last = -(-offset // PAGE), (offset + length) // PAGE
        if last > first:
            self.content[first * PAGE : last * PAGE] = bytes((last - first) * PAGE)
            self._mark(first, last, ExtentKind.HOLE)

    async def flush(self) -> None:
        pass

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        found: list[Extent] = []
        end = offset + length
        while offset < end and len(found) < limit:
            page = offset // PAGE
            kind = self.kinds[page]
            while page * PAGE < end and self.kinds[page] == kind:
                page += 1
            stop = min(page * PAGE, end)
            found.append(Extent(stop - offset, _KINDS[kind]))
            offset = stop
        return found

    def _check_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError("it is a snapshot")

    def _mark(self, first: int, last: int, kind: ExtentKind) -> None:
        """Pages from `first` up to `last`, which is not one of them."""
        if last > first:
            self.kinds[first:last] = bytes([_KINDS.index(kind)]) * (last - first)


class WatchedDisk(MemoryDisk):
    """One that notes what it is asked, can be told to fail or to wait, and knows what a loss of power would leave."""

    def __init__(self, size: int, *, read_only: bool = False) -> None:
        super().__init__(size, read_only=read_only)
        self.calls: list[tuple[object, ...]] = []
        """Name of the method, and its arguments; of data their length."""
        self.lasting = bytes(size)
        self.failure: Exception | None = None
        """Raised by whatever is asked."""
        self.gates: dict[str, trio.Event] = {}
        """What a method waits for before it does anything."""
        self.syncing: trio.Event | None = None
        """What is durable waits for this, when it has been done and does not last yet."""

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        await self._begin("read", offset, length)
        return await super().read(offset, length)

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        await self._begin("write", offset, len(data), durable)
        await super().write(offset, data)
        await self._sync(durable)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        await self._begin("zero", offset, length, keep, durable)
        await super().zero(offset, length, keep=keep)
        await self._sync(durable)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        await self._begin("discard", offset, length, durable)
        await super().discard(offset, length)
        await self._sync(durable)

    async def flush(self) -> None:
        await self._begin("flush")
        await self._sync(True)

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        await self._begin("extents", offset, length, limit)
        return await super().extents(offset, length, limit)

    async def _begin(self, name: str, *arguments: object) -> None:
        self.calls.append((name, *arguments))
        if name in self.gates:
            await self.gates[name].wait()
        if self.failure is not None:
            raise self.failure

    async def _sync(self, durable: bool) -> None:
        if durable:
            content = bytes(self.content)
            if self.syncing is not None:
                await self.syncing.wait()
            self.lasting = content


class MemoryExports:
    """Disks by their names."""

    def __init__(self, **disks: Disk) -> None:
        self.disks = disks
        self.open_now = 0
        self.opened: list[str] = []
        self.looked_at: list[str] = []
        self.delay = 0.0
        """Seconds until one is open."""

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        if name not in self.disks:
            raise NotFoundError(f"there is no volume {name!r}")
        await trio.sleep(self.delay)
        self.open_now += 1
        self.opened.append(name)
        try:
            yield self.disks[name]
        finally:
            self.open_now -= 1

    async def look(self, name: str) -> ExportInfo:
        if name not in self.disks:
            raise NotFoundError(f"there is no volume {name!r}")
        self.looked_at.append(name)
        return ExportInfo(self.disks[name].size, self.disks[name].read_only)

    async def names(self) -> Sequence[str]:
        return sorted(self.disks)
