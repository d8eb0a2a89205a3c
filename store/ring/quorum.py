"""How many answers make a promise."""

from __future__ import annotations


def quorum(copies: int) -> int:
    """The smallest count of which any two, taken from `copies`, share a member."""
    return copies // 2 + 1
