"""Passwords under a memory-hard hash, worked out in threads, few at a time, and everybody in their fair turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import argon2
import trio

from authn.fair_line import Caller, FairLine
from store.core.errors import InvalidError

PASSWORD_CHARACTERS_MAX: Final = 4096

WAITING_MAX: Final = 64
"""Strangers in line for a hash, and familiar ones in theirs; at the usual cost and two at once, the last of a line has
waited under two seconds, with both lines full under seven."""


def known_caller(name: str = "") -> Caller:
    """Somebody who has shown who they are before, and is to have a new hash. `name`: whose share it is, so that no user
    who has many made keeps out administrators, or other users."""
    return Caller("", name, familiar=True)


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one hash costs. The usual: about 50 ms of one core and 32 MiB."""

    memory_kib: int = 32 * 1024
    passes: int = 2
    at_once: int = 2


CHEAP: Final = HashCost(memory_kib=8, passes=1)
"""For tests: no protection at all."""


class PasswordHasher:
    """Argon2id. Memory is bounded by `at_once` hashes, time by a line that is not let grow.

    Whoever verifies has a turn of `line` for it, so that what is known of them can be looked at again when it comes.
    """

    def __init__(self, cost: HashCost | None = None) -> None:
        cost = cost or HashCost()
        self._argon2 = argon2.PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1)
        self._limiter = trio.CapacityLimiter(cost.at_once)
        self.line = FairLine(cost.at_once, WAITING_MAX)
        # Verified in place of a user's who does not exist or has no password, so that the answer takes as long.
        self._nobody = self._argon2.hash("nobody")

    async def hash(self, password: str, *, whose: str = "") -> str:
        """The hash to store, with its parameters and salt in it. `whose`: the user at whose wish, "" for others. Raises
        InvalidError for what is no password, BusyError where many wait."""
        check_password(password)
        async with self.line.turn(known_caller(whose)):
            return await trio.to_thread.run_sync(self._argon2.hash, password, limiter=self._limiter)

    async def verify(self, hashed: str, password: str) -> bool:
        """Whether it is the password; never with an empty `hashed`, but no sooner."""
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


def check_password(password: str) -> None:
    """Raises InvalidError for a password that cannot be set."""
    if not 1 <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise InvalidError(f"A password has 1 to {PASSWORD_CHARACTERS_MAX} characters.")
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise InvalidError("The password is no text.") from error
