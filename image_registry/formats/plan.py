"""How the inspector of one format says what it wants to see of an image.

It is a generator: given the head of the image it yields `Window`s, in the order of their offsets, is sent the bytes of
each (fewer where the image ends first), and returns what it found. It does no I/O and holds no more than one window, so
an image of any size is inspected as it comes by, in chunks of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, NamedTuple

Buffer = bytes | bytearray | memoryview

HEAD_BYTES: Final = 34 * 1024
"""What every inspector is given to begin with: up to the end of the first volume descriptor of ISO 9660."""
TAIL_BYTES: Final = 1536
"""What is kept of the end: footer and end of stream of a VMDK are three sectors."""
WINDOW_MAX: Final = 1 << 20
"""Of bytes at once, and so of memory."""
TABLE_LOOKED_AT_MAX: Final = 64 << 10
"""Of a table of clusters or blocks whose entries are looked at; of a larger one that it lies in the image. More would
hold up all else for too long (this takes up to 10 ms); whatever copies the image meets the rest, confined."""


class Window(NamedTuple):
    """Bytes of the image that are wanted."""

    offset: int
    length: int


class Part(NamedTuple):
    """Something that is to lie in the image, apart from all other parts."""

    name: str
    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Finding:
    """What an inspector found, as far as it can be told without the image's size."""

    virtual_size: int | None
    """Bytes, as stock Glance tells them."""

    disk_size: int
    """Bytes of the disk that the image becomes; of VHD it may be less."""

    parts: tuple[Part, ...] = ()
    reach: int = 0
    """Where the last block of data ends that a table names."""

    check_tail: Callable[[bytes], None] | None = None
    """Given the last `TAIL_BYTES` of the image, or all where it is shorter. Raises ImageRefusedError."""


Plan = Generator[Window, bytes, Finding]
"""Raises ImageRefusedError."""
