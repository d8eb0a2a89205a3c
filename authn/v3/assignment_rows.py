"""Role assignments as clients see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authn.keys import DOMAIN_TARGET, GROUP_ACTOR, PROJECT_TARGET, SYSTEM_TARGET, USER_ACTOR, Assignment
from authn.snapshot import IdentitySnapshot
from authn.v3.call import Call
from authn.v3.directory_members import DirectoryMembers

_PLURAL = {PROJECT_TARGET: "projects", DOMAIN_TARGET: "domains", USER_ACTOR: "users", GROUP_ACTOR: "groups"}


@dataclass(frozen=True, slots=True)
class Worked:
    """An assignment as it works out: who holds what where, and what is stored that makes it so."""

    held: Assignment
    stored: Assignment
    prior_role_id: str = ""
    """The role that implies this one."""


def assignment_row(call: Call, one: Worked, names: bool, members: DirectoryMembers) -> dict[str, Any]:
    """The row of an assignment; `names` of all that it names, too."""
    snapshot, held, stored = call.snapshot, one.held, one.stored
    role: dict[str, Any] = {"id": held.role_id}
    actor: dict[str, Any] = {"id": held.actor_id}
    place: dict[str, Any] = {"id": held.target_id}
    scope: dict[str, Any] = {"system": {"all": True}} if held.target == SYSTEM_TARGET else {held.target: place}
    if one.held.inherited or stored.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    row = {"role": role, held.actor: actor, "scope": scope, "links": _links(call, one)}
    if not names:
        return row
    who = members.user(snapshot, held.actor_id) if held.actor == USER_ACTOR else snapshot.groups.get(held.actor_id)
    assert who is not None
    actor |= {"name": who.name, "domain": _domain(snapshot, who.domain_id)}
    held_role = snapshot.roles.require(held.role_id)
    role["name"] = held_role.name
    if held_role.domain_id:
        role["domain"] = _domain(snapshot, held_role.domain_id)
    if held.target == PROJECT_TARGET:
        project = snapshot.projects.require(held.target_id)
        place |= {"name": project.name, "domain": _domain(snapshot, project.domain_id)}
    elif held.target == DOMAIN_TARGET:
        place["name"] = snapshot.domains.require(held.target_id).name
    return row


def _links(call: Call, one: Worked) -> dict[str, str]:
    stored = one.stored
    where = "system" if stored.target == SYSTEM_TARGET else f"{_PLURAL[stored.target]}/{stored.target_id}"
    path = f"{where}/{_PLURAL[stored.actor]}/{stored.actor_id}/roles/{stored.role_id}"
    if stored.inherited:
        path = f"OS-INHERIT/{path}/inherited_to_projects"
    links = {"assignment": f"{call.base}/{path}"}
    if stored.actor == GROUP_ACTOR and one.held.actor == USER_ACTOR:
        links["membership"] = f"{call.base}/groups/{stored.actor_id}/users/{one.held.actor_id}"
    if one.prior_role_id:
        links["prior_role"] = f"{call.base}/roles/{one.prior_role_id}"
    return links


def _domain(snapshot: IdentitySnapshot, domain_id: str) -> dict[str, str]:
    return {"id": domain_id, "name": snapshot.domains.require(domain_id).name}
