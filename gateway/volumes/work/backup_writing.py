"""What a backup stores of a snapshot: all of it, or what changed since the backup before it.

The volume is gone through in chunks, and each is looked at where it may have changed: everywhere in a full backup or
where nothing better is known, else where the store says so. Blocks are compared by their hashes with those of the
parent, so what was written again as it was is not stored. Of blocks that are zeros now no data are stored either: where
they are is in the metadata.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from hashlib import md5
from itertools import groupby
from typing import Any, Final

import trio

from gateway.volumes.work.backup_blocks import Looked, look
from gateway.volumes.work.backup_hashes import DIGEST, Hashes, block_of, split, zeros_digest
from gateway.volumes.work.backup_objects import BackupObjects
from store.blocks.disk import Disk
from store.blocks.interface import Changed
from store.core.errors import InvalidError

CHUNK: Final = 52_428_800
"""Bytes of a data object at most, before they are compressed: stock cinder's default, a multiple of every block."""
LEVEL: Final = 1
"""Of zlib: what is quick."""

Progress = Callable[[int], Awaitable[None]]
"""Told of the bytes of the volume that have been gone through."""


@dataclass(slots=True)
class Written:
    """What a backup consists of: the entries of its data objects, ranges of zeros (offset, length) and hashes."""

    hashes: Hashes
    objects: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    zeros: list[tuple[int, int]] = field(default_factory=list)


class BackupWriter:
    """Writes the data objects of one backup of a disk that does not change."""

    def __init__(
        self,
        disk: Disk,
        size: int,
        objects: BackupObjects,
        parent: Hashes | None,
        changed: AsyncIterator[Changed] | None,
    ) -> None:
        """`changed`: where the disk may differ from what the parent has, in order; None where that is not known."""
        self._disk = disk
        self._size = size
        self._objects = objects
        self._parent = parent
        self._changed = changed
        self._next: Changed | None = None
        self.written = Written(Hashes(block_of(size) if parent is None else parent.block))
        if CHUNK % self.written.hashes.block:
            raise InvalidError("The parent's hashes are of blocks of another size; make a full backup.")

    async def write(self, progress: Progress) -> Written:
        """All of it."""
        for offset in range(0, self._size, CHUNK):
            length = min(CHUNK, self._size - offset)
            await self._chunk(offset, length)
            await progress(offset + length)
        return self.written

    async def _chunk(self, offset: int, length: int) -> None:
        hashes, block = self.written.hashes, self.written.hashes.block
        first, count = offset // block, -(-length // block)
        zeros = zeros_digest(block)
        before = bytearray(zeros * count) if self._parent is None else self._parent.span(first, count)
        if self._changed is None:
            looked = await look(self._disk, offset, length, block, range(count))
            now = looked.over(bytearray(zeros * count))
        else:
            wanted = await self._touched(self._changed, offset, length)
            looked = await look(self._disk, offset, length, block, wanted)
            now = before[:]
            for number in wanted:
                now[number * DIGEST : (number + 1) * DIGEST] = zeros
            looked.over(now)
        hashes.add(now)
        pairs = () if now == before else zip(split(now), split(before), strict=True)
        differing = [number for number, (one, other) in enumerate(pairs) if one != other]
        await trio.lowlevel.checkpoint()
        if self._parent is None:
            await self._store_whole(offset, length, looked, differing)
        else:
            await self._store_changes(offset, length, looked, differing)

    async def _touched(self, changed: AsyncIterator[Changed], offset: int, length: int) -> set[int]:
        """The blocks of a chunk that may have changed, by their numbers in it. To be asked in the chunks' order."""
        block, found = self.written.hashes.block, set[int]()
        while True:
            if self._next is None:
                self._next = await anext(changed, None)
            if self._next is None or self._next.offset >= offset + length:
                return found
            low, high = max(self._next.offset - offset, 0), min(sum(self._next) - offset, length)
            found.update(range(low // block, -(-high // block)))
            if sum(self._next) > offset + length:
                return found
            self._next = None

    async def _store_whole(self, offset: int, length: int, looked: Looked, data: list[int]) -> None:
        """One object from the first block to the last that are not zeros."""
        block = self.written.hashes.block
        low = data[0] * block if data else length
        high = min((data[-1] + 1) * block, length) if data else length
        for start, stop in ((0, low), (high, length)):
            if stop > start:
                self.written.zeros.append((offset + start, stop - start))
        if data:
            await self._store(offset + low, looked.bytes(low, high))

    async def _store_changes(self, offset: int, length: int, looked: Looked, differing: list[int]) -> None:
        block = self.written.hashes.block
        nothing = zeros_digest(block)
        zeros = {number for number in differing if looked.digests.get(number, nothing) == nothing}
        for first, count in _alike(differing, zeros):
            low, high = first * block, min((first + count) * block, length)
            if first in zeros:
                self.written.zeros.append((offset + low, high - low))
            else:
                await self._store(offset + low, looked.bytes(low, high))

    async def _store(self, offset: int, data: memoryview) -> None:
        name = self._objects.data_name(len(self.written.objects) + 1)
        algorithm, digest, packed = await trio.to_thread.run_sync(_packed, data)
        await self._objects.put(name, [packed])
        entry = {"offset": offset, "length": len(data), "compression": algorithm, "md5": digest}
        self.written.objects.append({name: entry})


def _alike(numbers: list[int], zeros: set[int]) -> Iterator[tuple[int, int]]:
    """Blocks that follow each other and are all zeros or all data, as (first, how many)."""
    for _, run in groupby(enumerate(numbers), lambda pair: (pair[1] - pair[0], pair[1] in zeros)):
        found = [number for _, number in run]
        yield found[0], len(found)


def _packed(data: memoryview) -> tuple[str, str, bytes | memoryview]:
    """The algorithm, the MD5 of the data, and what is stored."""
    digest = md5(data, usedforsecurity=False).hexdigest()
    packed = zlib.compress(data, LEVEL)
    return ("zlib", digest, packed) if len(packed) < len(data) else ("none", digest, data)
