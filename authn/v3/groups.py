"""`/v3/groups` and who is in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from starlette.responses import Response

from authn import keys
from authn.keys import GROUP_ACTOR, MEMBER, USER_ACTOR, Link
from authn.records import GROUP, USER, Group, User
from authn.shadows import Told
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.elsewhere import bring_in, listed_elsewhere, refuse_directory, refuse_in_directory
from authn.v3.resource import PostedResource
from authn.v3.users import user_target
from gateway.rest import times
from gateway.rest.answers import nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row, page
from gateway.rest.policy import Target
from store.core.errors import InvalidError, NotFoundError

NAME_CHARACTERS_MAX: Final = 64

_KNOWN: Final = frozenset({"id", "name", "domain_id", "description", "links"})


def group_target(group: Group) -> Target:
    """What policy may ask about a group."""
    return {"target.group.id": group.id, "target.group.domain_id": group.domain_id}


class Groups(PostedResource[Group]):
    """Users who are given roles together."""

    noun: ClassVar[str] = "group"
    plural: ClassVar[str] = "groups"
    path: ClassVar[str] = "groups"
    filters: ClassVar[tuple[str, ...]] = ("name", "domain_id", "description")

    def table(self, snapshot: IdentitySnapshot) -> Table[Group]:
        return snapshot.groups

    def row(self, call: Call, record: Group) -> Row:
        return {
            **json.loads(record.extra),
            "id": record.id,
            "name": record.name,
            "domain_id": record.domain_id,
            "description": record.description,
            "links": {"self": f"{call.base}/groups/{record.id}"},
        }

    told: ClassVar[frozenset[str]] = frozenset({"delete"})

    def home(self, record: Group) -> str | None:
        return record.domain_id

    def target(self, call: Call, record: Group) -> Target:
        return group_target(record)

    def asked_target(self, call: Call, asked: Fields) -> Target:
        return {"target.group.domain_id": asked.text_or("domain_id", "") or call.default_domain()}

    def routes(self) -> Routes[Call]:
        return {
            **super().routes(),
            "/v3/users/{user_id}/groups": {"GET": self.list_of_user},
            "/v3/groups/{group_id}/users/{user_id}": {
                "PUT": self.add_member,
                "GET": self.check_member,
                "DELETE": self.remove_member,
            },
        }

    def candidates(self, call: Call) -> Iterable[Group]:
        called = self.called(call)
        return (group for group in (self.behind_marker(call) if called is None else called) if not group.directory_id)

    async def elsewhere(self, call: Call) -> tuple[Sequence[Group], bool]:
        told = await listed_elsewhere(call, call.service.shadows.groups)
        return told.records, told.cut

    async def bring_in(self, call: Call, operation: str) -> None:
        await bring_in(call, GROUP_ACTOR, call.path("id"), operation)

    async def now(self, call: Call, record: Group) -> Group:
        return await call.service.shadows.group(record) if record.directory_id else record

    async def list_of_user(self, call: Call) -> Response:
        """The groups that a user is in."""
        await bring_in(call, USER_ACTOR, call.path("user_id"), "identity:list_groups_for_user")
        user = call.snapshot.users.get(call.path("user_id"))
        await call.allow("identity:list_groups_for_user", user_target(user) if user else {})
        user = call.snapshot.users.require(call.path("user_id"))
        found = [call.snapshot.groups.require(id_) for id_ in call.snapshot.groups_of(user.id)]
        told: Told[Group] = await call.service.shadows.groups_of(user) if user.directory_id else Told()
        ends = call.snapshot.stated_groups(user.id)
        for_good = call.snapshot.links.ones(MEMBER, user.id)

        def row(group: Group) -> Row:
            ends_s = None if group.id in for_good else ends.get(group.id)
            shown = None if ends_s is None else times.shown(ends_s)
            return {**self.row(call, group), "membership_expires_at": shown}

        rows = (row(group) for group in (*found, *told.records) if self.visible(call, group))
        return listed(call, self.plural, page(call, rows, self.filters), truncated=told.cut)

    async def made(self, call: Call, asked: Fields) -> Group:
        domain_id = asked.text_or("domain_id", "") or call.default_domain()
        call.snapshot.domains.require(domain_id)
        refuse_in_directory(call, domain_id)
        administration = call.service.administration
        group = Group(
            id=administration.new_id(),
            name=asked.named("name", NAME_CHARACTERS_MAX),
            domain_id=domain_id,
            description=asked.text_or("description", ""),
            extra=merged("{}", asked.others(_KNOWN)),
        )
        await administration.create(GROUP, self.table, group)
        return group

    async def changed(self, call: Call, id_: str, asked: Fields) -> Group:
        present = call.snapshot.groups.require(id_)
        refuse_directory(present)
        if asked.text_or("domain_id", present.domain_id) != present.domain_id:
            raise InvalidError("group.domain_id: a group stays in its domain")

        def edit(before: Group) -> Group:
            return replace(
                before,
                name=asked.named("name", NAME_CHARACTERS_MAX) if "name" in asked else before.name,
                description=asked.text_or("description", "") if "description" in asked else before.description,
                extra=merged(before.extra, asked.others(_KNOWN)),
            )

        return await call.service.administration.update(GROUP, self.table, id_, edit)

    async def gone(self, call: Call, id_: str) -> None:
        refuse_directory(call.snapshot.groups.get(id_))
        await call.service.administration.delete_group(id_)

    async def add_member(self, call: Call) -> Response:
        """The user is in the group."""
        group, user = await self._named(call, "add_user_to_group")
        refuse_directory(group)
        link = Link(MEMBER, group.id, user.id)
        await call.service.administration.link(link, keys.record(GROUP, link.one), keys.record(USER, link.other))
        return nothing()

    async def check_member(self, call: Call) -> Response:
        """204 or 404."""
        group, user = await self._named(call, "check_user_in_group")
        link = Link(MEMBER, group.id, user.id)
        if user.directory_id:
            found = any(one.id == group.id for one in (await call.service.shadows.groups_of(user)).records)
        else:
            found = link in call.snapshot.links or group.id in call.snapshot.stated_groups(user.id)
        if not found:
            raise NotFoundError(_missing(link))
        return nothing()

    async def remove_member(self, call: Call) -> Response:
        """The user is no longer in the group; tokens lose at once what it gave them."""
        group, user = await self._named(call, "remove_user_from_group")
        refuse_directory(group)
        link = Link(MEMBER, group.id, user.id)
        await call.service.administration.unlink(link, _missing(link))
        return nothing()

    async def _named(self, call: Call, operation: str) -> tuple[Group, User]:
        """Raises ForbiddenError, as stock keystone does, unless both are here or both in one directory."""
        operation = f"identity:{operation}"
        found = await bring_in(call, GROUP_ACTOR, call.path("group_id"), operation)
        known = group_target(found) if isinstance(found, Group) else {}
        await bring_in(call, USER_ACTOR, call.path("user_id"), operation, known)
        user = call.snapshot.users.get(call.path("user_id"))
        await call.allow(operation, {**known, **(user_target(user) if user else {})})
        group = call.snapshot.groups.require(call.path("group_id"))
        user = call.snapshot.users.require(call.path("user_id"))
        homes = [one.domain_id if one.directory_id else None for one in (group, user)]
        if homes[0] != homes[1]:
            raise ForbiddenError("group membership across backend boundaries is not allowed")
        return group, user


def _missing(link: Link) -> str:
    return f"User {link.other} is not found in group {link.one}."
