"""Checkpoints: the pages of a volume's map that have changed since the one before, as an object of the store.

Object `c`, number in 8 hexadecimal digits:

    page 1 | page 2 | ... | table | footer

A page is 512 places of 8 bytes, little-endian (store.blocks.page_table). The table is msgpack:

    [1, top, [[key, pages needed], ...] of log objects, the same of checkpoints,
     [[number, pages], ...] of the volume's own log objects that it still has, the same of checkpoints]

A page is a leaf or a directory of the map: that is not said here, but by what names it. `top` (bin) has the places of
the directories, as a page has those of leaves, and a leaf those of blocks. A key is a place without its page
(store.blocks.place), and only those are listed of which pages are needed. The last two lists say how large these are,
this checkpoint not among them. The footer is 16 bytes, little-endian:
magic "DRYC", pages u32, bytes of the table u32, the low half of the XXH3-64 of the table u32.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final, NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.blocks.block_map import Frozen
from store.blocks.place import BLOCK_BYTES
from store.core.codec import unknown_version
from store.core.errors import DamageError

VERSION: Final = 1
MAGIC: Final = b"DRYC"
PIECE_PAGES: Final = 256
_FOOTER = struct.Struct("<4sIII")
FOOTER_BYTES: Final = _FOOTER.size


class CheckpointTable(NamedTuple):
    """What a checkpoint says beside its pages. `sizes` are pages with headers, by the number of the object; `stored`
    pages of checkpoints before it, by their numbers; `pages` how many it has itself."""

    top: array[int]
    objects: Counter[int]
    checkpoints: Counter[int]
    sizes: dict[int, int]
    stored: dict[int, int]
    pages: int


class Footer(NamedTuple):
    pages: int
    table_bytes: int
    check: int


def checkpoint_name(number: int) -> str:
    return f"c{number:08x}"


def encode(frozen: Frozen, sizes: Mapping[int, int], stored: Mapping[int, int]) -> Iterator[bytes]:
    """A checkpoint, in pieces."""
    for start in range(0, len(frozen.pages), PIECE_PAGES):
        yield b"".join(_packed(page) for page in frozen.pages[start : start + PIECE_PAGES])
    packed: bytes = msgpack.packb(
        (
            VERSION,
            _packed(frozen.top),
            list(frozen.objects.items()),
            list(frozen.checkpoints.items()),
            list(sizes.items()),
            list(stored.items()),
        )
    )
    yield packed + _FOOTER.pack(MAGIC, len(frozen.pages), len(packed), _check(packed))


def decode_footer(footer: bytes) -> Footer:
    """Raises DamageError where that is none."""
    if len(footer) != _FOOTER.size or footer[:4] != MAGIC:
        raise DamageError("no checkpoint of a volume")
    return Footer(*_FOOTER.unpack(footer)[1:])


def decode_table(packed: bytes, footer: Footer) -> CheckpointTable:
    """Raises DamageError where that is none, NewerError where a newer program wrote it."""
    if len(packed) != footer.table_bytes or _check(packed) != footer.check:
        raise DamageError("the table of a checkpoint fails its checksum")
    try:
        fields = msgpack.unpackb(packed)
        if fields[0] != VERSION:
            raise unknown_version("checkpoint of a volume", fields[0], (VERSION,))
        _, top, objects, checkpoints, sizes, stored = fields
        return CheckpointTable(
            unpack_places(top),
            Counter(dict(objects)),
            Counter(dict(checkpoints)),
            dict(sizes),
            dict(stored),
            footer.pages,
        )
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"the table of a checkpoint is not of a known form: {error}") from error


def page_range(page: int) -> tuple[int, int]:
    """The bytes [start, stop) of page number n, from 1."""
    return (page - 1) * BLOCK_BYTES, page * BLOCK_BYTES


def unpack_places(packed: bytes) -> array[int]:
    """Places as they are stored."""
    places = array("Q", packed)
    if sys.byteorder == "big":
        places.byteswap()
    return places


def _packed(places: array[int]) -> bytes:
    if sys.byteorder == "big":
        places = places[:]
        places.byteswap()
    return places.tobytes()


def _check(packed: bytes) -> int:
    return xxh3_64_intdigest(packed) & 0xFFFFFFFF


async def joined(pieces: AsyncIterator[bytes | bytearray | memoryview]) -> bytes:
    """All that is read, as one."""
    return b"".join([bytes(piece) async for piece in pieces])
