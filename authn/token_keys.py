"""The keys that tokens are sealed with, and their rotation.

A key is first staged: every process can open tokens sealed with it before any process seals with it. Then it is
primary and seals. Then it is secondary and only opens, until enough younger keys have come.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from cryptography.fernet import Fernet, MultiFernet

from authn import keys
from store.core.codec import Codec
from store.core.entropy import Random
from store.core.errors import ConflictError
from store.registry import Compare, Put, Registry

STAGED: Final = 0
"""The number of the staged key; the highest number is primary, those between are secondary."""

ACTIVE_KEYS_MIN: Final = 3
"""Staged, primary, and one secondary: fewer would end all tokens at every rotation."""


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Keys by number, each 32 bytes: 16 sign, 16 encrypt."""

    by_number: dict[int, bytes]

    def sealer(self) -> MultiFernet:
        """Seals with the primary, opens with all."""
        numbers = sorted(self.by_number, reverse=True)
        return MultiFernet([Fernet(base64.urlsafe_b64encode(self.by_number[number])) for number in numbers])

    def rotated(self, fresh: bytes, active: int) -> TokenKeys:
        """The staged key becomes primary, `fresh` is staged, and of the oldest all above `active` keys go."""
        primary = max(self.by_number) + 1
        by_number = {**self.by_number, primary: self.by_number[STAGED], STAGED: fresh}
        for number in sorted(set(by_number) - {STAGED})[: max(0, len(by_number) - active)]:
            del by_number[number]
        return TokenKeys(by_number)


def _read(fields: Any) -> TokenKeys:
    (pairs,) = fields
    return TokenKeys(dict(pairs))


CODEC: Final = Codec[TokenKeys]("token keys", 1, lambda held: [sorted(held.by_number.items())], {1: _read})


async def ensure(registry: Registry, random: Random) -> bool:
    """Makes the first two keys, staged and primary, where there are none. Whether it did."""
    first = CODEC.encode(TokenKeys({STAGED: random.bytes(32), STAGED + 1: random.bytes(32)}))
    result = await registry.transact([Compare.absent(keys.TOKEN_KEYS)], [Put(keys.TOKEN_KEYS, first)])
    return result.succeeded


async def rotate(registry: Registry, random: Random, *, active: int = ACTIVE_KEYS_MIN) -> TokenKeys:
    """Rotates once; `active` keys are kept, staged and primary among them.

    A token opens as long as the key that sealed it is kept: rotate no more often than every lifetime of a token divided
    by `active` - 2. Raises ConflictError where there are no keys yet, or another rotated at the same time.
    """
    item = await registry.get(keys.TOKEN_KEYS)
    if item is None:
        raise ConflictError("there are no token keys yet")
    after = CODEC.decode(item.value).rotated(random.bytes(32), max(active, ACTIVE_KEYS_MIN))
    put = Put(keys.TOKEN_KEYS, CODEC.encode(after))
    if not (await registry.transact([Compare.unchanged(keys.TOKEN_KEYS, item.mod_revision)], [put])).succeeded:
        raise ConflictError("another rotated the token keys at the same time")
    return after
