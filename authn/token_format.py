"""What a token holds and how it is sealed. Pure.

A token is a Fernet message without the `=` at its end, so it begins with `gAAAA`. Sealed in it is msgpack. Version 2:
`[2, user, scope, scope's id, methods, expires, user epoch, scope epoch, audit ids, details]`: ids are 16 bytes (of a
directory's users and groups 32), or text where they are no such digits; scope is 0 none, 1 project, 2 domain, 3 system;
methods are bits; `expires` is in whole seconds; details are by number: 1 application credential, 2 trust, 3 access
token, 4 identity provider, protocol and groups, 5 that provider's epoch, 6 groups of a directory, 7 thumbprint of the
client's certificate that the token is bound to. Version 1 is `[1, user, project, methods,
expires, user epoch, project epoch, audit ids]`, the project's id none where there is no scope. When it was issued
stands in Fernet's own timestamp.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack
from cryptography.fernet import InvalidToken, MultiFernet

from authn.keys import DOMAIN_TARGET, PROJECT_TARGET, SYSTEM_TARGET
from authn.rights import UNSCOPED, Scope

METHODS: Final = {
    "password": 1,
    "token": 2,
    "application_credential": 4,
    "totp": 8,
    "mapped": 16,
    "openid": 32,
    "x509": 64,
    "oauth1": 128,
    "saml2": 256,
    "ec2credential": 512,
    "oauth2_credential": 1024,
}
"""The bit of each way to authenticate. Bits are never given out again."""

TOKEN_CHARACTERS_MAX: Final = 8192
VERSION: Final = 2

_SCOPES: Final = ("", PROJECT_TARGET, DOMAIN_TARGET, SYSTEM_TARGET)
_DETAILS: Final = frozenset(range(1, 8))
_UUID: Final = re.compile("(?:[0-9a-f]{32}){1,2}")
"""Of a user or group of a directory: twice as long."""


@dataclass(frozen=True, slots=True)
class Federated:
    """Who said who this is, and the ids of the groups here that they put them into for the token's life."""

    provider_id: str
    protocol_id: str
    group_ids: tuple[str, ...] = ()
    provider_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says. Whether that holds is not for the token to say."""

    user_id: str
    scope: Scope
    methods: frozenset[str]
    issued_s: int
    expires_s: int
    user_epoch: int
    scope_epoch: int
    audit_ids: tuple[str, ...]
    """Its own, and where it was made from a token, that one's first."""
    application_credential_id: str = ""
    trust_id: str = ""
    access_token_id: str = ""
    federated: Federated | None = None
    directory_groups: tuple[str, ...] = ()
    """Ids of the groups of a directory that the user was in when they logged in; of a trust, those of the trustor."""
    bound_to: bytes = b""
    """Thumbprint of the client's certificate without which it is nothing; empty where anybody may carry it."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Ids of the groups that count beside those that are known here to have the user in them."""
        return (*(self.federated.group_ids if self.federated else ()), *self.directory_groups)

    @property
    def is_lent(self) -> bool:
        """Whether it stands for a part of its user's rights: nothing else is made of it."""
        by = self.application_credential_id or self.trust_id or self.access_token_id
        return bool(by) or "ec2credential" in self.methods

    @property
    def concerned(self) -> tuple[str, ...]:
        """The ids of all that it depends on."""
        ids = (
            self.user_id,
            self.scope.id,
            self.audit_ids[0],
            self.application_credential_id,
            self.trust_id,
            self.access_token_id,
        )
        return tuple(id_ for id_ in ids if id_)


def seal(token: Token, sealer: MultiFernet) -> str:
    """The token as clients carry it."""
    federated = token.federated
    details = {
        1: _packed_id(token.application_credential_id),
        2: _packed_id(token.trust_id),
        3: _packed_id(token.access_token_id),
        4: [federated.provider_id, federated.protocol_id, *map(_packed_id, federated.group_ids)] if federated else b"",
        5: federated.provider_epoch if federated else 0,
        6: [_packed_id(id_) for id_ in token.directory_groups],
        7: token.bound_to,
    }
    payload = msgpack.packb(
        [
            VERSION,
            _packed_id(token.user_id),
            _SCOPES.index(token.scope.target),
            _packed_id(token.scope.id),
            sum(METHODS[method] for method in token.methods),
            token.expires_s,
            token.user_epoch,
            token.scope_epoch,
            [base64.urlsafe_b64decode(audit_id + "==") for audit_id in token.audit_ids],
            {number: value for number, value in details.items() if value},
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
    version, *fields = msgpack.unpackb(payload, strict_map_key=False)
    if version == 1:
        user, project, methods, *rest = fields
        fields = [user, 1 if project else 0, project, methods, *rest, {}]
    elif version != VERSION:
        return None  # a newer program sealed it; this one cannot say what it allows
    user, scope, scope_id, methods, expires_s, user_epoch, scope_epoch, audits, details = fields
    if methods & ~sum(METHODS.values()) or scope >= len(_SCOPES) or details.keys() - _DETAILS:
        return None  # the same: what is not known here may come with limits
    return Token(
        user_id=_read_id(user),
        scope=Scope(_SCOPES[scope], _read_id(scope_id)) if scope else UNSCOPED,
        methods=frozenset(method for method, bit in METHODS.items() if methods & bit),
        issued_s=int.from_bytes(head[1:9], "big"),
        expires_s=expires_s,
        user_epoch=user_epoch,
        scope_epoch=scope_epoch,
        audit_ids=tuple(audit_id(raw) for raw in audits),
        application_credential_id=_read_id(details.get(1, b"")),
        trust_id=_read_id(details.get(2, b"")),
        access_token_id=_read_id(details.get(3, b"")),
        federated=_read_federated(details),
        directory_groups=tuple(map(_read_id, details.get(6, ()))),
        bound_to=details.get(7, b""),
    )


def audit_id(raw: bytes) -> str:
    """An audit id as clients see it: 22 characters for 16 bytes."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_federated(details: Mapping[int, Any]) -> Federated | None:
    if 4 not in details:
        return None
    provider_id, protocol_id, *groups = details[4]
    return Federated(provider_id, protocol_id, tuple(map(_read_id, groups)), details.get(5, 0))


def _packed_id(id_: str) -> bytes | str:
    if not id_:
        return b""
    return bytes.fromhex(id_) if _UUID.fullmatch(id_) else id_


def _read_id(packed: Any) -> str:
    return packed.hex() if isinstance(packed, bytes) else str(packed)
