"""`/v3/role_assignments` and the roles of a user in a project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from authn.keys import Assignment
from authn.records import Role
from authn.v3.answers import answer, nothing
from authn.v3.call import Call
from authn.v3.listing import page, whole
from store.core.errors import NotFoundError


def role_row(call: Call, role: Role) -> dict[str, Any]:
    """A role as clients see it."""
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": None,
        "description": role.description or None,
        "options": {},
        "links": {"self": f"{call.base}/roles/{role.id}"},
    }


async def list_assignments(call: Call) -> Response:
    """Who holds what where; `effective` tells implied roles too, `include_names` names."""
    query = call.request.query_params
    await call.allow("list_role_assignments")
    others = ("group.id", "scope.domain.id", "scope.system", "scope.OS-INHERIT:inherited_to")
    if any(name in query for name in others):
        return whole(call, "role_assignments", [])  # roles are held by users in projects only
    user_id, project_id, role_id = (query.get(name) for name in ("user.id", "scope.project.id", "role.id"))
    found = call.snapshot.assignments(user_id=user_id, project_id=project_id)
    effective, names = _switched_on(query.get("effective")), _switched_on(query.get("include_names"))
    rows = [
        _row(call, held, prior, names)
        for assigned in found
        for held, prior in (_effective(call, assigned) if effective else [(assigned, None)])
        if role_id in (None, held.role_id)
    ]
    return whole(call, "role_assignments", rows)


async def list_roles_held(call: Call) -> Response:
    """The roles assigned to a user in a project."""
    await call.allow("list_grants")
    user_id, project_id = call.path("user_id"), call.path("project_id")
    call.snapshot.users.require(user_id)
    call.snapshot.projects.require(project_id)
    held = call.snapshot.assignments(user_id=user_id, project_id=project_id)
    return whole(call, "roles", [role_row(call, call.snapshot.roles.require(one.role_id)) for one in held])


async def check_role(call: Call) -> Response:
    """Whether a user is assigned a role in a project: 204 or 404."""
    await call.allow("check_grant")
    held = _named(call)
    if held not in call.snapshot.assignments(user_id=held.user_id, project_id=held.project_id):
        raise NotFoundError(f"Could not find role assignment with role: {held.role_id}.")
    return nothing()


async def add_role(call: Call) -> Response:
    """The user holds the role in the project."""
    await call.allow("create_grant")
    await call.service.administration.assign(_named(call))
    return nothing()


async def remove_role(call: Call) -> Response:
    """The user no longer holds the role in the project."""
    await call.allow("revoke_grant")
    await call.service.administration.unassign(_named(call))
    return nothing()


async def list_roles(call: Call) -> Response:
    """All roles."""
    await call.allow("list_roles")
    return page(call, "roles", (role_row(call, role) for role in call.snapshot.roles), ("name", "domain_id"))


async def show_role(call: Call) -> Response:
    """One role."""
    await call.allow("get_role")
    return answer({"role": role_row(call, call.snapshot.roles.require(call.path("role_id")))})


def _named(call: Call) -> Assignment:
    """The assignment that the path names. Raises NotFoundError where user, project or role do not exist."""
    user = call.snapshot.users.require(call.path("user_id"))
    project = call.snapshot.projects.require(call.path("project_id"))
    return Assignment(user.id, project.id, call.snapshot.roles.require(call.path("role_id")).id)


def _effective(call: Call, assigned: Assignment) -> Iterator[tuple[Assignment, str | None]]:
    """The assignment and those that it implies, each of these with the role that implies it."""
    waiting: list[tuple[str, str | None]] = [(assigned.role_id, None)]
    seen: set[str] = set()
    while waiting:
        role_id, prior = waiting.pop(0)
        role = call.snapshot.roles.get(role_id)
        if role is not None and role_id not in seen:
            seen.add(role_id)
            yield assigned._replace(role_id=role_id), prior
            waiting += [(implied, role_id) for implied in role.implies]


def _row(call: Call, held: Assignment, prior: str | None, names: bool) -> dict[str, Any]:
    snapshot = call.snapshot
    role, user, project = (
        {"id": held.role_id},
        {"id": held.user_id},
        {"id": held.project_id},
    )
    assigned = f"{call.base}/projects/{held.project_id}/users/{held.user_id}/roles/{prior or held.role_id}"
    row: dict[str, Any] = {"role": role, "user": user, "scope": {"project": project}, "links": {"assignment": assigned}}
    if prior is not None:
        row["links"]["prior_role"] = f"{call.base}/roles/{prior}"
    if names:
        role["name"] = snapshot.roles.require(held.role_id).name
        for reference, record in (
            (user, snapshot.users.require(held.user_id)),
            (project, snapshot.projects.require(held.project_id)),
        ):
            domain = snapshot.domains.require(record.domain_id)
            reference |= {"name": record.name, "domain": {"id": domain.id, "name": domain.name}}  # type: ignore[dict-item]
    return row


def _switched_on(value: str | None) -> bool:
    return value is not None and value.lower() not in ("0", "false")
