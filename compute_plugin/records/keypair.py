"""Key pairs: what servers let people in by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.tables.record_codec import record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Of a user. The private key is told once, to whoever had it made, and kept nowhere."""

    id: str
    """`keypair_id` of the user and the name."""
    number: int
    """As clients see ids of key pairs."""
    user_id: str
    name: str
    type: str
    """`ssh` or `x509`."""
    public_key: str
    fingerprint: str
    created_us: int


def keypair_id(user_id: str, name: str) -> str:
    """Names are any text, also with a slash."""
    return f"{user_id}/{name}"


KEYPAIR_CODEC: Final = record_codec("key pair", KeyPair)
