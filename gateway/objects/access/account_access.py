"""Account access lists: a JSON object that gives others a whole account. Pure.

`admin` is given all that an operator of the account has, `read-write` its containers and objects, `read-only` a look
at everything; nobody but an admin is shown what is secret. Each is a list of `project:user` (ids or names), a
project's id or an account.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

from authn.identity import Identity
from gateway.objects.access.access_list import AccessList


class Level(IntEnum):
    """What somebody may do in an account that is not theirs; each level has what the one before has."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


KEYS = {"admin": Level.ADMIN, "read-write": Level.WRITE, "read-only": Level.READ}


@lru_cache(maxsize=1024)
def _parse(stored: str) -> tuple[tuple[Level, AccessList], ...]:
    found: dict[str, Any] = json.loads(stored)
    return tuple((level, AccessList((), frozenset(found.get(key, ())))) for key, level in KEYS.items())


def level(stored: str | None, identity: Identity, accounts: Sequence[str] = ()) -> Level:
    """What a stored list gives this user, who owns these accounts."""
    if not stored:
        return Level.NONE
    return next((level for level, members in _parse(stored) if members.admits_user(identity, accounts)), Level.NONE)
