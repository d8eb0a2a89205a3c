"""Numbers that packets carry: of ports in their marks, of networks as the zones in which connections are tracked.

Each is the hash of an id, or the next that is free. Older records come first: so what is made later does not take the
number of what is in use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Protocol

MOST: Final = 0xFFFF


class Numbered(Protocol):
    """Any record."""

    @property
    def id(self) -> str: ...

    @property
    def created_us(self) -> int: ...


def numbers(records: Iterable[Numbered]) -> dict[str, int]:
    """By ids: from 1 to MOST. Raises ValueError where there are more records than numbers."""
    given: dict[str, int] = {}
    taken: set[int] = set()
    for record in sorted(records, key=lambda one: (one.created_us, one.id)):
        if len(taken) == MOST:
            raise ValueError(f"more than {MOST} of them on one host")
        number = _hash(record.id)
        while number in taken:
            number = number % MOST + 1
        taken.add(number)
        given[record.id] = number
    return given


def _hash(id_: str) -> int:
    return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big") % MOST + 1
