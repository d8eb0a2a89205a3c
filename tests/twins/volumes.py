"""Volumes in memory: the twin of `drystone.volumes.Volumes`, with what it promises and nothing that lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from store.blocks.disk import Disk, Extent, ExtentKind, ReadOnlyError
from store.blocks.interface import Changed, SnapshotRow, VolumeRow, VolumeStore, check_name
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.device.record import Buffer

BLOCK = 4096


class MemoryDisk:
    """A disk of bytes in memory; blocks that were never written take no room."""

    def __init__(self, size: int, blocks: dict[int, bytes], *, read_only: bool = False) -> None:
        self.size = size
        self.blocks = blocks
        self.read_only = read_only
        self.written = 0
        """Bytes that were written to it, and are no copies."""

    async def read(self, offset: int, length: int) -> list[Buffer]:
        await trio.lowlevel.checkpoint()
        if offset < 0 or offset + length > self.size:
            raise IndexError(offset)
        first, last = offset // BLOCK, -(-(offset + length) // BLOCK)
        whole = b"".join(self.blocks.get(number, bytes(BLOCK)) for number in range(first, last))
        return [whole[offset - first * BLOCK :][:length]] if length else []

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        self.written += len(data)
        await self._write(offset, bytes(data))

    async def _write(self, offset: int, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.read_only:
            raise ReadOnlyError("a snapshot is not written")
        if offset < 0 or offset + len(data) > self.size:
            raise IndexError(offset)
        done = 0
        while done < len(data):
            number, at = divmod(offset + done, BLOCK)
            piece = data[done : done + BLOCK - at]
            old = self.blocks.get(number, bytes(BLOCK))
            self.blocks[number] = old[:at] + piece + old[at + len(piece) :]
            done += len(piece)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        await self._write(offset, bytes(length))

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        first, stop = -(-offset // BLOCK) * BLOCK, (offset + length) // BLOCK * BLOCK
        if stop > first:
            await self._write(first, bytes(stop - first))

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        await trio.lowlevel.checkpoint()
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        if self.blocks.keys().isdisjoint(range(first, last + 1)):
            return [Extent(length, ExtentKind.HOLE)] if length and limit else []
        found: list[Extent] = []
        while length and len(found) < limit:
            number, at = divmod(offset, BLOCK)
            step = min(BLOCK - at, length)
            kind = ExtentKind.DATA if number in self.blocks else ExtentKind.HOLE
            if found and found[-1].kind is kind:
                found[-1] = Extent(found[-1].length + step, kind)
            else:
                found.append(Extent(step, kind))
            offset, length = offset + step, length - step
        return found


@dataclass
class _Volume:
    disk: MemoryDisk
    policy: str
    window_us: int = 0
    epoch: int = 1
    clients: int = 0
    snapshots: dict[str, tuple[MemoryDisk, int]] = field(default_factory=dict)
    """By name, what it was and how many clones were made of it."""


class MemoryVolumes:
    """A `VolumeStore`."""

    def __init__(self, policies: tuple[str, ...] = ("standard",)) -> None:
        self.policies = policies
        self.volumes: dict[str, _Volume] = {}
        self.cuts: list[tuple[str, int | None]] = []
        """The volumes that snapshots were made of, and the time that was said."""

    def _find(self, name: str) -> _Volume:
        if name not in self.volumes:
            raise NotFoundError(f"there is no volume {name}")
        return self.volumes[name]

    def _free(self, name: str) -> None:
        check_name(name)
        if name in self.volumes:
            raise ConflictError(f"there is a volume {name} already")

    def _snapshot(self, name: str, snapshot: str) -> MemoryDisk:
        found = self._find(name).snapshots.get(snapshot)
        if found is None:
            raise NotFoundError(f"volume {name} has no snapshot {snapshot}")
        return found[0]

    async def create(self, name: str, size: int, policy: str, window_us: int = 0) -> None:
        await trio.lowlevel.checkpoint()
        if policy and policy not in self.policies:
            raise InvalidError(f"there is no storage policy {policy}")
        if size <= 0 or size % BLOCK:
            raise InvalidError("a size is a multiple of 4 KiB")
        self._free(name)
        self.volumes[name] = _Volume(MemoryDisk(size, {}), policy or self.policies[0], window_us)

    async def row(self, name: str) -> VolumeRow:
        await trio.lowlevel.checkpoint()
        return self._row(name)

    def _row(self, name: str) -> VolumeRow:
        found = self._find(name)
        stored = len(found.disk.blocks) * BLOCK
        connections = found.clients or None
        return VolumeRow(
            name, found.disk.size, found.policy, stored, found.epoch, connections, found.window_us, "n1", 0
        )

    async def rows(self, after: str, limit: int) -> list[VolumeRow]:
        await trio.lowlevel.checkpoint()
        return [self._row(name) for name in sorted(self.volumes) if name > after][:limit]

    async def resize(self, name: str, size: int) -> None:
        await trio.lowlevel.checkpoint()
        found = self._find(name)
        if size < found.disk.size or size % BLOCK:
            raise InvalidError("a volume only grows, by whole blocks")
        found.disk.size = size

    async def rename(self, name: str, new: str) -> None:
        await trio.lowlevel.checkpoint()
        found = self._find(name)
        self._free(new)
        self.volumes[new] = found
        del self.volumes[name]

    async def delete(self, name: str, *, force: bool, take_over: bool = False, keep_us: int = 0) -> bytes:
        await trio.lowlevel.checkpoint()
        found = self._find(name)
        if found.clients and not force:
            raise ConflictError(f"volume {name} is in use")
        del self.volumes[name]
        return bytes(16)

    async def snapshots(self, name: str) -> list[SnapshotRow]:
        await trio.lowlevel.checkpoint()
        found = sorted(self._find(name).snapshots.items())
        return [SnapshotRow(key, disk.size, 0, clones) for key, (disk, clones) in found]

    async def snapshot(self, name: str, snapshot: str, time_us: int | None = None, *, take_over: bool = False) -> None:
        await trio.lowlevel.checkpoint()
        found = self._find(name)
        if snapshot in found.snapshots:
            raise ConflictError(f"volume {name} has a snapshot {snapshot} already")
        if time_us is not None and not found.window_us:
            raise InvalidError(f"volume {name} remembers no past")
        self.cuts.append((name, time_us))
        found.snapshots[snapshot] = MemoryDisk(found.disk.size, dict(found.disk.blocks), read_only=True), 0

    async def rewind(self, name: str, time_us: int, *, take_over: bool = False) -> tuple[str, str]:
        found = self._find(name)
        if found.clients:
            raise ConflictError(f"volume {name} is in use")
        snapshot, before = f"rewind-{time_us}", f"{name}-before-{time_us}"
        await self.snapshot(name, snapshot, time_us)
        await self.rename(name, before)
        await self.clone(before, snapshot, name, None)
        return snapshot, before

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        await trio.lowlevel.checkpoint()
        self._snapshot(name, snapshot)
        del self._find(name).snapshots[snapshot]

    async def changed(
        self, name: str, since: str, snapshot: str, offset: int, length: int, limit: int
    ) -> list[Changed]:
        await trio.lowlevel.checkpoint()
        old, new = self._snapshot(name, since), self._snapshot(name, snapshot)
        if offset < 0 or offset + length > new.size:
            raise IndexError(offset)
        found: list[Changed] = []
        wanted = range(offset // BLOCK, -(-(offset + length) // BLOCK))
        for number in sorted(one for one in old.blocks.keys() | new.blocks.keys() if one in wanted):
            if old.blocks.get(number) is new.blocks.get(number):  # not ==: what was written again may differ
                continue
            if found and sum(found[-1]) == number * BLOCK:
                found[-1] = Changed(found[-1].offset, found[-1].length + BLOCK)
            else:
                found.append(Changed(number * BLOCK, BLOCK))
        return found[:limit]

    async def clone(self, name: str, snapshot: str, new: str, size: int | None, window_us: int | None = None) -> None:
        await trio.lowlevel.checkpoint()
        source, parent = self._snapshot(name, snapshot), self._find(name)
        if size is not None and size < source.size:
            raise InvalidError("a clone has no fewer bytes than the snapshot")
        self._free(new)
        disk = MemoryDisk(size or source.size, dict(source.blocks))
        self.volumes[new] = _Volume(disk, parent.policy, parent.window_us if window_us is None else window_us)
        parent.snapshots[snapshot] = source, parent.snapshots[snapshot][1] + 1

    async def flatten(self, name: str, *, take_over: bool = False) -> None:
        await trio.lowlevel.checkpoint()
        self._find(name)

    async def flush(self, name: str) -> int:
        await trio.lowlevel.checkpoint()
        return self._find(name).epoch

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        await trio.lowlevel.checkpoint()
        volume, at, snapshot = name.partition("@")
        if at:
            yield self._snapshot(volume, snapshot)
            return
        found = self._find(volume)
        found.clients += 1
        try:
            yield found.disk
        finally:
            found.clients -= 1


_: type[VolumeStore] = MemoryVolumes
