"""Bytes in a file of their own with their XXH3-64 behind them, little end first: what is read is what was written."""

from __future__ import annotations

import struct

from xxhash import xxh3_64_intdigest

from store.core.errors import DamageError

_CHECK = struct.Struct("<Q")


def checked(packed: bytes) -> bytes:
    return packed + _CHECK.pack(xxh3_64_intdigest(packed))


def verified(data: bytes, what: str) -> bytes:
    """What was given to `checked`. Raises DamageError, naming `what` it was read from, for anything else."""
    packed, check = data[: -_CHECK.size], data[-_CHECK.size :]
    if len(check) != _CHECK.size or _CHECK.unpack(check)[0] != xxh3_64_intdigest(packed):
        raise DamageError(f"{what} fails its checksum")
    return packed
