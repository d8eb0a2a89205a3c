"""Which roles somebody has where: held or inherited, by themselves or by a group, and what these imply. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from authn.keys import (
    DOMAIN_TARGET,
    GROUP_ACTOR,
    PROJECT_TARGET,
    SYSTEM_ID,
    SYSTEM_TARGET,
    USER_ACTOR,
    Assignment,
)
from authn.records import Domain, Project, Role
from authn.snapshot import IdentitySnapshot


class Scope(NamedTuple):
    """What a token is for: a target's kind and id; both empty for none."""

    target: str = ""
    id: str = ""


UNSCOPED = Scope()
SYSTEM = Scope(SYSTEM_TARGET, SYSTEM_ID)


class Rights:
    """Questions about one snapshot."""

    def __init__(self, snapshot: IdentitySnapshot) -> None:
        self._snapshot = snapshot

    def roles(self, user_id: str, scope: Scope, groups: Iterable[str] = ()) -> list[Role]:
        """The roles that the user has in the scope and those that they imply, in the order of their names.

        `groups` are ids of groups that count besides those that the user is in, as a provider states them. Roles of a
        domain are left out: they only stand for what they imply.
        """
        actors = self._actors(user_id, groups)
        held = {one.role_id for actor in actors for one in self.assignments(*actor, scope)}
        return [role for role in self.expanded(held) if not role.domain_id]

    def assignments(self, actor: str, actor_id: str, scope: Scope) -> Iterator[Assignment]:
        """What the actor holds that counts in the scope."""
        held = self._snapshot.held
        for one in held.of_both(actor, actor_id, scope.target, scope.id):
            if not one.inherited:
                yield one
        for above in self.above(scope):
            for one in held.of_both(actor, actor_id, above.target, above.id):
                if one.inherited:
                    yield one

    def above(self, scope: Scope) -> Iterator[Scope]:
        """What a project inherits from: the projects over it, nearest first, then its domain."""
        project = self._snapshot.projects.get(scope.id) if scope.target == PROJECT_TARGET else None
        if project is None:
            return
        for parent in self.parents(project):
            yield Scope(PROJECT_TARGET, parent.id)
        yield Scope(DOMAIN_TARGET, project.domain_id)

    def parents(self, project: Project) -> Iterator[Project]:
        """The projects over a project, nearest first."""
        parent = self._snapshot.projects.get(project.parent_id)
        while parent is not None:
            yield parent
            parent = self._snapshot.projects.get(parent.parent_id)

    def subtree(self, project_id: str) -> list[Project]:
        """The projects below a project, or below a domain where it is one's id; parents before children."""
        by_parent: dict[str, list[Project]] = {}
        for project in self._snapshot.projects:
            by_parent.setdefault(project.parent_id or project.domain_id, []).append(project)
        found = list(by_parent.get(project_id, ()))
        for project in found:  # which grows on the way
            found += by_parent.get(project.id, ())
        return found

    def expanded(self, role_ids: Iterable[str]) -> list[Role]:
        """The roles and all that they imply, in the order of their names."""
        found: dict[str, Role] = {}
        waiting = list(role_ids)
        while waiting:
            role = self._snapshot.roles.get(waiting.pop())
            if role is not None and role.id not in found:
                found[role.id] = role
                waiting += role.implies
        return sorted(found.values(), key=lambda role: role.name)

    def projects(self, user_id: str, groups: Iterable[str] = ()) -> list[Project]:
        """The enabled projects that the user has a role in, by name."""
        found: dict[str, Project] = {}
        for actor in self._actors(user_id, groups):
            for one in self._snapshot.held.of_actor(*actor):
                if self._snapshot.roles.get(one.role_id) is None:
                    continue
                if one.inherited:
                    found |= {project.id: project for project in self.subtree(one.target_id)}
                elif one.target == PROJECT_TARGET:
                    project = self._snapshot.projects.get(one.target_id)
                    if project is not None:
                        found[project.id] = project
        usable = (one for one in found.values() if one.enabled and self._snapshot.domain_enabled(one.domain_id))
        return sorted(usable, key=lambda project: project.name)

    def domains(self, user_id: str, groups: Iterable[str] = ()) -> list[Domain]:
        """The enabled domains that the user has a role in, by name."""
        found: dict[str, Domain] = {}
        for actor in self._actors(user_id, groups):
            for one in self._snapshot.held.of_actor(*actor):
                domain = self._snapshot.domains.get(one.target_id) if one.target == DOMAIN_TARGET else None
                if domain is not None and domain.enabled and not one.inherited and self.expanded([one.role_id]):
                    found[domain.id] = domain
        return sorted(found.values(), key=lambda domain: domain.name)

    def system_roles(self, user_id: str, groups: Iterable[str] = ()) -> list[Role]:
        """The roles that the user has in the system."""
        return self.roles(user_id, SYSTEM, groups)

    def _actors(self, user_id: str, groups: Iterable[str]) -> list[tuple[str, str]]:
        known = {id_ for id_ in groups if self._snapshot.groups.get(id_) is not None}
        return [(USER_ACTOR, user_id), *((GROUP_ACTOR, id_) for id_ in {*self._snapshot.groups_of(user_id), *known})]
