"""Flags, in the spellings that Swift takes."""

from __future__ import annotations

_TRUE = frozenset({b"true", b"1", b"yes", b"on", b"t", b"y"})


def is_true(value: bytes | str | None) -> bool:
    """Whether a flag is set, in the spellings that Swift takes."""
    if value is None:
        return False
    return (value.encode() if isinstance(value, str) else value).lower() in _TRUE
