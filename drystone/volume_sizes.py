"""Sizes of volumes as they are typed and shown: in powers of 1024, as QEMU and truncate have them."""

from __future__ import annotations

import re
from typing import Final

from store.core.errors import InvalidError

_UNITS: Final = ("", "K", "M", "G", "T")
_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT]?)(?:iB)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes: `10G` and `10GiB` are 10 GiB, a number alone is bytes. Raises InvalidError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidError(f"{text!r} is no size: say bytes, or K, M, G or T (powers of 1024), like 512M or 10G")
    return int(match[1]) << 10 * _UNITS.index(match[2].upper())


def show_size(count: int) -> str:
    """In the largest unit that has it exactly, or with one digit behind the point."""
    power = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    unit = f"{_UNITS[power]}iB" if power else "B"
    whole, rest = divmod(count, 1 << 10 * power)
    return f"{whole} {unit}" if not rest else f"{count / (1 << 10 * power):.1f} {unit}"
