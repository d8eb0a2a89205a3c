"""A provider's public keys, and what is signed with one of them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from authn.errors import UnauthorizedError

KEYS_MAX: Final = 64
RSA_BITS_MIN: Final = 2048
TOKEN_CHARACTERS_MAX: Final = 32 * 1024
_HEADER_BYTES_MAX: Final = 16 * 1024

_FITTING: Final[Mapping[str, tuple[str, str]]] = {
    **{f"{family}{bits}": ("RSA", "") for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Every algorithm that is taken, with the type and curve of its keys. With none of them can a public key be a secret
that is shared, and `none` is none of them."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says of its own signature."""

    algorithm: str
    key_id: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    key_id: str
    algorithm: str
    """"": any that fits."""
    key: RSAKey | ECKey | OKPKey

    def fits(self, algorithm: str) -> bool:
        kind, curve = _FITTING[algorithm]
        key = self.key
        own_curve = "" if isinstance(key, RSAKey) else key.curve_name
        return key.key_type == kind and curve == own_curve and self.algorithm in ("", algorithm)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """A set of keys, as of one moment."""

    keys: tuple[SigningKey, ...]

    def knows(self, header: Header) -> bool:
        """Whether it has the key that the token names."""
        return bool(header.key_id) and any(key.key_id == header.key_id for key in self.keys)

    def claims(self, token: str, header: Header) -> dict[str, Any]:
        """What the token says, once one of the keys has shown it genuine. Raises UnauthorizedError."""
        for key in self.keys:
            if header.key_id and key.key_id != header.key_id:
                continue
            payload = _verified(token, header.algorithm, key) if key.fits(header.algorithm) else None
            if payload is not None:
                return _object(payload)
        raise UnauthorizedError("The token is signed with no key of the identity provider.")


def parse_keys(body: Mapping[str, Any]) -> SigningKeys:
    """A set of keys (RFC 7517). What is no public key for signatures of a kind known here is passed over."""
    told = body.get("keys")
    entries = told[:KEYS_MAX] if isinstance(told, list) else []
    return SigningKeys(tuple(key for entry in entries if (key := _parse_key(entry)) is not None))


def parse_header(token: str) -> Header | None:
    """The header of a JWT that is signed; None for what has not that form. Raises UnauthorizedError where the form is
    right, but the algorithm is none that is taken."""
    if token.count(".") != 2 or len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
        return None
    try:
        header = jws.extract_compact(token.encode(), registry=_registry()).headers()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(key_id, str):
        return None
    if algorithm not in _FITTING:
        raise UnauthorizedError("The token is signed in a way that is not taken.")
    return Header(algorithm, key_id)


def _parse_key(entry: Any) -> SigningKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        if entry.get("kty") == "RSA" and _bits(entry["n"]) < RSA_BITS_MIN:
            return None
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if not isinstance(key, RSAKey | ECKey | OKPKey):
        return None
    key_id, algorithm = entry.get("kid", ""), entry.get("alg", "")
    if not isinstance(key_id, str) or not isinstance(algorithm, str):
        return None
    return SigningKey(key_id, "Ed25519" if algorithm == "EdDSA" else algorithm, key)


def _bits(encoded: str) -> int:
    """Of a number as JWK writes it. Raises ValueError or TypeError."""
    return int.from_bytes(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), "big").bit_length()


def _verified(token: str, algorithm: str, key: SigningKey) -> bytes | None:
    try:
        return jws.deserialize_compact(token, key.key, registry=_registry()).payload
    except (JoseError, ValueError, TypeError):
        return None


def _registry() -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=list(_FITTING), strict_check_header=False)
    registry.max_header_length = _HEADER_BYTES_MAX  # some send their certificates along
    return registry


def _object(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnauthorizedError("The token holds no JSON.") from error
    if not isinstance(claims, dict):
        raise UnauthorizedError("The token holds no JSON object.")
    return claims


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
