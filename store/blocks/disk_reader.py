"""Reading a disk that is a map, and what was written since: a volume that is open, or a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from store.blocks.block_map import Run
from store.blocks.disk import Extent, ExtentKind
from store.blocks.frame import Kind
from store.blocks.log_reader import LogReader
from store.blocks.overlay import Overlay
from store.blocks.place import BLOCK_BYTES, ZERO, is_stored
from store.blocks.stored_map import StoredMap
from store.core.errors import DamageError, DrystoneError, NotFoundError
from store.device.record import Buffer

READ_TRIES: Final = 8
LOOK_BLOCKS: Final = 1 << 18
"""So many are looked at between two turns of the loop."""
_ZEROS = bytes(1 << 20)


class Span:
    """The blocks that a range of bytes touches: `first` and `count`; `low` bytes of the first lie before it, `high` of
    the last behind it."""

    __slots__ = ("count", "first", "high", "low")

    def __init__(self, offset: int, length: int, size: int) -> None:
        """Raises IndexError where it does not lie within a disk of `size` bytes."""
        if offset < 0 or length < 0 or offset + length > size:
            raise IndexError(f"bytes {offset} to {offset + length} of a disk of {size}")
        self.first, self.low = divmod(offset, BLOCK_BYTES)
        self.count = -(-(self.low + length) // BLOCK_BYTES) if length else 0
        self.high = self.count * BLOCK_BYTES - self.low - length

    @property
    def aligned(self) -> bool:
        return not self.low and not self.high

    @property
    def whole(self) -> range:
        """The blocks that lie in it wholly."""
        return range(self.first + (self.low > 0), self.first + self.count - (self.high > 0))


class DiskReader:
    """Reads by a map, and by what the overlay has that is not in it."""

    def __init__(self, map_: StoredMap, overlay: Overlay, reader: LogReader) -> None:
        self._map = map_
        self._overlay = overlay
        self._reader = reader

    async def read(self, first: int, count: int) -> list[Buffer]:
        """Blocks, verified."""
        for attempt in range(READ_TRIES):
            if self._map.map.missing(first, count):
                await self._map.ensure([(first, count)])
            plan: list[Buffer | Run] = []
            for part in self._overlay.look(first, count):
                if part.data is not None:
                    plan.append(part.data)
                elif part.kind is not None:
                    plan += _zeros(part.blocks)
                else:
                    for run in self._map.map.look(part.first, part.blocks):
                        plan += [run] if is_stored(run.place) else _zeros(run.blocks)
            try:
                return await self._gathered(plan)
            except (NotFoundError, DamageError):
                # It may have been moved, and its object dropped, since the map was looked at.
                if attempt == READ_TRIES - 1 or not await self._has_moved(plan):
                    raise
        raise AssertionError

    async def read_bytes(self, span: Span) -> list[Buffer]:
        """The bytes of a range, verified."""
        if not span.count:
            return []
        pieces = await self.read(span.first, span.count)
        return pieces if span.aligned else _trimmed(pieces, span)

    async def _gathered(self, plan: Sequence[Buffer | Run]) -> list[Buffer]:
        if len(plan) == 1 and isinstance(plan[0], Run):
            return await self._reader.read(plan[0].place, plan[0].blocks)
        read: dict[int, list[Buffer]] = {}
        missing: list[tuple[int, Run]] = []
        for at, each in enumerate(plan):
            if isinstance(each, Run):
                at_hand = self._reader.read_now(each.place, each.blocks)
                if at_hand is None:
                    missing.append((at, each))
                else:
                    read[at] = at_hand
        failures: list[DrystoneError] = []

        async def one(at: int, run: Run) -> None:
            try:
                read[at] = await self._reader.read(run.place, run.blocks)
            except DrystoneError as error:
                failures.append(error)

        if missing:
            async with trio.open_nursery() as nursery:
                for at, run in missing:
                    nursery.start_soon(one, at, run)
        if failures:
            raise failures[0]
        pieces: list[Buffer] = []
        for at, each in enumerate(plan):
            pieces += read[at] if isinstance(each, Run) else [each]
        return pieces

    async def _has_moved(self, plan: Sequence[Buffer | Run]) -> bool:
        """Whether something is not where the map said."""
        runs = [each for each in plan if isinstance(each, Run)]
        await self._map.ensure([(run.first, run.blocks) for run in runs])
        return any(self._map.map.look(run.first, run.blocks) != [run] for run in runs)

    async def extents(self, span: Span, limit: int) -> list[Extent]:
        """What a range of bytes is, one beside another: up to `limit` of them."""
        found: list[tuple[int, ExtentKind]] = []
        first, end = span.first, span.first + span.count
        while first < end and len(found) <= limit:
            some = min(end - first, LOOK_BLOCKS)
            await self._map.ensure([(first, some)])
            for part in self._overlay.look(first, some):
                if part.data is not None:
                    found.append((part.blocks, ExtentKind.DATA))
                elif part.kind is not None:
                    found.append((part.blocks, ExtentKind.ZERO if part.kind is Kind.ZERO else ExtentKind.HOLE))
                else:
                    found += [(run.blocks, _kind(run.place)) for run in self._map.map.look(part.first, part.blocks)]
            found = _merged(found)
            first += some
        extents = [Extent(blocks * BLOCK_BYTES, kind) for blocks, kind in found]
        if extents:
            extents[0] = extents[0]._replace(length=extents[0].length - span.low)
            if first == end and len(extents) <= limit:
                extents[-1] = extents[-1]._replace(length=extents[-1].length - span.high)
        return extents[:limit]


def _zeros(blocks: int) -> list[Buffer]:
    whole, rest = divmod(blocks * BLOCK_BYTES, len(_ZEROS))
    zeros: list[Buffer] = [_ZEROS] * whole
    return [*zeros, memoryview(_ZEROS)[:rest]] if rest else zeros


def _kind(place: int) -> ExtentKind:
    if is_stored(place):
        return ExtentKind.DATA
    return ExtentKind.ZERO if place == ZERO else ExtentKind.HOLE


def _merged(found: list[tuple[int, ExtentKind]]) -> list[tuple[int, ExtentKind]]:
    merged: list[tuple[int, ExtentKind]] = []
    for blocks, kind in found:
        if merged and merged[-1][1] is kind:
            merged[-1] = (merged[-1][0] + blocks, kind)
        else:
            merged.append((blocks, kind))
    return merged


def _trimmed(pieces: Sequence[Buffer], span: Span) -> list[Buffer]:
    """The bytes of a range, of its blocks."""
    low, length = span.low, span.count * BLOCK_BYTES - span.low - span.high
    trimmed: list[Buffer] = []
    for piece in pieces:
        part = memoryview(piece)[low : low + length]
        low = max(0, low - len(piece))
        length -= len(part)
        if part:
            trimmed.append(part)
    return trimmed
