"""The groups and projects that a mapping names, as they are here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from authn import keys
from authn.administration import Administration
from authn.directory import Directory
from authn.errors import UnauthorizedError
from authn.federation.mapped import MappedIdentity, MappedProject
from authn.keys import PROJECT_TARGET, USER_ACTOR, Assignment
from authn.records import PROJECT, Domain, Project, Role, User
from authn.shadow_users import referred_domain
from authn.snapshot import IdentitySnapshot
from store.core.errors import ConflictError, NotFoundError

GROUPS_MAX: Final = 128
"""Of one login: a token carries them."""


def group_ids(snapshot: IdentitySnapshot, mapped: MappedIdentity) -> tuple[str, ...]:
    """The ids of the groups. Those named by a name that is not here are passed over. Raises UnauthorizedError where one
    is named by an id that is not here, and for more than GROUPS_MAX."""
    for id_ in mapped.group_ids:
        if snapshot.groups.get(id_) is None:
            raise UnauthorizedError(f"The mapping names the group {id_}, which does not exist.")
    found = tuple(dict.fromkeys((*mapped.group_ids, *_named(snapshot, mapped))))
    if len(found) > GROUPS_MAX:
        raise UnauthorizedError(f"The mapping puts the user into more than {GROUPS_MAX} groups.")
    return found


def _named(snapshot: IdentitySnapshot, mapped: MappedIdentity) -> Iterator[str]:
    for group in mapped.groups:
        domain = referred_domain(snapshot, group.domain)
        found = snapshot.groups.named((domain.id, group.name)) if domain else None
        if found is not None:
            yield found.id


class MappedProjects:
    """Gives users the roles in projects that a mapping says; projects that are missing are made."""

    def __init__(self, directory: Directory, administration: Administration) -> None:
        self._directory = directory
        self._administration = administration

    async def give(self, user: User, mapped: Iterable[MappedProject], domain: Domain, *, take_others: bool) -> None:
        """Projects that name no domain are of `domain`. With `take_others` the user holds nothing else in any project
        afterwards. Raises NotFoundError for a role or a domain that does not exist, before anything is done."""
        planned = [(self._domain(project, domain), project.name, self._roles(project, user)) for project in mapped]
        wanted = []
        for domain_id, name, roles in planned:
            project = await self._project(domain_id, name)
            wanted += [Assignment(user.id, project.id, role.id) for role in roles]
        for held in wanted:
            await self._administration.assign(held)
        if not take_others:
            return
        for held in self._directory.snapshot.held.of_actor(USER_ACTOR, user.id) - set(wanted):
            if held.target == PROJECT_TARGET and not held.inherited:
                await self._administration.unassign(held)

    def _domain(self, project: MappedProject, own: Domain) -> str:
        if project.domain is None:
            return own.id
        found = referred_domain(self._directory.snapshot, project.domain)
        if found is None:
            raise NotFoundError(f"Could not find domain: {project.domain.id or project.domain.name}.")
        return found.id

    def _roles(self, project: MappedProject, user: User) -> list[Role]:
        """Those that can be held everywhere, and those of the user's domain."""
        found = []
        for name in project.roles:
            roles = self._directory.snapshot.roles
            role = roles.named(("", name.casefold())) or roles.named((user.domain_id, name.casefold()))
            if role is None:
                raise NotFoundError(f"Could not find role: {name}.")
            found.append(role)
        return found

    async def _project(self, domain_id: str, name: str) -> Project:
        known = self._directory.snapshot.projects.named((domain_id, name))
        if known is not None:
            return known
        try:
            return await self._administration.create_project(Project(self._administration.new_id(), name, domain_id))
        except ConflictError:  # another login made it a moment ago
            item = await self._directory.registry.get(keys.name(PROJECT, (domain_id, name)))
            if item is None:
                raise
            id_ = item.value.decode()
            await self._directory.refresh([keys.record(PROJECT, id_)])
            return self._directory.snapshot.projects.require(id_)
