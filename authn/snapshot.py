"""Identity's part of the registry as dictionaries: what every question is answered from. Pure; `directory` feeds it.

What is stored in a form that is not known here, by a newer program, gives nobody any right: the record is not there for
whoever looks for it, and refused in plain words to whoever needs it. Everything else works on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from authn import token_keys
from authn.errors import UnreadableError
from authn.keys import Assignment
from authn.records import (
    DOMAIN,
    ENDPOINT,
    PROJECT,
    ROLE,
    SERVICE,
    USER,
    Domain,
    Endpoint,
    Kind,
    Project,
    R,
    Role,
    Service,
    User,
)
from authn.token_keys import TokenKeys
from store.core.codec import Codec
from store.core.errors import DamageError, NotFoundError

ASSIGNMENT_CODEC: Final = Codec[None]("role assignment", 1, lambda _: (), {1: lambda _: None})
REVOKED_CODEC: Final = Codec[int](
    "revoked token", 1, lambda expires_s: (expires_s,), {1: lambda fields: int(fields[0])}
)

FOREVER_S: Final = 1 << 62
"""The end of a token that was given back, where it cannot be read when that is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """Whom a change of the registry concerns: the ids of users, projects or tokens (audit ids); None: everybody."""

    concerns: str | None


class Table(Generic[R]):
    """The records of one kind, by id and by name."""

    def __init__(self, kind: Kind[R], noun: str) -> None:
        self.kind = kind
        self._noun = noun
        self._by_id: dict[str, R] = {}
        self._by_name: dict[tuple[str, str], R] = {}
        self._unreadable: dict[str, str] = {}

    def __iter__(self) -> Iterator[R]:
        return iter(self._by_id.values())

    def get(self, id_: str) -> R | None:
        return self._by_id.get(id_)

    def is_unreadable(self, id_: str) -> bool:
        """Whether there is a record that cannot be read here."""
        return id_ in self._unreadable

    def named(self, unique_name: tuple[str, str]) -> R | None:
        return self._by_name.get(unique_name)

    def require(self, id_: str) -> R:
        """The record. Raises NotFoundError; UnreadableError for one that cannot be read here."""
        found = self._by_id.get(id_)
        if found is None:
            why = self._unreadable.get(id_)
            if why is not None:
                raise UnreadableError(f"The {self._noun} {id_} cannot be used here: {why}")
            raise NotFoundError(f"Could not find {self._noun}: {id_}.")
        return found

    def store(self, id_: str, after: R | None, why: str = "") -> None:
        """Take in what the registry has, None where it has nothing; with `why` nothing that can be read."""
        before = self._by_id.pop(id_, None)
        if before is not None and before.unique_name is not None and self._by_name.get(before.unique_name) is before:
            del self._by_name[before.unique_name]
        self._unreadable.pop(id_, None)
        if why:
            self._unreadable[id_] = why
        if after is None:
            return
        self._by_id[id_] = after
        if after.unique_name is not None:
            self._by_name[after.unique_name] = after


class IdentitySnapshot:
    """Everything at one revision of the registry, and what was written here since."""

    def __init__(self) -> None:
        self.domains: Table[Domain] = Table(DOMAIN, "domain")
        self.projects: Table[Project] = Table(PROJECT, "project")
        self.users: Table[User] = Table(USER, "user")
        self.roles: Table[Role] = Table(ROLE, "role")
        self.services: Table[Service] = Table(SERVICE, "service")
        self.endpoints: Table[Endpoint] = Table(ENDPOINT, "endpoint")
        self.token_keys: TokenKeys | None = None
        self.revoked: dict[str, int] = {}
        self.revisions: dict[bytes, int] = {}
        self.unreadable: dict[bytes, str] = {}
        """Why, by key, what is stored cannot be used here."""
        self._held: dict[str, dict[str, set[str]]] = {}

    def revision(self, key: bytes) -> int:
        """Where the key was last put, 0 where it is not."""
        return self.revisions.get(key, 0)

    def apply(self, key: bytes, value: bytes | None, revision: int) -> Change | None:
        """Take in one change, None for a deletion. Whom it concerns; None where nobody's rights depend on it."""
        if value is None:
            self.revisions.pop(key, None)
        else:
            self.revisions[key] = revision
        self.unreadable.pop(key, None)
        parts = key.decode().split("/")[1:]
        match parts:
            case ["domain", id_]:
                self._store(self.domains, id_, key, value)
                return Change(None)
            case ["project", id_]:
                self._store(self.projects, id_, key, value)
                return Change(id_)
            case ["user", id_]:
                self._store(self.users, id_, key, value)
                return Change(id_)
            case ["role", id_]:
                self._store(self.roles, id_, key, value)
                return Change(None)
            case ["service", id_]:
                self._store(self.services, id_, key, value)
                return None
            case ["endpoint", id_]:
                self._store(self.endpoints, id_, key, value)
                return None
            case ["name", _, _]:
                return None  # only transactions look at these
            case ["assignment", "project", project_id, "user", user_id, role_id]:
                self._assign(Assignment(user_id, project_id, role_id), key, value)
                return Change(user_id)
            case ["revoked", audit_id]:
                self._revoke(audit_id, key, value)
                return Change(audit_id)
            case ["token-keys"]:
                self.token_keys = self._read(token_keys.CODEC, key, value)
                return Change(None)
        if value is not None:
            self.unreadable[key] = "no key of identity is known to be so; a newer program wrote it"
        return None

    def _read(self, codec: Codec[T], key: bytes, value: bytes | None) -> T | None:
        """The value; None where there is none, or none that is known here."""
        if value is None:
            return None
        try:
            return codec.decode(value)
        except DamageError as error:
            self.unreadable[key] = str(error)
            return None

    def _store(self, table: Table[R], id_: str, key: bytes, value: bytes | None) -> None:
        table.store(id_, self._read(table.kind.codec, key, value), self.unreadable.get(key, ""))

    def _assign(self, held: Assignment, key: bytes, value: bytes | None) -> None:
        self._read(ASSIGNMENT_CODEC, key, value)
        if value is not None and key not in self.unreadable:
            self._held.setdefault(held.user_id, {}).setdefault(held.project_id, set()).add(held.role_id)
            return
        projects = self._held.get(held.user_id, {})
        roles = projects.get(held.project_id, set())
        roles.discard(held.role_id)
        if not roles:
            projects.pop(held.project_id, None)
        if not projects:
            self._held.pop(held.user_id, None)

    def _revoke(self, audit_id: str, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.revoked.pop(audit_id, None)
        else:
            expires_s = self._read(REVOKED_CODEC, key, value)
            self.revoked[audit_id] = FOREVER_S if expires_s is None else expires_s

    # -- questions -----------------------------------------------------------------------------------------------

    def assignments(self, *, user_id: str | None = None, project_id: str | None = None) -> Iterator[Assignment]:
        """Who holds what where. What names a record that is gone is not told: ids never come back."""
        users = list(self._held) if user_id is None else [user_id]
        for user in users:
            if self.users.get(user) is None:
                continue
            for project, roles in self._held.get(user, {}).items():
                if project_id in (None, project) and self.projects.get(project) is not None:
                    yield from (Assignment(user, project, role) for role in sorted(roles) if self.roles.get(role))

    def roles_of(self, user_id: str, project_id: str) -> list[Role]:
        """The roles held in the project and those that they imply, in the order of their names."""
        found: dict[str, Role] = {}
        waiting = list(self._held.get(user_id, {}).get(project_id, ()))
        while waiting:
            role = self.roles.get(waiting.pop())
            if role is not None and role.id not in found:
                found[role.id] = role
                waiting += role.implies
        return sorted(found.values(), key=lambda role: role.name)

    def projects_of(self, user_id: str) -> list[Project]:
        """The enabled projects that the user has a role in."""
        found = (self.projects.get(project_id) for project_id in self._held.get(user_id, {}))
        return [project for project in found if project is not None and project.enabled]

    def domain_enabled(self, domain_id: str) -> bool:
        domain = self.domains.get(domain_id)
        return domain is not None and domain.enabled
