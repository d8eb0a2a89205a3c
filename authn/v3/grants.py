"""Roles held: by a user or a group, in a project, a domain or the system, there or in all projects below."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from starlette.responses import Response

from authn.keys import (
    DOMAIN_TARGET,
    GROUP_ACTOR,
    PROJECT_TARGET,
    SYSTEM_ID,
    SYSTEM_TARGET,
    USER_ACTOR,
    Assignment,
)
from authn.records import Role
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.elsewhere import bring_in
from authn.v3.roles import role_row
from gateway.rest.answers import nothing
from gateway.rest.app import Handler, Routes
from gateway.rest.errors import ForbiddenError
from store.core.errors import InvalidError, NotFoundError

_ACTORS: Final = {USER_ACTOR: "users", GROUP_ACTOR: "groups"}


class Place(NamedTuple):
    """A family of paths: who holds what where."""

    target: str
    actor: str
    inherited: bool

    def operation(self, verb: str) -> str:
        """Roles in the system have operations of their own."""
        if self.target != SYSTEM_TARGET:
            return f"identity:{verb}_grant{'s' if verb == 'list' else ''}"
        return f"identity:{verb}_system_grant{'s' if verb == 'list' else ''}_for_{self.actor}"

    def held(self, call: Call, role_id: str) -> Assignment:
        """The assignment that the path names."""
        target_id = SYSTEM_ID if self.target == SYSTEM_TARGET else call.path("target_id")
        return Assignment(call.path("actor_id"), target_id, role_id, self.actor, self.target, self.inherited)


def routes() -> Routes[Call]:
    """All families of paths: three targets, two actors, and what is inherited."""
    found: dict[str, dict[str, Handler[Call]]] = {}
    for actor, actors in _ACTORS.items():
        places = [
            (f"/v3/projects/{{target_id}}/{actors}/{{actor_id}}/roles", "", Place(PROJECT_TARGET, actor, False)),
            (f"/v3/domains/{{target_id}}/{actors}/{{actor_id}}/roles", "", Place(DOMAIN_TARGET, actor, False)),
            (f"/v3/system/{actors}/{{actor_id}}/roles", "", Place(SYSTEM_TARGET, actor, False)),
        ]
        for target, targets in ((PROJECT_TARGET, "projects"), (DOMAIN_TARGET, "domains")):
            stem = f"/v3/OS-INHERIT/{targets}/{{target_id}}/{actors}/{{actor_id}}/roles"
            places.append((stem, "/inherited_to_projects", Place(target, actor, True)))
        for stem, end, place in places:
            found[stem + end] = {"GET": _bound(_list, place)}
            found[f"{stem}/{{role_id}}{end}"] = {
                "PUT": _bound(_add, place),
                "GET": _bound(_check, place),
                "DELETE": _bound(_remove, place),
            }
    return found


def _bound(
    handler: Callable[[Call, Place], Awaitable[Response]], place: Place
) -> Callable[[Call], Awaitable[Response]]:
    return lambda call: handler(call, place)


async def _list(call: Call, place: Place) -> Response:
    """The roles held just there."""
    await _allow(call, place, "list")
    held = place.held(call, "")
    _require(call, held)
    roles = call.snapshot.roles
    found = [
        role_row(call, role)
        for one in call.snapshot.held.of_both(held.actor, held.actor_id, held.target, held.target_id)
        if one.inherited == held.inherited and (role := roles.get(one.role_id)) is not None
    ]
    return listed(call, "roles", sorted(found, key=lambda row: str(row["name"])))


async def _check(call: Call, place: Place) -> Response:
    """204 or 404."""
    await _allow(call, place, "check")
    held = place.held(call, call.path("role_id"))
    _require(call, held)
    call.snapshot.roles.require(held.role_id)
    if held not in call.snapshot.held:
        raise NotFoundError(f"Could not find role assignment with role: {held.role_id}.")
    return nothing()


async def _add(call: Call, place: Place) -> Response:
    """It is held from now on."""
    await _allow(call, place, "create")
    held = place.held(call, call.path("role_id"))
    _require(call, held)
    role = call.snapshot.roles.require(held.role_id)
    home = call.snapshot.projects.require(held.target_id).domain_id if held.target == PROJECT_TARGET else held.target_id
    if role.domain_id and held.target == SYSTEM_TARGET:
        raise InvalidError("a role of a domain is not held in the system")
    if role.domain_id and home != role.domain_id:
        raise ForbiddenError("a role of a domain is held only there and in that domain's projects")
    await call.service.administration.assign(held)
    return nothing()


async def _remove(call: Call, place: Place) -> Response:
    """It is held no more."""
    await _allow(call, place, "revoke")
    await call.service.administration.unassign(place.held(call, call.path("role_id")))
    return nothing()


async def _allow(call: Call, place: Place, verb: str) -> None:
    snapshot, known = call.snapshot, dict[str, object]()
    if place.target == PROJECT_TARGET:
        project = snapshot.projects.get(call.path("target_id"))
        if project is not None:
            known |= {"target.project.id": project.id, "target.project.domain_id": project.domain_id}
    elif place.target == DOMAIN_TARGET and snapshot.domains.get(call.path("target_id")) is not None:
        known["target.domain.id"] = call.path("target_id")
    role: Role | None = snapshot.roles.get(call.parts.get("role_id", ""))
    if role is not None:
        known |= {"target.role.name": role.name, "target.role.domain_id": role.domain_id or None}
    operation = place.operation(verb)
    actor = await bring_in(call, place.actor, call.path("actor_id"), operation, known)
    if actor is not None:
        known[f"target.{place.actor}.domain_id"] = actor.domain_id
        known[f"target.{place.actor}.id"] = actor.id
    await call.allow(operation, known)


def _require(call: Call, held: Assignment) -> None:
    """Raises NotFoundError where actor or target do not exist."""
    snapshot = call.snapshot
    if held.actor == USER_ACTOR:
        snapshot.users.require(held.actor_id)
    else:
        snapshot.groups.require(held.actor_id)
    if held.target == PROJECT_TARGET:
        snapshot.projects.require(held.target_id)
    elif held.target == DOMAIN_TARGET:
        snapshot.domains.require(held.target_id)
