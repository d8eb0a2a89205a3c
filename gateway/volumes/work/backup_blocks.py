"""Blocks of a disk and their hashes. What was never written is known to be zeros and is not read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import trio

from gateway.volumes.work.backup_hashes import DIGEST
from store.blocks.disk import Disk, ExtentKind

READ: Final = 4 * 1024 * 1024
EXTENTS: Final = 256


@dataclass(frozen=True, slots=True)
class Looked:
    """Some blocks of a range of a disk: digests are of the blocks that were read, by their numbers in the range, and
    `data` goes from the first of these, at `start` in the range, to the last. All others that were wanted are zeros."""

    start: int
    data: bytearray
    digests: dict[int, bytes]

    def bytes(self, low: int, high: int) -> memoryview:
        """Of a part of the range that begins and ends with blocks that were read."""
        return memoryview(self.data)[low - self.start : high - self.start]

    def over(self, digests: bytearray) -> bytearray:
        """The digests of all blocks of the range, with those of the blocks that were read."""
        for number, digest in self.digests.items():
            digests[number * DIGEST : (number + 1) * DIGEST] = digest
        return digests


async def look(disk: Disk, offset: int, length: int, block: int, wanted: Collection[int]) -> Looked:
    """At the blocks that are `wanted` of a range, by their numbers in it."""
    read = sorted((await _written(disk, offset, length, block)).intersection(wanted)) if wanted else []
    if not read:
        return Looked(0, bytearray(), {})
    start, end = read[0] * block, min((read[-1] + 1) * block, length)
    looked = Looked(start, bytearray(end - start), {})
    for first, count in _runs(read):
        low, high = first * block, min((first + count) * block, length)
        await _read(disk, offset + start, low - start, high - low, looked.data)
    await trio.to_thread.run_sync(_hash, looked, block, read)
    return looked


async def _written(disk: Disk, offset: int, length: int, block: int) -> set[int]:
    """The blocks of a range that have data."""
    found: set[int] = set()
    at = 0
    while at < length:
        for extent in await disk.extents(offset + at, length - at, EXTENTS):
            if extent.kind is ExtentKind.DATA:
                found.update(range(at // block, -(-(at + extent.length) // block)))
            at += extent.length
    return found


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Those that follow each other, as (first, how many)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and sum(runs[-1]) == number:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((number, 1))
    return runs


async def _read(disk: Disk, offset: int, at: int, length: int, into: bytearray) -> None:
    end = at + length
    while at < end:
        for piece in await disk.read(offset + at, min(READ, end - at)):
            into[at : at + len(piece)] = piece
            at += len(piece)


def _hash(looked: Looked, block: int, numbers: list[int]) -> None:
    view = memoryview(looked.data)
    for number in numbers:
        at = number * block - looked.start
        looked.digests[number] = sha256(view[at : at + block]).digest()
