"""The table of partitions of a raw disk: an MBR, or the protective one of a GPT (UEFI 2.10, 5.2).

That the signature is there says little: what has it and no partitions that make sense is another format in disguise.
"""

from __future__ import annotations

import struct
from typing import Final

from image_registry.formats.errors import ImageRefusedError

_ENTRY: Final = struct.Struct("<B3sB3sII")
_ENTRIES_AT: Final = 446
_ENTRIES: Final = 4
_PROTECTIVE: Final = 0xEE
_PROTECTIVE_START: Final = b"\x00\x02\x00"
"""Cylinder, head and sector of the first sector after the MBR."""


def check_partitions(head: bytes) -> None:
    """Raises ImageRefusedError."""
    used: list[int] = []
    protective = False
    for number in range(_ENTRIES):
        boot, start, kind, _, first, _ = _ENTRY.unpack_from(head, _ENTRIES_AT + number * _ENTRY.size)
        if boot not in (0x00, 0x80):
            raise ImageRefusedError(f"partition {number + 1} of the boot sector has a boot flag that is none")
        if kind:
            used.append(number)
        if kind == _PROTECTIVE:
            protective = True
            if start != _PROTECTIVE_START or first != 1:
                raise ImageRefusedError("the boot sector's partition for a GPT does not begin where the GPT does")
    if protective and used != [0]:
        raise ImageRefusedError("the boot sector has partitions besides that for a GPT")
    if not used:
        raise ImageRefusedError("the image has the signature of a boot sector, and no partitions in it")
