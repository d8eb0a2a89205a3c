"""Frames: what was written to a volume at one time. Sans-I/O.

A frame is a header and the data of its entries behind it, one after the other, whole pages of 4 KiB:

    offset  size  field
         0     4  magic: "DRYF", or "DRYV"
         4     4  bytes of what follows (u32, little-endian)
         8        msgpack [1, epoch, sequence, time_us, [entry, ...]], then zeros up to a whole page where the magic is
                  "DRYF", up to a multiple of 512 bytes where it is "DRYV"
    entry         [kind, first block, blocks], of a move also the place of the first of them

"DRYV" is for small frames: the header has room in the first page of the record that a device keeps the frame in.

The entries of a frame count in their order, so that a later one wins where two are of the same block. Sums are those of
the record that a device keeps a frame in (store.device.record).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgpack

from store.blocks.place import BLOCK_BYTES
from store.core.codec import unknown_version
from store.core.errors import DamageError

HEADER_ALIGN: Final = 512
_MAGICS: Final = {BLOCK_BYTES: b"DRYF", HEADER_ALIGN: b"DRYV"}
_ALIGNS: Final = {magic: align for align, magic in _MAGICS.items()}
VERSION: Final = 1
_HEAD = struct.Struct("<4sI")


class Kind(IntEnum):
    """What an entry says of its blocks."""

    DATA = 0
    """They are what is in the frame."""
    ZERO = 1
    """They are zeros, and their room is not given back."""
    DISCARD = 2
    """They are zeros, as if they had never been written."""
    MOVE = 3
    """They are in the frame now, unless they were written since they lay at the places from which they were moved:
    `origin` and those that follow it."""


class Entry(NamedTuple):
    """Blocks `first` up to `first + blocks`."""

    kind: Kind
    first: int
    blocks: int
    origin: int = 0

    @property
    def pages(self) -> int:
        """Of data in the frame."""
        return self.blocks if self.kind in (Kind.DATA, Kind.MOVE) else 0


class Frame(NamedTuple):
    """A frame without its data. `sequence` is 1 above that of the frame before it in the volume."""

    epoch: int
    sequence: int
    time_us: int
    entries: Sequence[Entry]

    @property
    def pages(self) -> int:
        """Of data."""
        return sum(entry.pages for entry in self.entries)


def pack_entries(entries: Sequence[Entry]) -> list[Sequence[int]]:
    """For msgpack."""
    return [entry if entry.kind is Kind.MOVE else entry[:3] for entry in entries]


def unpack_entries(packed: Sequence[Any]) -> list[Entry]:
    """Raises ValueError or TypeError where these are none."""
    entries = []
    for kind, *numbers in packed:
        entry = Entry(Kind(kind), *numbers)
        if not all(isinstance(number, int) for number in numbers) or entry.first < 0 or entry.blocks < 1:
            raise ValueError(f"no entry: {entry}")
        if (entry.kind is Kind.MOVE) != (len(numbers) == 3):
            raise ValueError(f"no entry of its kind: {entry}")
        entries.append(entry)
    return entries


def encode_header(frame: Frame, align: int = BLOCK_BYTES) -> bytes:
    """The header, a multiple of `align`: BLOCK_BYTES or HEADER_ALIGN."""
    packed = msgpack.packb((VERSION, frame.epoch, frame.sequence, frame.time_us, pack_entries(frame.entries)))
    header: bytes = _HEAD.pack(_MAGICS[align], len(packed)) + packed
    return header + bytes(-len(header) % align)


def header_bytes(begins: bytes | memoryview) -> int:
    """How long the header is, from its first bytes. Raises DamageError where these are none."""
    align = _ALIGNS.get(bytes(begins[:4]))
    if len(begins) < _HEAD.size or align is None:
        raise DamageError("no frame of a volume")
    _, size = _HEAD.unpack_from(begins)
    whole: int = _HEAD.size + size
    return whole + -whole % align


def decode_header(header: bytes | memoryview) -> Frame:
    """Raises DamageError where that is none, NewerError where a newer program wrote it."""
    if header_bytes(header) > len(header):
        raise DamageError("the header of a frame is cut off")
    size = _HEAD.unpack_from(header)[1]
    try:
        fields = msgpack.unpackb(header[_HEAD.size : _HEAD.size + size])
        if fields[0] != VERSION:
            raise unknown_version("frame", fields[0], (VERSION,))
        _, epoch, sequence, time_us, entries = fields
        return Frame(epoch, sequence, time_us, unpack_entries(entries))
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"the header of a frame is not of a known form: {error}") from error
