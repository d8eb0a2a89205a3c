"""Tables that say where in an image each block of the disk is."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice
from operator import sub
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


def check_blocks(what: str, starts: Iterable[int], length: int, parts: Iterable[Part]) -> int:
    """Blocks of one length each, by where they begin: none is there twice, none within another or within a part.

    Returns where the last one ends. Raises ImageRefusedError.
    """
    found = sorted(starts)
    if min(map(sub, islice(found, 1, None), found), default=length) < length:
        raise ImageRefusedError(f"two {what} of the image overlap")
    for part in parts:
        after = bisect_left(found, part.end)  # the first that begins behind the part
        if part.length and after and found[after - 1] + length > part.offset:
            raise ImageRefusedError(f"one of the {what} of the image overlaps with its {part.name}")
    return found[-1] + length if found else 0
