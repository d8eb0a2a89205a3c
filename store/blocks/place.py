"""Places: where a block of a volume lies, in 8 bytes.

    depth (16 bits) | object (32) | page (16)

`depth` is that of the volume whose log object it is, in the chain of clones that ends with the volume that is read:
so a clone has its parent's places as they are. `object` counts that volume's log objects from 1, `page` the 4 KiB pages
of data in the object, from 1, headers of frames not counted. Two places are none: HOLE and ZERO.

Pages of the map have places too: there `object` is a checkpoint of the volume, and `page` counts its pages.
"""

from __future__ import annotations

from typing import Final, NamedTuple

BLOCK_BYTES: Final = 4096
"""A block of a volume, and a page of a log object: what disks and guests have for a page."""
HOLE: Final = 0
"""Never written, or discarded."""
ZERO: Final = 1
"""Written with zeros, which are stored nowhere."""
DEPTH_MAX: Final = (1 << 16) - 1
OBJECTS_MAX: Final = (1 << 32) - 1
PAGES_MAX: Final = (1 << 16) - 1
OBJECT_SHIFT: Final = 16
"""A place without its page, the key by which what is needed of an object is counted, is `place >> OBJECT_SHIFT`."""


class Place(NamedTuple):
    """A place, unpacked."""

    depth: int
    object: int
    page: int


def pack(depth: int, object_: int, page: int) -> int:
    """The place of a page; those of the pages behind it follow. Raises OverflowError where a number is too large."""
    if not (0 <= depth <= DEPTH_MAX and 0 < object_ <= OBJECTS_MAX and 0 < page <= PAGES_MAX):
        raise OverflowError(f"no place: depth {depth}, object {object_}, page {page}")
    return depth << 48 | object_ << OBJECT_SHIFT | page


def unpack(place: int) -> Place:
    return Place(place >> 48, place >> OBJECT_SHIFT & OBJECTS_MAX, place & PAGES_MAX)


def is_stored(place: int) -> bool:
    """Whether there is something to be read: else the block is zeros."""
    return place > ZERO
