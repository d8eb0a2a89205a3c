"""What a token holds and how it is sealed. Pure.

A token is a Fernet message without the `=` at its end, so it begins with `gAAAA`. Sealed in it is msgpack
`[1, user, project, methods, expires, user epoch, project epoch, audit ids]`: ids are 16 bytes, the project's none where
there is no scope; methods are bits; `expires` is in whole seconds. When it was issued stands in Fernet's own timestamp.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

import msgpack
from cryptography.fernet import InvalidToken, MultiFernet

METHODS: Final = {"password": 1, "token": 2}
"""The bit of each way to authenticate. Bits are never given out again."""

TOKEN_CHARACTERS_MAX: Final = 255
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says. Whether that holds is not for the token to say."""

    user_id: str
    project_id: str
    methods: frozenset[str]
    issued_s: int
    expires_s: int
    user_epoch: int
    project_epoch: int
    audit_ids: tuple[str, ...]
    """Its own, and where it was made from a token, that one's first."""


def seal(token: Token, sealer: MultiFernet) -> str:
    """The token as clients carry it."""
    payload = msgpack.packb(
        [
            VERSION,
            bytes.fromhex(token.user_id),
            bytes.fromhex(token.project_id),
            sum(METHODS[method] for method in token.methods),
            token.expires_s,
            token.user_epoch,
            token.project_epoch,
            [base64.urlsafe_b64decode(audit_id + "==") for audit_id in token.audit_ids],
        ]
    )
    return sealer.encrypt_at_time(payload, token.issued_s).decode().rstrip("=")


def unseal(sealed: str, sealer: MultiFernet) -> Token | None:
    """What the token says; None where it is none of ours."""
    if not sealed.isascii() or len(sealed) > TOKEN_CHARACTERS_MAX:
        return None
    padded = sealed + "=" * (-len(sealed) % 4)
    try:
        payload = sealer.decrypt(padded)
        head = base64.urlsafe_b64decode(padded[:12])
    except (InvalidToken, binascii.Error, ValueError):
        return None
    version, *fields = msgpack.unpackb(payload)
    if version != VERSION:
        return None  # a newer program sealed it; this one cannot say what it allows
    user, project, methods, expires_s, user_epoch, project_epoch, audits = fields
    if methods & ~sum(METHODS.values()):
        return None  # the same: a way to authenticate may come with limits that are not known here
    return Token(
        user_id=user.hex(),
        project_id=project.hex(),
        methods=frozenset(method for method, bit in METHODS.items() if methods & bit),
        issued_s=int.from_bytes(head[1:9], "big"),
        expires_s=expires_s,
        user_epoch=user_epoch,
        project_epoch=project_epoch,
        audit_ids=tuple(audit_id(raw) for raw in audits),
    )


def audit_id(raw: bytes) -> str:
    """An audit id as clients see it: 22 characters for 16 bytes."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
