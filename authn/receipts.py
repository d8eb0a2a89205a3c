"""Receipts: what somebody has shown of themselves so far, where their rules ask for more.

A Fernet message like a token, of msgpack `["receipt", user, methods, user epoch, issued]`; it is no token to whoever
opens it as one. It holds for five minutes, and no longer than the user's password does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgpack
from cryptography.fernet import InvalidToken, MultiFernet

from authn.records import User
from store.core.clock import Clock

RECEIPT_SECONDS: Final = 300
CHARACTERS_MAX: Final = 2048

_MARK: Final = "receipt"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Times are in whole seconds since the epoch."""

    user_id: str
    methods: frozenset[str]
    issued_s: int

    @property
    def expires_s(self) -> int:
        return self.issued_s + RECEIPT_SECONDS


class Receipts:
    """Sealed with the keys of tokens; nothing is stored."""

    def __init__(self, sealer: Callable[[], MultiFernet], clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    def issue(self, user: User, methods: frozenset[str]) -> tuple[str, Receipt]:
        """A receipt, sealed, for a user who has shown this much."""
        receipt = Receipt(user.id, methods, self._now_s())
        payload = msgpack.packb([_MARK, user.id, sorted(methods), user.epoch, receipt.issued_s])
        return self._sealer().encrypt(payload).decode().rstrip("="), receipt

    def read(self, sealed: str, user: User) -> Receipt | None:
        """What the user has shown before; None where the receipt does not hold, or is another's."""
        if not sealed.isascii() or len(sealed) > CHARACTERS_MAX:
            return None
        padded = sealed + "=" * (-len(sealed) % 4)
        try:
            payload = self._sealer().decrypt(padded)
        except InvalidToken:
            return None
        mark, *fields = msgpack.unpackb(payload, strict_map_key=False)
        if mark != _MARK:
            return None
        user_id, methods, epoch, issued_s = fields
        receipt = Receipt(user_id, frozenset(methods), issued_s)
        if user_id != user.id or epoch != user.epoch or receipt.expires_s <= self._now_s():
            return None
        return receipt

    def _now_s(self) -> int:
        return self._clock.wall_us() // 1_000_000
