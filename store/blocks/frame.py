"""Frames: what was written to a volume at one time. Sans-I/O.

A frame is a header and the data of its entries behind it, one after the other, both whole pages of 4 KiB:

    offset  size  field
         0     4  magic "DRYF"
         4     4  bytes of what follows (u32, little-endian)
         8        msgpack [1, epoch, sequence, time_us, [entry, ...]], then zeros up to a whole page
    entry         [kind, first block, blocks], of a move also the place of the first of them

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

MAGIC: Final = b"DRYF"
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


def encode_header(frame: Frame) -> bytes:
    """The header, whole pages of it."""
    packed = msgpack.packb((VERSION, frame.epoch, frame.sequence, frame.time_us, pack_entries(frame.entries)))
    header: bytes = _HEAD.pack(MAGIC, len(packed)) + packed
    return header + bytes(-len(header) % BLOCK_BYTES)


def header_bytes(first_page: bytes | memoryview) -> int:
    """How long the header is, from its first page. Raises DamageError where that is none."""
    if len(first_page) < _HEAD.size or first_page[: len(MAGIC)] != MAGIC:
        raise DamageError("no frame of a volume")
    _, size = _HEAD.unpack_from(first_page)
    whole: int = _HEAD.size + size
    return whole + -whole % BLOCK_BYTES


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
