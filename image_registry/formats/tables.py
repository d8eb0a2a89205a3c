"""Tables that say where in an image each block of the disk is."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from image_registry.formats.errors import ImageRefusedError
from image_registry.formats.plan import Part


def numbers(data: bytes, code: Literal["I", "Q"], order: Literal["big", "little"]) -> array[int]:
    """Those of a table, 32 (`I`) or 64 (`Q`) bits each."""
    found = array(code)
    found.frombytes(data[: len(data) // found.itemsize * found.itemsize])
    if sys.byteorder != order:
        found.byteswap()
    return found


def check_blocks(what: str, starts: list[int], length: int, parts: Iterable[Part]) -> int:
    """Blocks of one length each, by where they begin: none is there twice, none within another or within a part.

    Returns where the last one ends. Raises ImageRefusedError.
    """
    starts.sort()
    for one, other in pairwise(starts):
        if other - one < length:
            raise ImageRefusedError(f"two {what} of the image overlap")
    for part in parts:
        if any(start < part.end and part.offset < start + length for start in starts):
            raise ImageRefusedError(f"one of the {what} of the image overlaps with its {part.name}")
    return starts[-1] + length if starts else 0
