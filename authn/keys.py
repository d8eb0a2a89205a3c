"""Where identity keeps what in the registry.

identity/<kind>/<id>                                    a record
identity/name/<kind>/<hash of domain and name>          the id of the record that has the name
identity/assignment/project/<id>/user/<id>/<role id>    a user holds a role in a project
identity/revoked/<audit id>                             a token that was given back, and when it would have ended
identity/token-keys                                     the keys that tokens are sealed with
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from authn.records import Kind, R
from store.registry import Span

EVERYTHING: Final = Span.prefix(b"identity/")
TOKEN_KEYS: Final = b"identity/token-keys"


class Assignment(NamedTuple):
    """A user holds a role in a project."""

    user_id: str
    project_id: str
    role_id: str


def record(kind: Kind[R], id_: str) -> bytes:
    return f"identity/{kind.name}/{id_}".encode()


def name(kind: Kind[R], unique_name: tuple[str, str]) -> bytes:
    """Hashed, since names may be longer than keys."""
    digest = hashlib.blake2b("\0".join(unique_name).encode(), digest_size=32).hexdigest()
    return f"identity/name/{kind.name}/{digest}".encode()


def assignment(held: Assignment) -> bytes:
    return f"identity/assignment/project/{held.project_id}/user/{held.user_id}/{held.role_id}".encode()


def assignments(project_id: str, user_id: str) -> Span:
    """All roles that the user holds in the project."""
    return Span.prefix(f"identity/assignment/project/{project_id}/user/{user_id}/".encode())


def revoked(audit_id: str) -> bytes:
    return f"identity/revoked/{audit_id}".encode()
