"""`/v3/groups` and who is in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Final

from starlette.responses import Response

from authn import keys
from authn.keys import MEMBER, Link
from authn.records import GROUP, USER, Group
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed, nothing
from authn.v3.call import Call
from authn.v3.resource import Resource
from authn.v3.users import user_target
from gateway.rest.app import Routes
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row, page
from gateway.rest.policy import Target
from store.core.errors import InvalidError, NotFoundError

NAME_CHARACTERS_MAX: Final = 64

_KNOWN: Final = frozenset({"id", "name", "domain_id", "description", "links"})


def group_target(group: Group) -> Target:
    """What policy may ask about a group."""
    return {"target.group.id": group.id, "target.group.domain_id": group.domain_id}


class Groups(Resource[Group]):
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
        name, domain_id = call.query.get("name"), call.query.get("domain_id")
        if name is None or domain_id is None:
            return call.snapshot.groups
        found = call.snapshot.groups.named((domain_id, name))
        return [] if found is None else [found]

    async def list_of_user(self, call: Call) -> Response:
        """The groups that a user is in."""
        user = call.snapshot.users.get(call.path("user_id"))
        await call.allow("identity:list_groups_for_user", user_target(user) if user else {})
        user = call.snapshot.users.require(call.path("user_id"))
        found = (call.snapshot.groups.require(id_) for id_ in call.snapshot.groups_of(user.id))
        rows = (self.row(call, group) for group in found if self.visible(call, group))
        return listed(call, self.plural, page(call, rows, self.filters))

    async def made(self, call: Call, asked: Fields) -> Group:
        domain_id = asked.text_or("domain_id", "") or call.default_domain()
        call.snapshot.domains.require(domain_id)
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
        await call.service.administration.delete_group(id_)

    async def add_member(self, call: Call) -> Response:
        """The user is in the group."""
        link = await self._member(call, "add_user_to_group")
        await call.service.administration.link(link, keys.record(GROUP, link.one), keys.record(USER, link.other))
        return nothing()

    async def check_member(self, call: Call) -> Response:
        """204 or 404."""
        link = await self._member(call, "check_user_in_group")
        if link not in call.snapshot.links:
            raise NotFoundError(_missing(link))
        return nothing()

    async def remove_member(self, call: Call) -> Response:
        """The user is no longer in the group; tokens lose at once what it gave them."""
        link = await self._member(call, "remove_user_from_group")
        await call.service.administration.unlink(link, _missing(link))
        return nothing()

    async def _member(self, call: Call, operation: str) -> Link:
        snapshot = call.snapshot
        group, user = snapshot.groups.get(call.path("group_id")), snapshot.users.get(call.path("user_id"))
        known = {**(group_target(group) if group else {}), **(user_target(user) if user else {})}
        await call.allow(f"identity:{operation}", known)
        group, user = snapshot.groups.require(call.path("group_id")), snapshot.users.require(call.path("user_id"))
        return Link(MEMBER, group.id, user.id)


def _missing(link: Link) -> str:
    return f"User {link.other} is not found in group {link.one}."
