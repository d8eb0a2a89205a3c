"""Account access lists: `X-Account-Access-Control`, a JSON object that gives others a whole account.

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
from gateway.swift import acl
from gateway.swift.errors import PLAIN, RefusedError
from gateway.swift.request import Request

HEADER = "x-account-access-control"


class Level(IntEnum):
    """What somebody may do in an account that is not theirs; each level has what the one before has."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


_KEYS = {"admin": Level.ADMIN, "read-write": Level.WRITE, "read-only": Level.READ}


def clean(value: str) -> str | None:
    """The list in its one stored spelling, None where it gives nothing to anybody. Raises acl.AclError."""
    if not value:
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise acl.AclError(f"Syntax error in input ({value!r})")
    for key, members in found.items():
        if key not in _KEYS:
            raise acl.AclError(f"Key {json.dumps(key)} not recognized")
        if not isinstance(members, list):
            raise acl.AclError(f"Value for key {json.dumps(key)} must be a list")
        if not all(isinstance(member, str) for member in members):
            raise acl.AclError(f"Elements of {json.dumps(key)} list must be strings")
    if not any(found.values()):
        return None
    return json.dumps(found, separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=1024)
def _parse(stored: str) -> tuple[tuple[Level, acl.Acl], ...]:
    found: dict[str, Any] = json.loads(stored)
    return tuple((level, acl.Acl((), frozenset(found.get(key, ())))) for key, level in _KEYS.items())


def level(stored: str | None, identity: Identity, accounts: Sequence[str] = ()) -> Level:
    """What a stored list gives this user, who owns these accounts."""
    if not stored:
        return Level.NONE
    return next((level for level, members in _parse(stored) if members.admits_user(identity, accounts)), Level.NONE)


def change(request: Request) -> dict[str, str | None]:
    """The list that a request sends, ready to be kept. Raises RefusedError (400)."""
    value = request.header(HEADER.encode())
    if value is None:
        return {}
    try:
        return {HEADER: clean(value)}
    except acl.AclError as error:
        text = f"X-Account-Access-Control invalid: {error}\n\nInput: {value}\n"
        raise RefusedError(400, text, kind=PLAIN) from error
