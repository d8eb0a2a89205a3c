"""Replay: what the log says behind a root goes into a map."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from store.blocks.block_map import BlockMap
from store.blocks.contents import Contents
from store.blocks.frame import Entry, Kind
from store.blocks.head import Root
from store.blocks.place import HOLE, OBJECT_SHIFT, ZERO
from store.blocks.stored_map import StoredMap

LATER_BLOCKS_MAX: Final = 4096
"""What an entry says of more blocks goes into the map at once: most leaves of so large a range may not even exist."""
_KINDS: Final = {Kind.ZERO: ZERO, Kind.DISCARD: HOLE}


def apply_entry(map_: BlockMap, depth: int, object_: int, entry: Entry, page: int) -> None:
    """Have an entry in the map whose data, if it has any, begin with `page` of an object. Nothing of it is missing."""
    place = depth << 48 | object_ << OBJECT_SHIFT | page
    if entry.kind is Kind.MOVE:
        map_.move(entry.first, entry.blocks, entry.origin, place)
    else:
        map_.put(entry.first, entry.blocks, place if entry.kind is Kind.DATA else _KINDS[entry.kind])


async def replay(
    map_: StoredMap,
    depth: int,
    root: Root,
    number: int,
    contents: Contents,
    *,
    until: int | None = None,
    until_us: int | None = None,
    make_room: Callable[[], Awaitable[None]] | None = None,
) -> tuple[Root, bool]:
    """Have in the map what an object says that is not in the root; leaves that are not in memory are left there until
    they are asked for. (Which root that is, whether all was taken in): from the first frame on that is above
    `until`, or was written after `until_us`, nothing is. `make_room` is awaited before each frame that is taken in."""
    page = 1
    for frame in contents.frames:
        if frame.sequence > root.sequence:
            if until_us is not None and frame.time_us > until_us:
                return root, False
            if until is not None and frame.sequence > until:
                return root, False
            if make_room is not None:
                await make_room()
            for entry in frame.entries:
                if entry.blocks <= LATER_BLOCKS_MAX:
                    _apply_later(map_.map, depth, number, entry, page)
                else:
                    await map_.ensure([(entry.first, entry.blocks)])
                    apply_entry(map_.map, depth, number, entry, page)
                page += entry.pages
            root = root._replace(object=number, sequence=frame.sequence)
        else:
            page += frame.pages
    return root, True


def _apply_later(map_: BlockMap, depth: int, object_: int, entry: Entry, page: int) -> None:
    place = depth << 48 | object_ << OBJECT_SHIFT | page
    if entry.kind is Kind.MOVE:
        map_.move_later(entry.first, entry.blocks, entry.origin, place)
    else:
        map_.put_later(entry.first, entry.blocks, place if entry.kind is Kind.DATA else _KINDS[entry.kind])
