"""A disk's contents to another one: what was never written is not copied."""

from __future__ import annotations

from typing import Final

from store.blocks.disk import Disk, ExtentKind

PIECE: Final = 4 * 1024 * 1024
EXTENTS: Final = 256


async def copy(source: Disk, target: Disk) -> None:
    """Have `target`, which is empty and no smaller, be what `source` is, durably. May be done again."""
    at = 0
    while at < source.size:
        for extent in await source.extents(at, source.size - at, EXTENTS):
            if extent.kind is ExtentKind.DATA:
                await _copy_piece(source, target, at, extent.length)
            at += extent.length
    await target.flush()


async def _copy_piece(source: Disk, target: Disk, at: int, length: int) -> None:
    end = at + length
    while at < end:
        count = min(PIECE, end - at)
        data = b"".join(bytes(piece) for piece in await source.read(at, count))
        await target.write(at, data)
        at += count
