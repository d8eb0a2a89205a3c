"""How large a disk an image may unfold to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VIRTUAL_SIZE_MAX: Final = 64 << 40
"""64 TiB: what VHDX, the format with the largest limit in its standard, can have (MS-VHDX 2.6.2.4)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what is accepted."""

    virtual_size: int = VIRTUAL_SIZE_MAX
    """Bytes of the disk, at most."""

    ratio: int | None = None
    """Bytes of the disk to each byte of the image, at most. None: any, as an empty disk of 1 TiB is 200 KiB of qcow2
    and costs nothing where zeros are not stored."""

    fixed_vhd: bool = False
    """Take a VHD that has its mark at its end alone. Stock Glance does not: nothing in its first bytes tells it from
    raw."""
