"""Replay: what the log says behind a root goes into a map."""

from __future__ import annotations

from store.blocks.block_map import BlockMap
from store.blocks.contents import Contents
from store.blocks.frame import Entry, Kind
from store.blocks.head import Root
from store.blocks.place import HOLE, OBJECT_SHIFT, ZERO
from store.blocks.stored_map import StoredMap

_KINDS = {Kind.ZERO: ZERO, Kind.DISCARD: HOLE}


def apply_entry(map_: BlockMap, depth: int, object_: int, entry: Entry, page: int) -> None:
    """Have an entry in the map whose data, if it has any, begin with `page` of an object. Nothing of it is missing."""
    place = depth << 48 | object_ << OBJECT_SHIFT | page
    if entry.kind is Kind.MOVE:
        map_.move(entry.first, entry.blocks, entry.origin, place)
    else:
        map_.put(entry.first, entry.blocks, place if entry.kind is Kind.DATA else _KINDS[entry.kind])


async def replay(
    map_: StoredMap, depth: int, root: Root, number: int, contents: Contents, until_us: int | None = None
) -> tuple[Root, bool]:
    """Have in the map what an object says that is not in the root. (Which root that is, whether all was taken in): from
    the first frame on that was written after `until_us` nothing is."""
    page = 1
    for frame in contents.frames:
        if until_us is not None and frame.sequence > root.sequence and frame.time_us > until_us:
            return root, False
        for entry in frame.entries:
            if frame.sequence > root.sequence:
                await map_.ensure([(entry.first, entry.blocks)])
                apply_entry(map_.map, depth, number, entry, page)
            page += entry.pages
        if frame.sequence > root.sequence:
            root = root._replace(object=number, sequence=frame.sequence)
    return root, True
