"""The overlay of a volume: what was appended to its log and is not in its map yet. Pure.

Reads look here first. What was appended last counts. An entry goes when its frame is in the map.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from store.blocks.frame import Entry, Kind
from store.blocks.place import BLOCK_BYTES

BLOCKS_MAX: Final = 1024
"""Entries without data of more blocks than this are kept as ranges."""


class Part(NamedTuple):
    """Blocks next to each other: `data`, or zeros of a `kind`; where there is neither, the map knows."""

    first: int
    blocks: int
    kind: Kind | None
    data: memoryview | None


class _Block(NamedTuple):
    order: int
    kind: Kind
    data: memoryview | None


class _Range(NamedTuple):
    order: int
    first: int
    stop: int
    kind: Kind


class Overlay:
    """Blocks, by number."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._ranges: list[_Range] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._blocks) + len(self._ranges)

    def add(self, entry: Entry, data: memoryview) -> int:
        """Another entry that was appended, with its data; what to hand to `remove` when it is in the map."""
        self._order += 1
        order, kind, first, blocks = self._order, entry.kind, entry.first, entry.blocks
        if kind is Kind.DATA:
            for at in range(blocks):
                self._blocks[first + at] = _Block(order, kind, data[at * BLOCK_BYTES : (at + 1) * BLOCK_BYTES])
        elif kind is not Kind.MOVE:  # what was moved is still found where it was
            if blocks > BLOCKS_MAX:
                self._ranges.append(_Range(order, first, first + blocks, kind))
            else:
                zeros = _Block(order, kind, None)
                for block in range(first, first + blocks):
                    self._blocks[block] = zeros
        return order

    def remove(self, entry: Entry, order: int) -> None:
        """An entry is in the map."""
        if entry.kind is Kind.MOVE:
            return
        if entry.kind is not Kind.DATA and entry.blocks > BLOCKS_MAX:
            self._ranges = [each for each in self._ranges if each.order != order]
            return
        blocks = self._blocks
        for block in range(entry.first, entry.first + entry.blocks):
            if (known := blocks.get(block)) is not None and known.order == order:
                del blocks[block]

    def look(self, first: int, count: int) -> list[Part]:
        """What blocks are, as far as it is known here."""
        if not self._blocks and not self._ranges:
            return [Part(first, count, None, None)]
        ranges = [each for each in self._ranges if each.first < first + count and each.stop > first]
        parts: list[Part] = []
        for block in range(first, first + count):
            known = self._blocks.get(block)
            order, kind, data = (known.order, known.kind, known.data) if known is not None else (0, None, None)
            for each in ranges:
                if each.order > order and each.first <= block < each.stop:
                    order, kind, data = each.order, each.kind, None
            last = parts[-1] if parts else None
            if last is not None and data is None and last.data is None and last.kind is kind:
                parts[-1] = last._replace(blocks=last.blocks + 1)
            else:
                parts.append(Part(block, 1, kind, data))
        return parts
