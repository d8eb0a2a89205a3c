"""`Shadows`: the users and groups of directories as records of identity.

What is stored of one is the public id, the directory's own id and the name, and it is stored when it is first needed:
at a login, when somebody looks at it alone, when it is given a role. So a directory of any size may be listed, and
whatever names a user here (roles, tokens, credentials) does so as with any other. All else is asked when it is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

import structlog

from authn.administration import Administration
from authn.backends.backend import DirectoryGroup, DirectoryUser
from authn.directory_ids import DirectoryIds
from authn.domain_backends import DomainBackends
from authn.errors import UnauthorizedError
from authn.keys import GROUP_ACTOR
from authn.records import GROUP, USER, Group, User
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from store.core.errors import ConflictError, NotFoundError

TOKEN_GROUPS_MAX: Final = 100
"""Groups of a directory that a token names: more would not fit into a header."""

_PUBLIC_ID: Final = re.compile("[0-9a-f]{64}")

_log: Final = structlog.get_logger(__name__)

R = TypeVar("R", User, Group)


@dataclass(frozen=True)  # no slots: a generic one with them cannot be made by its name with a type (before Python 3.12)
class Told(Generic[R]):
    """Records as a directory tells them now, most of them not stored. `cut`: there are more."""

    records: tuple[R, ...] = ()
    cut: bool = False


class Shadows:
    """Everything that asks raises DirectoryAwayError where the directory cannot be asked, and NotFoundError for whom it
    no longer has."""

    def __init__(self, administration: Administration, backends: DomainBackends) -> None:
        self._administration = administration
        self.backends = backends
        self._ids = DirectoryIds(backends)

    def domain_enabled(self, domain_id: str) -> bool:
        return self._snapshot.domain_enabled(domain_id)

    # -- one -----------------------------------------------------------------------------------------------------

    async def user(self, record: User) -> User:
        """The user as the directory tells them now."""
        told = await self.backends.of(record.domain_id).user(record.directory_id)
        if told is None or told.public_id != record.id:
            raise NotFoundError(f"Could not find user: {record.id}.")
        await self.keep_user(record.domain_id, told)
        return self._user(record.domain_id, told)

    async def group(self, record: Group) -> Group:
        """The group as the directory tells it now."""
        told = await self.backends.of(record.domain_id).group(record.directory_id)
        if told is None or told.public_id != record.id:
            raise NotFoundError(f"Could not find group: {record.id}.")
        await self.keep_group(record.domain_id, told)
        return self._group(record.domain_id, told)

    async def find_user(self, id_: str, domain_ids: Iterable[str]) -> User | None:
        """The record of a public id, stored now if it was not. Where nobody knows the id, those domains are looked
        through."""
        if self._snapshot.users.get(id_) is None and _PUBLIC_ID.fullmatch(id_):
            place = await self._ids.find("user", id_, domain_ids)
            told = await self.backends.of(place.domain_id).user(place.local_id) if place is not None else None
            if place is not None and told is not None and told.public_id == id_:
                return await self.keep_user(place.domain_id, told)
        return self._snapshot.users.get(id_)

    async def find_group(self, id_: str, domain_ids: Iterable[str]) -> Group | None:
        """As `find_user`."""
        if self._snapshot.groups.get(id_) is None and _PUBLIC_ID.fullmatch(id_):
            place = await self._ids.find("group", id_, domain_ids)
            told = await self.backends.of(place.domain_id).group(place.local_id) if place is not None else None
            if place is not None and told is not None and told.public_id == id_:
                return await self.keep_group(place.domain_id, told)
        return self._snapshot.groups.get(id_)

    # -- many ----------------------------------------------------------------------------------------------------

    async def users(self, domain_id: str, name: str | None = None) -> Told[User]:
        """All users of the domain's directory, or those of a name."""
        listed = await self.backends.of(domain_id).users(name)
        return Told(tuple(self._user(domain_id, told) for told in listed.records), listed.cut)

    async def groups(self, domain_id: str, name: str | None = None) -> Told[Group]:
        """All groups of the domain's directory, or those of a name."""
        listed = await self.backends.of(domain_id).groups(name)
        return Told(tuple(self._group(domain_id, told) for told in listed.records), listed.cut)

    async def groups_of(self, user: User) -> Told[Group]:
        """The groups of the directory that a user of it is in."""
        listed = await self.backends.of(user.domain_id).groups_of(user.directory_id)
        return Told(tuple(self._group(user.domain_id, told) for told in listed.records), listed.cut)

    async def members_of(self, group: Group) -> Told[User]:
        """The users who are in a group of the directory."""
        listed = await self.backends.of(group.domain_id).members_of(group.directory_id)
        return Told(tuple(self._user(group.domain_id, told) for told in listed.records), listed.cut)

    # -- logins --------------------------------------------------------------------------------------------------

    async def vouch(self, user: User) -> tuple[str, ...]:
        """The ids of the directory's groups that count in a new token of the user: those that hold a role anywhere.
        Of a user of no directory there are none. Raises UnauthorizedError where the directory no longer lets them in.
        """
        if not user.directory_id:
            return ()
        held = self._snapshot.held
        counting = [id_ for id_ in sorted(await self.groups_held(user)) if held.of_actor(GROUP_ACTOR, id_)]
        if len(counting) > TOKEN_GROUPS_MAX:
            _log.warning("a user of a directory is in more groups than a token names", user_id=user.id)
        return tuple(counting[:TOKEN_GROUPS_MAX])

    async def groups_held(self, user: User) -> set[str]:
        """The ids of all the directory's groups that a user of it is in. Raises UnauthorizedError as `vouch` does."""
        if not self.backends.serves(user.domain_id):
            raise UnauthorizedError
        backend = self.backends.of(user.domain_id)
        told = await backend.user(user.directory_id)
        if told is None or not told.enabled or told.public_id != user.id:
            raise UnauthorizedError
        return {group.public_id for group in (await backend.groups_of(user.directory_id)).records}

    async def keep_user(self, domain_id: str, told: DirectoryUser) -> User:
        """The record that is stored of the user, from now on."""
        stored = self._snapshot.users.get(told.public_id)
        if stored is None:
            await self._create_user(User(told.public_id, told.name, domain_id, directory_id=told.id))
        elif stored.name != told.name:
            await self._administration.update(USER, _users, stored.id, lambda before: replace(before, name=told.name))
        return self._snapshot.users.require(told.public_id)

    async def keep_group(self, domain_id: str, told: DirectoryGroup) -> Group:
        """The record that is stored of the group, from now on."""
        stored = self._snapshot.groups.get(told.public_id)
        if stored is None:
            await self._create_group(Group(told.public_id, told.name, domain_id, directory_id=told.id))
        elif stored.name != told.name:
            await self._administration.update(GROUP, _groups, stored.id, lambda before: replace(before, name=told.name))
        return self._snapshot.groups.require(told.public_id)

    async def kept_groups(self, domain_id: str, name: str) -> list[Group]:
        """The records of the directory's groups of a name, stored from now on."""
        listed = await self.backends.of(domain_id).groups(name)
        return [await self.keep_group(domain_id, told) for told in listed.records]

    async def _create_user(self, user: User) -> None:
        try:
            await self._administration.create(USER, _users, user)
        except ConflictError:  # another has just done the same
            self._snapshot.users.require(user.id)

    async def _create_group(self, group: Group) -> None:
        try:
            await self._administration.create(GROUP, _groups, group)
        except ConflictError:
            self._snapshot.groups.require(group.id)

    def _user(self, domain_id: str, told: DirectoryUser) -> User:
        self._ids.remember(domain_id, "user", told)
        stored = self._snapshot.users.get(told.public_id) or User(told.public_id, told.name, domain_id)
        return replace(
            stored,
            name=told.name,
            description=told.description,
            enabled=stored.enabled and told.enabled,
            extra=json.dumps({"email": told.email} if told.email else {}),
            directory_id=told.id,
        )

    def _group(self, domain_id: str, told: DirectoryGroup) -> Group:
        self._ids.remember(domain_id, "group", told)
        return Group(told.public_id, told.name, domain_id, told.description, directory_id=told.id)

    @property
    def _snapshot(self) -> IdentitySnapshot:
        return self._administration.snapshot


def _users(snapshot: IdentitySnapshot) -> Table[User]:
    return snapshot.users


def _groups(snapshot: IdentitySnapshot) -> Table[Group]:
    return snapshot.groups
