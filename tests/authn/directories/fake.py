"""A directory in memory, which tests change and break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from authn.backends.backend import (
    LISTED,
    DirectoryAwayError,
    DirectoryGroup,
    DirectoryUser,
    IdentityBackend,
    Listed,
)
from authn.backends.public_id import public_id

ADDRESS = "ldap://10.9.8.7:389"
"""Of every directory here; nobody but those who look after it may learn it."""


@dataclass
class FakeDirectory:
    """What is in it. Names are compared without regard to case, as directories do."""

    domain_id: str
    users: dict[str, DirectoryUser] = field(default_factory=dict)
    groups: dict[str, DirectoryGroup] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    away: bool = False
    asked: Counter[str] = field(default_factory=Counter)

    def add(self, local_id: str, name: str, password: str = "") -> DirectoryUser:
        user = DirectoryUser(local_id, public_id(self.domain_id, "user", local_id), name)
        self.users[local_id] = user
        self.passwords[local_id] = password
        return user

    def group(self, local_id: str, name: str, *members: str) -> DirectoryGroup:
        group = DirectoryGroup(local_id, public_id(self.domain_id, "group", local_id), name)
        self.groups[local_id] = group
        self.members[local_id] = set(members)
        return group

    def disable(self, local_id: str) -> None:
        self.users[local_id] = replace(self.users[local_id], enabled=False)


class FakeBackend:
    """An IdentityBackend over it, with the options it was opened with."""

    def __init__(self, directory: FakeDirectory, options: Mapping[str, object]) -> None:
        self._directory = directory
        self.options = dict(options)
        self.closed = False

    def _ask(self, question: str) -> FakeDirectory:
        self._directory.asked[question] += 1
        if self._directory.away:
            raise DirectoryAwayError(f"{ADDRESS}: refused")
        return self._directory

    async def user(self, user_id: str) -> DirectoryUser | None:
        return self._ask("user").users.get(user_id)

    async def user_by_name(self, name: str) -> DirectoryUser | None:
        found = self._ask("user_by_name").users.values()
        return next((user for user in found if user.name.casefold() == name.casefold()), None)

    async def users(self, name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        found = [user for user in self._ask("users").users.values() if name in (None, user.name)]
        return Listed(found[:limit], len(found) > limit)

    async def authenticate(self, user_id: str, password: str) -> DirectoryUser | None:
        held = self._ask("authenticate")
        user = held.users.get(user_id)
        right = bool(password) and held.passwords.get(user_id) == password
        return user if user is not None and user.enabled and right else None

    async def group(self, group_id: str) -> DirectoryGroup | None:
        return self._ask("group").groups.get(group_id)

    async def group_by_name(self, name: str) -> DirectoryGroup | None:
        return next((group for group in self._ask("group_by_name").groups.values() if group.name == name), None)

    async def groups(self, name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryGroup]:
        found = [group for group in self._ask("groups").groups.values() if name in (None, group.name)]
        return Listed(found[:limit], len(found) > limit)

    async def groups_of(self, user_id: str, *, limit: int = LISTED) -> Listed[DirectoryGroup]:
        held = self._ask("groups_of")
        return Listed([held.groups[id_] for id_, members in held.members.items() if user_id in members])

    async def members_of(self, group_id: str, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        held = self._ask("members_of")
        return Listed([held.users[id_] for id_ in sorted(held.members.get(group_id, ())) if id_ in held.users])

    async def aclose(self) -> None:
        self.closed = True


class FakeDirectories:
    """All there are, by domain, and every back end that was opened."""

    def __init__(self) -> None:
        self.by_domain: dict[str, FakeDirectory] = {}
        self.opened: list[FakeBackend] = []

    def __getitem__(self, domain_id: str) -> FakeDirectory:
        return self.by_domain.setdefault(domain_id, FakeDirectory(domain_id))

    def open(self, domain_id: str, driver: str, options: Mapping[str, object]) -> IdentityBackend:
        assert driver == "ldap"
        backend = FakeBackend(self[domain_id], options)
        self.opened.append(backend)
        return backend
