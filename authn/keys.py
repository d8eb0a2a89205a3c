"""Where identity keeps what in the registry.

identity/<kind>/<id>                                                     a record
identity/name/<kind>/<hash of realm and name>                            the id of the record that has the name
identity/name/federated/<hash of provider, protocol and id there>        the id of the user who is meant
identity/assignment/<target>/<id>/<actor>/<id>/<role id>[/inherited]     an actor holds a role in a target
identity/link/<kind>/<id>/<id>                                           two records belong together
identity/revoked/<audit id>                                              a token given back, and its end
identity/token-keys                                                      the keys that tokens are sealed with
identity/credential-keys                                                 the keys that secrets are sealed with

A target is a project, a domain or the system (whose id is `all`), an actor a user or a group. Ids are as URLs carry
them, percent-encoded: some are chosen by clients.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from authn.records import Kind
from store.registry import Span

EVERYTHING: Final = Span.prefix(b"identity/")
TOKEN_KEYS: Final = b"identity/token-keys"
CREDENTIAL_KEYS: Final = b"identity/credential-keys"

USER_ACTOR, GROUP_ACTOR = "user", "group"
PROJECT_TARGET, DOMAIN_TARGET, SYSTEM_TARGET = "project", "domain", "system"
SYSTEM_ID: Final = "all"

MEMBER: Final = "member"
"""The link of a group and a user who is in it."""
ENDPOINT_OF_PROJECT: Final = "project-endpoint"
"""The link of a project and an endpoint that it is told of."""
ENDPOINT_GROUP_OF_PROJECT: Final = "project-endpoint-group"
"""The link of a project and a group of endpoints that it is told of."""


class Assignment(NamedTuple):
    """An actor holds a role in a target; or, where it is inherited, in every project below the target."""

    actor_id: str
    target_id: str
    role_id: str
    actor: str = USER_ACTOR
    target: str = PROJECT_TARGET
    inherited: bool = False


class Link(NamedTuple):
    """Two records belong together; which comes first is a matter of the kind."""

    kind: str
    one: str
    other: str


def record(kind: Kind[Any], id_: str) -> bytes:
    return f"identity/{kind.name}/{quote(id_, safe='')}".encode()


def name(kind: Kind[Any], unique_name: tuple[str, str]) -> bytes:
    """Hashed, since names may be longer than keys."""
    return f"identity/name/{kind.name}/{_hashed(unique_name)}".encode()


def federated(held: tuple[str, str, str]) -> bytes:
    """Of an identity provider, a protocol, and the id there."""
    return f"identity/name/federated/{_hashed(held)}".encode()


def assignment(held: Assignment) -> bytes:
    last = "/inherited" if held.inherited else ""
    return (
        f"identity/assignment/{held.target}/{held.target_id}/{held.actor}/{held.actor_id}/{held.role_id}{last}".encode()
    )


def assignments(target: str, target_id: str, actor: str, actor_id: str) -> Span:
    """All roles that the actor holds in the target."""
    return Span.prefix(f"identity/assignment/{target}/{target_id}/{actor}/{actor_id}/".encode())


def link(held: Link) -> bytes:
    return f"identity/link/{held.kind}/{quote(held.one, safe='')}/{quote(held.other, safe='')}".encode()


def links(kind: str, one: str) -> Span:
    """All that belong to `one`."""
    return Span.prefix(f"identity/link/{kind}/{quote(one, safe='')}/".encode())


def revoked(audit_id: str) -> bytes:
    return f"identity/revoked/{audit_id}".encode()


def _hashed(names: Iterable[str]) -> str:
    return hashlib.blake2b("\0".join(names).encode(), digest_size=32).hexdigest()
