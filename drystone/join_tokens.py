"""Tokens: what lets somebody become a member, once.

A token is `SECRET-FINGERPRINT`: 128 bits that only who was given it knows, and the first 128 bits of the fingerprint of
the cluster's authority, so that who joins knows whom it talks to. The registry has it under `token/<SHA-256 of the
secret>`, with a lease of as long as it is valid: it goes by itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple

from store.core.codec import Codec
from store.core.entropy import Random
from store.core.errors import InvalidError
from store.registry import Registry
from store.registry.single_key import create
from store.wire.authority import fingerprint

TOKEN_PREFIX: Final = b"token/"
SECRET_BYTES: Final = 16
VALID_SECONDS: Final = 3600
_FINGERPRINT_DIGITS: Final = 32


@dataclass(frozen=True)
class TokenRecord:
    """`name`: the only name under which somebody may join with it; empty: any. A node that has that name already is
    replaced."""

    name: str = ""


TOKEN_CODEC: Final = Codec[TokenRecord](
    "token", 1, lambda token: (token.name,), {1: lambda fields: TokenRecord(fields[0])}
)


class Token(NamedTuple):
    secret: bytes
    fingerprint: str
    """Of the authority: the first half, in hexadecimal."""

    def __str__(self) -> str:
        return f"{self.secret.hex()}-{self.fingerprint}"


def parse_token(text: str) -> Token:
    """Raises InvalidError for what is none."""
    secret, _, printed = text.strip().partition("-")
    try:
        token = Token(bytes.fromhex(secret), printed.lower())
        whole = len(token.secret) == SECRET_BYTES and len(bytes.fromhex(printed)) * 2 == _FINGERPRINT_DIGITS
    except ValueError:
        whole = False
    if not whole:
        raise InvalidError("this is no token: copy the whole line that 'drystone cluster token' prints")
    return token


def is_of_token(authority: bytes, token: Token) -> bool:
    """Whether a certificate, as PEM, is that of the authority which a token names. Raises InvalidError for none."""
    return fingerprint(authority)[:_FINGERPRINT_DIGITS] == token.fingerprint


def token_key(secret: bytes) -> bytes:
    return TOKEN_PREFIX + hashlib.sha256(secret).hexdigest().encode()


async def make_token(registry: Registry, authority: bytes, valid_s: int, random: Random, name: str = "") -> Token:
    """A token that is valid once, for so many seconds. Raises InvalidError for more than a day."""
    secret = random.bytes(SECRET_BYTES)
    lease = await registry.lease(valid_s)
    await create(registry, token_key(secret), TOKEN_CODEC.encode(TokenRecord(name)), lease=lease.id)
    return Token(secret, fingerprint(authority)[:_FINGERPRINT_DIGITS])
