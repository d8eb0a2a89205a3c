"""The SHA-256 of each block of a volume, as a backup keeps them: what changed since is told by them.

The document is JSON in stock cinder's form. It has one hash for each block, so it is written and read in pieces.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from hashlib import sha256
from typing import Any, Final

from store.core.errors import InvalidError
from store.objects.interface import Buffer

DIGEST: Final = 32
BLOCK: Final = 32 * 1024
"""Bytes, as stock cinder's default."""
BLOCK_MAX: Final = 2 * 1024 * 1024
COUNT_MAX: Final = 1 << 22
"""Hashes that are wanted: larger volumes have larger blocks."""
READ_MAX: Final = 1 << 25
"""Hashes that are read at most: they are in memory."""
A_PIECE: Final = 8192
_BEGIN: Final = re.compile(rb'"sha256s":\s*\[')
_CHUNK: Final = re.compile(rb'"chunk_size":\s*([0-9]{1,10})')
_HASH: Final = re.compile(rb'\s*,?\s*"([0-9a-f]{64})"')
_HEAD_MAX: Final = 1024 * 1024


@cache
def zeros_digest(block: int) -> bytes:
    """Of a block of zeros."""
    return sha256(bytes(block)).digest()


def block_of(size: int) -> int:
    """The bytes of a block of a volume of this size."""
    block = BLOCK
    while size // block > COUNT_MAX and block < BLOCK_MAX:
        block *= 2
    return block


class Hashes:
    """Of the blocks of a volume, from the first on."""

    def __init__(self, block: int) -> None:
        self.block = block
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._digests) // DIGEST

    def add(self, digests: bytes | bytearray) -> None:
        """Of the next blocks, one behind another."""
        self._digests += digests

    def span(self, first: int, count: int) -> bytearray:
        """Of so many blocks, one behind another; behind the last all are zeros."""
        found = self._digests[first * DIGEST : (first + count) * DIGEST]
        return found + zeros_digest(self.block) * (count - len(found) // DIGEST)

    def document(self, about: Mapping[str, Any]) -> Iterator[bytes]:
        """As it is stored, in pieces, with what else is said of the backup."""
        yield json.dumps({**about, "chunk_size": self.block})[:-1].encode() + b', "sha256s": ['
        for first in range(0, len(self), A_PIECE):
            some = range(first, min(first + A_PIECE, len(self)))
            held = self.span(first, len(some))
            comma = ", " if first else ""
            yield (comma + ", ".join(f'"{one.hex()}"' for one in split(held))).encode()
        yield b"]}"


def split(digests: bytes | bytearray) -> list[bytes]:
    """Those that lie one behind another."""
    return [bytes(digests[at : at + DIGEST]) for at in range(0, len(digests), DIGEST)]


async def read_hashes(pieces: AsyncIterator[Buffer]) -> Hashes:
    """What `document` or stock cinder wrote. Raises InvalidError."""
    wrong = InvalidError("The hashes of the backup cannot be read.")
    text = bytearray()
    hashes: Hashes | None = None
    ended = False
    async for piece in pieces:
        text += piece
        if hashes is None:
            begin, chunk = _BEGIN.search(text), _CHUNK.search(text)
            if begin is None or chunk is None:
                if len(text) > _HEAD_MAX:
                    raise wrong
                continue
            hashes = Hashes(_checked(int(chunk[1])))
            del text[: begin.end()]
        at = 0
        while not ended and (found := _HASH.match(text, at)) is not None:
            hashes.add(bytes.fromhex(found[1].decode()))
            at = found.end()
        del text[:at]
        ended = ended or text.lstrip().startswith(b"]")
        if len(hashes) > READ_MAX or (not ended and len(text) > 2 * DIGEST + _HEAD_MAX):
            raise wrong
    if hashes is None or not ended:
        raise wrong
    return hashes


def _checked(block: int) -> int:
    if block % 4096 or not 4096 <= block <= BLOCK_MAX:
        raise InvalidError(f"The hashes of the backup are of blocks of {block} bytes, which are not supported.")
    return block
