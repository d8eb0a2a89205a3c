"""What the trash keeps of a volume: a row of the container `trash` in the account of volumes, by the volume's id in
hexadecimal. So volumes of one name are told apart, and a name is free as soon as its volume is in the trash.

    payload  msgpack [1, name, deleted, goes]

`name` is what the volume was called. Times are microseconds since the Unix epoch: it was deleted then, and is not kept
longer than until then.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgpack

from store.core.codec import unknown_version
from store.core.errors import DamageError

TRASH: Final = "trash"
VERSION: Final = 1


class Trashed(NamedTuple):
    """A volume in the trash."""

    name: str
    deleted_us: int
    goes_us: int

    def encode(self) -> bytes:
        packed: bytes = msgpack.packb((VERSION, *self))
        return packed

    @classmethod
    def decode(cls, packed: bytes | bytearray | memoryview) -> Trashed:
        """Raises DamageError where that is none, NewerError where a newer program wrote it."""
        try:
            fields = msgpack.unpackb(packed)
            if fields[0] != VERSION:
                raise unknown_version("volume in the trash", fields[0], (VERSION,))
            return cls(*fields[1:])
        except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
            raise DamageError(f"what the trash has of a volume is not of a known form: {error}") from error
