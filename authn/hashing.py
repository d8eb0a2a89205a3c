"""Passwords under a memory-hard hash, worked out in threads, few at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import argon2
import trio

from store.core.errors import BusyError, InvalidError

PASSWORD_CHARACTERS_MAX: Final = 4096

WAITING_MAX: Final = 64
"""Callers in line for a hash; at the usual cost and two at once, the last of them waits under two seconds."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one hash costs. The usual: about 50 ms of one core and 32 MiB."""

    memory_kib: int = 32 * 1024
    passes: int = 2
    at_once: int = 2


CHEAP: Final = HashCost(memory_kib=8, passes=1)
"""For tests: no protection at all."""


class PasswordHasher:
    """Argon2id. Memory is bounded by `at_once` hashes, time by a line that is not let grow."""

    def __init__(self, cost: HashCost | None = None) -> None:
        cost = cost or HashCost()
        self._argon2 = argon2.PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1)
        self._limiter = trio.CapacityLimiter(cost.at_once)
        # Verified in place of a user's who does not exist or has no password, so that the answer takes as long.
        self._nobody = self._argon2.hash("nobody")

    async def hash(self, password: str) -> str:
        """The hash to store, with its parameters and salt in it. Raises InvalidError for what is no password."""
        check_password(password)
        self._require_room()
        return await trio.to_thread.run_sync(self._argon2.hash, password, limiter=self._limiter)

    async def verify(self, hashed: str, password: str) -> bool:
        """Whether it is the password; never with an empty `hashed`, but no sooner. Raises BusyError when many wait."""
        self._require_room()
        same = await trio.to_thread.run_sync(self._verify, hashed or self._nobody, password, limiter=self._limiter)
        return same and bool(hashed)

    def is_outdated(self, hashed: str) -> bool:
        """Whether it was made at another cost than today's."""
        return self._argon2.check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._argon2.verify(hashed, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, UnicodeEncodeError):
            return False

    def _require_room(self) -> None:
        if self._limiter.statistics().tasks_waiting >= WAITING_MAX:
            raise BusyError("too many logins at once")


def check_password(password: str) -> None:
    """Raises InvalidError for a password that cannot be set."""
    if not 1 <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise InvalidError(f"A password has 1 to {PASSWORD_CHARACTERS_MAX} characters.")
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise InvalidError("The password is no text.") from error
