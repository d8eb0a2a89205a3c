"""`/v3/roles`, and which roles imply which others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn.records import ROLE, Role
from authn.rights import Rights
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.options import IMMUTABLE, changed_options, refuse_immutable
from authn.v3.resource import PostedResource
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row, page
from gateway.rest.policy import Target
from store.core.errors import InvalidError, NotFoundError

NAME_CHARACTERS_MAX: Final = 255

NEVER_IMPLIED: Final = frozenset({"admin"})
"""Whoever could make a role imply these could make themselves one."""

_KNOWN: Final = frozenset({"id", "name", "domain_id", "description", "options", "links"})


def role_row(call: Call, role: Role) -> Row:
    """A role as clients see it."""
    return {
        **json.loads(role.extra),
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id or None,
        "description": role.description or None,
        "options": json.loads(role.options),
        "links": {"self": f"{call.base}/roles/{role.id}"},
    }


def role_reference(call: Call, role: Role) -> dict[str, Any]:
    """A role in a list of what implies what."""
    return {"id": role.id, "name": role.name, "links": {"self": f"{call.base}/roles/{role.id}"}} | (
        {"domain_id": role.domain_id} if role.domain_id else {}
    )


def _noun(role: Role) -> str:
    """Roles of a domain have operations of their own."""
    return "domain_role" if role.domain_id else "role"


class Roles(PostedResource[Role]):
    """What somebody may be."""

    noun: ClassVar[str] = "role"
    plural: ClassVar[str] = "roles"
    path: ClassVar[str] = "roles"
    filters: ClassVar[tuple[str, ...]] = ("name", "domain_id", "description")

    def table(self, snapshot: IdentitySnapshot) -> Table[Role]:
        return snapshot.roles

    def row(self, call: Call, record: Role) -> Row:
        return role_row(call, record)

    def target(self, call: Call, record: Role) -> Target:
        return {"target.role.name": record.name, "target.role.domain_id": record.domain_id or None}

    def routes(self) -> Routes[Call]:
        return {
            **super().routes(),
            "/v3/roles/{id}/implies": {"GET": self.list_implied},
            "/v3/roles/{id}/implies/{implied_id}": {
                "PUT": self.imply,
                "GET": self.show_implied,
                "HEAD": self.check_implied,
                "DELETE": self.imply_no_more,
            },
            "/v3/role_inferences": {"GET": self.list_inferences},
        }

    async def list(self, call: Call) -> Response:
        """The roles for everywhere; with `domain_id` those of a domain."""
        domain_id = call.query.get("domain_id", "")
        await call.allow("identity:list_domain_roles" if domain_id else "identity:list_roles")
        rows = (role_row(call, role) for role in call.snapshot.roles if role.domain_id == domain_id)
        return listed(call, self.plural, page(call, rows, self.filters))

    async def show(self, call: Call) -> Response:
        """One role."""
        await call.caller()
        role = call.snapshot.roles.require(call.path("id"))  # which is told to everybody, as in stock keystone
        await call.allow(f"identity:get_{_noun(role)}", self._target(call, call.path("id")))
        return answer({"role": role_row(call, role)})

    async def create(self, call: Call) -> Response:
        """A new role, with `domain_id` one of that domain."""
        await call.caller()
        asked = (await call.body()).object("role")
        domain = asked.text_or("domain_id", "")
        await call.allow("identity:create_domain_role" if domain else "identity:create_role")
        return answer({"role": role_row(call, await self.made(call, asked))}, 201)

    async def update(self, call: Call) -> Response:
        """Other attributes."""
        await call.caller()
        role = call.snapshot.roles.require(call.path("id"))  # which is told to everybody, as in stock keystone
        await call.allow(f"identity:update_{_noun(role)}")
        asked = (await call.body()).object("role")
        return answer({"role": role_row(call, await self.changed(call, call.path("id"), asked))})

    async def delete(self, call: Call) -> Response:
        """The role is gone, wherever it was held."""
        await call.caller()
        role = call.snapshot.roles.require(call.path("id"))  # which is told to everybody, as in stock keystone
        await call.allow(f"identity:delete_{_noun(role)}")
        refuse_immutable("role", role.options)
        await call.service.administration.delete_role(call.path("id"))
        return nothing()

    async def made(self, call: Call, asked: Fields) -> Role:
        domain_id = asked.text_or("domain_id", "")
        if domain_id:
            call.snapshot.domains.require(domain_id)
        administration = call.service.administration
        role = Role(
            id=administration.new_id(),
            name=asked.named("name", NAME_CHARACTERS_MAX),
            description=asked.text_or("description", ""),
            domain_id=domain_id,
            options=changed_options("{}", asked, IMMUTABLE),
            extra=merged("{}", asked.others(_KNOWN)),
        )
        await administration.create(ROLE, self.table, role)
        return role

    async def changed(self, call: Call, id_: str, asked: Fields) -> Role:
        present = call.snapshot.roles.require(id_)
        if asked.text_or("domain_id", present.domain_id) != present.domain_id:
            raise InvalidError("role.domain_id: a role stays in its domain")

        def edit(before: Role) -> Role:
            refuse_immutable("role", before.options, asked)
            return replace(
                before,
                name=asked.named("name", NAME_CHARACTERS_MAX) if "name" in asked else before.name,
                description=asked.text_or("description", "") if "description" in asked else before.description,
                options=changed_options(before.options, asked, IMMUTABLE),
                extra=merged(before.extra, asked.others(_KNOWN)),
            )

        return await call.service.administration.update(ROLE, self.table, id_, edit)

    # -- what implies what ---------------------------------------------------------------------------------------

    async def list_implied(self, call: Call) -> Response:
        """What one role implies, one step deep."""
        await call.allow("identity:list_implied_roles")
        prior = call.snapshot.roles.require(call.path("id"))
        return answer(
            {
                "role_inference": self._inference(call, prior),
                "links": {"self": f"{call.base}/roles/{prior.id}/implies"},
            }
        )

    async def list_inferences(self, call: Call) -> Response:
        """What every role implies."""
        await call.allow("identity:list_role_inference_rules")
        priors = sorted((role for role in call.snapshot.roles if role.implies), key=lambda role: role.name)
        return answer(
            {
                "role_inferences": [self._inference(call, prior) for prior in priors],
                "links": {"self": f"{call.base}/role_inferences"},
            }
        )

    async def show_implied(self, call: Call) -> Response:
        """One such pair."""
        await call.allow("identity:get_implied_role")
        return self._pair(call, *self._required(call))

    async def check_implied(self, call: Call) -> Response:
        """204 or 404."""
        await call.allow("identity:check_implied_role")
        self._required(call)
        return nothing()

    async def imply(self, call: Call) -> Response:
        """Whoever holds the one has the other."""
        await call.allow("identity:create_implied_role")
        prior, implied = self._named(call)
        if implied.name.casefold() in NEVER_IMPLIED:
            raise ForbiddenError(f"the role {implied.name} is never implied")
        if implied.domain_id and not prior.domain_id:
            raise ForbiddenError("a role for everywhere implies no role of a domain")

        def edit(before: Role) -> Role:
            if prior.id in {role.id for role in Rights(call.snapshot).expanded([implied.id])}:
                raise InvalidError(f"The role {implied.name} implies {prior.name}: they would go round in a circle.")
            return before if implied.id in before.implies else replace(before, implies=(*before.implies, implied.id))

        await call.service.administration.update(ROLE, self.table, prior.id, edit)
        return self._pair(call, prior, implied, 201)

    async def imply_no_more(self, call: Call) -> Response:
        """Whoever holds the one has the other no more by that."""
        await call.allow("identity:delete_implied_role")
        prior, implied = self._required(call)

        def edit(before: Role) -> Role:
            return replace(before, implies=tuple(id_ for id_ in before.implies if id_ != implied.id))

        await call.service.administration.update(ROLE, self.table, prior.id, edit)
        return nothing()

    def _named(self, call: Call) -> tuple[Role, Role]:
        roles = call.snapshot.roles
        return roles.require(call.path("id")), roles.require(call.path("implied_id"))

    def _required(self, call: Call) -> tuple[Role, Role]:
        prior, implied = self._named(call)
        if implied.id not in prior.implies:
            raise NotFoundError(f"{prior.id} does not imply {implied.id}.")
        return prior, implied

    def _inference(self, call: Call, prior: Role) -> dict[str, Any]:
        implied = (call.snapshot.roles.get(id_) for id_ in prior.implies)
        return {
            "prior_role": role_reference(call, prior),
            "implies": [role_reference(call, role) for role in implied if role is not None],
        }

    def _pair(self, call: Call, prior: Role, implied: Role, status: int = 200) -> Response:
        pair = {"prior_role": role_reference(call, prior), "implies": role_reference(call, implied)}
        links = {"self": f"{call.base}/roles/{prior.id}/implies/{implied.id}"}
        return answer({"role_inference": pair, "links": links}, status)
