"""Images whose bytes are the disk's: raw, and ISO 9660 or UDF (ECMA-119, ECMA-167).

An ISO may begin with a table of partitions, to boot from other media than discs.
"""

from __future__ import annotations

import struct
from typing import Final

_DESCRIPTOR_AT: Final = 32 * 1024
_PRIMARY: Final = 1
_BLOCKS_AT: Final = 80
_BLOCK_SIZE_AT: Final = 128


def iso_virtual_size(head: bytes) -> int | None:
    """What the primary volume descriptor says, which may be less than the image has; None where there is no such
    descriptor at the first place. `head` has HEAD_BYTES."""
    if head[_DESCRIPTOR_AT] != _PRIMARY:
        return None
    (blocks,) = struct.unpack_from("<I", head, _DESCRIPTOR_AT + _BLOCKS_AT)
    (size,) = struct.unpack_from("<H", head, _DESCRIPTOR_AT + _BLOCK_SIZE_AT)
    return int(blocks * size) or None
