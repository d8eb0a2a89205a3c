"""Users and groups of a directory: LDAP (RFC 4511), Active Directory included. Read only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from authn.backends.backend import LISTED, DirectoryGroup, DirectoryUser, Listed
from authn.backends.ldap_calls import BASE, ONE, SUBTREE, Entry, Search
from authn.backends.ldap_connections import LdapConnections
from authn.backends.ldap_entries import group_attributes, group_of, members, user_attributes, user_of
from authn.backends.ldap_filters import IN_CHAIN, equals, has, is_under, is_utf8
from authn.backends.ldap_options import LdapOptions

_log = structlog.get_logger(__name__)

_FEW: Final = 5
"""Entries that are looked at where one is meant: those that have the id as a second value match, too."""

T = TypeVar("T")
R = TypeVar("R", DirectoryUser, DirectoryGroup)


class LdapBackend:
    """An IdentityBackend over a directory."""

    def __init__(self, domain_id: str, options: LdapOptions) -> None:
        self._domain_id = domain_id
        self._options = options
        self._connections = LdapConnections(options)
        self._deep = options.query_scope == "sub"

    async def user(self, user_id: str) -> DirectoryUser | None:
        found = await self._user_entry(user_id)
        return found[1] if found else None

    async def user_by_name(self, name: str) -> DirectoryUser | None:
        return self._only((await self.users(name, limit=2)).records, name)

    async def users(self, name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        options = self._options
        condition = has(options.user_id_attribute) if name is None else equals(options.user_name_attribute, name)
        return await self._listed(self._users(condition), self._user_of, limit)

    async def authenticate(self, user_id: str, password: str) -> DirectoryUser | None:
        if not password or not is_utf8(password):
            return None
        found = await self._user_entry(user_id)
        if found is None:
            return None
        entry, user = found
        # Asked of disabled users as well, or they would be told from others by how long it takes.
        return user if await self._connections.judge(entry.dn, password) and user.enabled else None

    async def group(self, group_id: str) -> DirectoryGroup | None:
        found = await self._group_entry(group_id)
        return found[1] if found else None

    async def group_by_name(self, name: str) -> DirectoryGroup | None:
        return self._only((await self.groups(name, limit=2)).records, name)

    async def groups(self, name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryGroup]:
        options = self._options
        condition = has(options.group_id_attribute) if name is None else equals(options.group_name_attribute, name)
        return await self._listed(self._groups(condition), self._group_of, limit)

    async def groups_of(self, user_id: str, *, limit: int = LISTED) -> Listed[DirectoryGroup]:
        found = await self._user_entry(user_id)
        if found is None:
            return Listed([])
        entry, user = found
        if self._options.group_ad_nesting:
            condition = equals(f"member{IN_CHAIN}", entry.dn)
        else:
            member = user.id if self._options.group_members_are_ids else entry.dn
            condition = equals(self._options.group_member_attribute, member)
        return await self._listed(self._groups(condition), self._group_of, limit)

    async def members_of(self, group_id: str, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        found = await self._group_entry(group_id)
        if found is None:
            return Listed([])
        group = found[0]
        if self._options.group_ad_nesting:
            nested = self._users(equals(f"memberOf{IN_CHAIN}", group.dn))
            return await self._listed(nested, self._user_of, limit)
        users: list[DirectoryUser] = []
        for member in await self._members(group.dn):
            user = await self._member(member)
            if user is None:
                continue
            if len(users) == limit:
                return Listed(users, cut=True)
            users.append(user)
        return Listed(users)

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def _members(self, group_dn: str) -> Sequence[bytes]:
        attribute = asked = self._options.group_member_attribute
        told: list[bytes] = []
        while True:
            found = await self._connections.search(Search(group_dn, BASE, "(objectClass=*)", [asked]), 1)
            if not found.entries:
                return told
            values, following = members(found.entries[0], attribute)
            told += values
            if not values or following != len(told):
                return told  # the last, or no progress
            asked = f"{attribute};range={following}-*"

    async def _member(self, member: bytes) -> DirectoryUser | None:
        """None where it is none of this domain's users."""
        try:
            named = member.decode()
        except UnicodeDecodeError:
            return None
        if self._options.group_members_are_ids:
            return await self.user(named)
        if not is_under(named, self._options.users_dn, deep=self._deep):
            return None
        users = self._users(has(self._options.user_id_attribute))
        if users is None:
            return None
        listed = await self._listed(Search(named, BASE, users.filter, users.attributes), self._user_of, 1)
        return listed.records[0] if listed.records else None

    async def _user_entry(self, user_id: str) -> tuple[Entry, DirectoryUser] | None:
        search = self._users(equals(self._options.user_id_attribute, user_id))
        return await self._entry(search, self._user_of, user_id)

    async def _group_entry(self, group_id: str) -> tuple[Entry, DirectoryGroup] | None:
        search = self._groups(equals(self._options.group_id_attribute, group_id))
        return await self._entry(search, self._group_of, group_id)

    async def _entry(
        self, search: Search | None, read: Callable[[Entry], R | None], local_id: str
    ) -> tuple[Entry, R] | None:
        found, _ = await self._find(search, read, _FEW)
        # Entries that have the id only as a second value are others.
        return self._only([each for each in found if each[1].id.casefold() == local_id.casefold()], local_id)

    async def _listed(self, search: Search | None, read: Callable[[Entry], R | None], limit: int) -> Listed[R]:
        found, cut = await self._find(search, read, limit)
        return Listed([record for _, record in found], cut)

    async def _find(
        self, search: Search | None, read: Callable[[Entry], R | None], limit: int
    ) -> tuple[list[tuple[Entry, R]], bool]:
        """Entries with what they are, and whether there are more."""
        if search is None:
            return [], False
        found = await self._connections.search(search, limit)
        return [(entry, record) for entry in found.entries if (record := read(entry)) is not None], found.cut

    def _only(self, found: Sequence[T], named: str) -> T | None:
        if len(found) > 1:
            _log.warning("more than one entry of a directory has an id or name", domain=self._domain_id, named=named)
        return found[0] if len(found) == 1 else None

    def _users(self, condition: str | None) -> Search | None:
        options = self._options
        return self._under(
            options.users_dn, condition, options.user_filter, options.user_objectclass, user_attributes(options)
        )

    def _groups(self, condition: str | None) -> Search | None:
        options = self._options
        return self._under(
            options.groups_dn, condition, options.group_filter, options.group_objectclass, group_attributes(options)
        )

    def _under(
        self, base: str, condition: str | None, more: str, object_class: str, attributes: Sequence[str]
    ) -> Search | None:
        """None where nothing can match."""
        if condition is None:
            return None
        scope = SUBTREE if self._deep else ONE
        return Search(base, scope, f"(&{condition}{more}(objectClass={object_class}))", attributes)

    def _user_of(self, entry: Entry) -> DirectoryUser | None:
        return user_of(entry, self._options, self._domain_id)

    def _group_of(self, entry: Entry) -> DirectoryGroup | None:
        return group_of(entry, self._options, self._domain_id)
