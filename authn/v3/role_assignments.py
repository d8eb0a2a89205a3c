"""`/v3/role_assignments`: who holds what where, as stored or as it works out (`effective`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from starlette.responses import Response

from authn.keys import (
    DOMAIN_TARGET,
    GROUP_ACTOR,
    MEMBER,
    PROJECT_TARGET,
    SYSTEM_TARGET,
    USER_ACTOR,
    Assignment,
)
from authn.rights import Rights, Scope
from authn.snapshot import IdentitySnapshot
from authn.v3.answers import listed
from authn.v3.assignment_rows import Worked, assignment_row
from authn.v3.call import Call
from authn.v3.directory_members import DirectoryMembers, members_for
from gateway.rest.listing import PAGING, switched_on
from store.core.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Question:
    """What the query asks for; empty: whatever."""

    user_id: str = ""
    group_id: str = ""
    role_id: str = ""
    target: str = ""
    target_id: str = ""
    inherited: bool = False
    subtree: bool = False

    def candidates(self, snapshot: IdentitySnapshot) -> Iterable[Assignment]:
        """Those among which the answers are."""
        if self.user_id and not self.subtree:
            return snapshot.held.of_actor(USER_ACTOR, self.user_id)
        if self.group_id:
            return snapshot.held.of_actor(GROUP_ACTOR, self.group_id)
        if self.target and not self.subtree:
            return snapshot.held.in_target(self.target, self.target_id)
        return snapshot.held

    def places(self, snapshot: IdentitySnapshot) -> frozenset[tuple[str, str]]:
        """The targets that are asked for."""
        found = {(self.target, self.target_id)}
        if self.subtree:
            found |= {(PROJECT_TARGET, project.id) for project in Rights(snapshot).subtree(self.target_id)}
        return frozenset(found)


async def list_assignments(call: Call) -> Response:
    """`effective` works out groups, what is inherited and what is implied; `include_names` tells names."""
    question = _question(call)
    effective, names = switched_on(call, "effective"), switched_on(call, "include_names")
    operation = "identity:list_role_assignments_for_tree" if question.subtree else "identity:list_role_assignments"
    target: dict[str, object] = {}
    if question.subtree:
        project = call.snapshot.projects.get(question.target_id)
        target = {"target.domain_id": project.domain_id} if project else {}
        await call.allow(operation, target)
    may_see = await call.chosen(operation, target)
    members = await _members(call, question) if effective else DirectoryMembers()
    snapshot = call.snapshot
    found = _effective(snapshot, question, members) if effective else _stored(snapshot, question)
    rows = [
        assignment_row(call, one, names, members)
        for one in found
        if _exists(snapshot, one.held, members)
        and may_see(_target(snapshot, one.held))
        and call.domain in (None, _target(snapshot, one.held)["target.domain_id"])
    ]
    return listed(call, "role_assignments", rows)


def _question(call: Call) -> Question:
    query = call.query
    known = {
        "user.id",
        "group.id",
        "role.id",
        "scope.project.id",
        "scope.domain.id",
        "scope.system",
        "scope.OS-INHERIT:inherited_to",
        "effective",
        "include_names",
        "include_subtree",
    }
    for name in query:
        if name not in known | PAGING:
            raise InvalidError(f"{name}: no such filter; there are {', '.join(sorted(known))}")
    user_id, group_id = query.get("user.id", ""), query.get("group.id", "")
    project_id, domain_id, system = (query.get(f"scope.{what}", "") for what in ("project.id", "domain.id", "system"))
    if user_id and group_id:
        raise InvalidError("user.id and group.id: not both")
    if len([one for one in (project_id, domain_id, system) if one]) > 1:
        raise InvalidError("scope.project.id, scope.domain.id and scope.system: one of them")
    if group_id and switched_on(call, "effective"):
        raise InvalidError("effective: groups are worked out, so group.id cannot be asked for")
    inherited = query.get("scope.OS-INHERIT:inherited_to", "")
    if inherited not in ("", "projects"):
        raise InvalidError("scope.OS-INHERIT:inherited_to: projects")
    subtree = switched_on(call, "include_subtree")
    if subtree and not project_id:
        raise InvalidError("include_subtree: scope.project.id says of which project")
    target = PROJECT_TARGET if project_id else DOMAIN_TARGET if domain_id else SYSTEM_TARGET if system else ""
    return Question(
        user_id, group_id, query.get("role.id", ""), target, project_id or domain_id or system, bool(inherited), subtree
    )


async def _members(call: Call, question: Question) -> DirectoryMembers:
    return await members_for(call, question.user_id, _reaching(call.snapshot, question, DirectoryMembers()))


def _stored(snapshot: IdentitySnapshot, question: Question) -> Iterator[Worked]:
    places = question.places(snapshot)
    for held in sorted(question.candidates(snapshot)):
        if (
            (not question.user_id or (held.actor, held.actor_id) == (USER_ACTOR, question.user_id))
            and (not question.group_id or (held.actor, held.actor_id) == (GROUP_ACTOR, question.group_id))
            and (not question.role_id or held.role_id == question.role_id)
            and (not question.target or (held.target, held.target_id) in places)
            and (not question.inherited or held.inherited)
        ):
            yield Worked(held, held)


def _effective(snapshot: IdentitySnapshot, question: Question, members: DirectoryMembers) -> Iterator[Worked]:
    places, seen = question.places(snapshot), set[Worked]()
    for stored in sorted(_reaching(snapshot, question, members)):
        if question.inherited and not stored.inherited:
            continue
        for one in _worked(snapshot, stored, question, places, members):
            if (not question.role_id or one.held.role_id == question.role_id) and one not in seen:
                seen.add(one)
                yield one


def _reaching(snapshot: IdentitySnapshot, question: Question, members: DirectoryMembers) -> Iterable[Assignment]:
    """Those stored that may work out to what is asked for."""
    if question.user_id:
        found = set(snapshot.held.of_actor(USER_ACTOR, question.user_id))
        for group_id in (*snapshot.groups_of(question.user_id), *members.groups_of(question.user_id)):
            found |= snapshot.held.of_actor(GROUP_ACTOR, group_id)
        return found
    if not question.target or question.subtree:
        return snapshot.held
    scope = Scope(question.target, question.target_id)
    found = set(snapshot.held.in_target(*scope))
    for above in Rights(snapshot).above(scope):
        found |= {held for held in snapshot.held.in_target(*above) if held.inherited}
    return found


def _worked(
    snapshot: IdentitySnapshot,
    stored: Assignment,
    question: Question,
    places: frozenset[tuple[str, str]],
    members: DirectoryMembers,
) -> Iterator[Worked]:
    """What one stored assignment comes to: for each user, in each place, with each role."""
    users = frozenset({stored.actor_id})
    if stored.actor == GROUP_ACTOR:
        users = snapshot.links.others(MEMBER, stored.actor_id) | members.groups.get(stored.actor_id, set())
        if question.user_id and stored.actor_id in snapshot.stated_groups(question.user_id):
            users |= {question.user_id}
    targets = [(stored.target, stored.target_id)]
    if stored.inherited:
        targets = [(PROJECT_TARGET, project.id) for project in Rights(snapshot).subtree(stored.target_id)]
    for user_id in sorted(users):
        if question.user_id and user_id != question.user_id:
            continue
        for target, target_id in targets:
            if question.target and (target, target_id) not in places:
                continue
            for role_id, prior in _implied(snapshot, stored.role_id):
                role = snapshot.roles.get(role_id)
                if role is not None and not role.domain_id:
                    yield Worked(Assignment(user_id, target_id, role_id, USER_ACTOR, target), stored, prior)


def _implied(snapshot: IdentitySnapshot, role_id: str) -> Iterator[tuple[str, str]]:
    """The role and all that it implies, each of these with the role that implies it."""
    waiting, seen = [(role_id, "")], set[str]()
    while waiting:
        one, prior = waiting.pop(0)
        role = snapshot.roles.get(one)
        if role is not None and one not in seen:
            seen.add(one)
            yield one, prior
            waiting += [(implied, one) for implied in role.implies]


def _exists(snapshot: IdentitySnapshot, held: Assignment, members: DirectoryMembers) -> bool:
    """What names a record that is gone is not told: ids never come back."""
    actor = members.user(snapshot, held.actor_id) if held.actor == USER_ACTOR else snapshot.groups.get(held.actor_id)
    target = held.target == SYSTEM_TARGET or (
        snapshot.projects.get(held.target_id) if held.target == PROJECT_TARGET else snapshot.domains.get(held.target_id)
    )
    return bool(actor and target and snapshot.roles.get(held.role_id))


def _target(snapshot: IdentitySnapshot, held: Assignment) -> dict[str, object]:
    if held.target == PROJECT_TARGET:
        return {"target.domain_id": snapshot.projects.require(held.target_id).domain_id}
    return {"target.domain_id": held.target_id if held.target == DOMAIN_TARGET else None}
