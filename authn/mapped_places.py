"""The groups and projects that a mapping names, as they are here."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Final

import structlog

from authn import keys
from authn.administration import Administration
from authn.backends.backend import DirectoryAwayError
from authn.directory import Directory
from authn.errors import UnauthorizedError
from authn.federation.mapped import MappedIdentity, MappedProject
from authn.keys import PROJECT_TARGET, USER_ACTOR, Assignment
from authn.records import PROJECT, Domain, Project, Role, User
from authn.shadow_users import referred_domain
from authn.shadows import Shadows
from authn.snapshot import IdentitySnapshot
from store.core.errors import ConflictError, NotFoundError, RetryableError

GROUPS_MAX: Final = 128
"""Of one login: a token carries them."""

_log: Final = structlog.get_logger(__name__)


class MappedGroups:
    """Finds the groups that a mapping names, here or in the directory of a domain."""

    def __init__(self, directory: Directory, shadows: Shadows) -> None:
        self._directory = directory
        self._shadows = shadows

    async def ids(self, mapped: MappedIdentity) -> tuple[str, ...]:
        """The ids of the groups. Those named by a name that is not here are passed over. Raises UnauthorizedError where
        one is named by an id that is not here, and for more than GROUPS_MAX; RetryableError where a directory is away.
        """
        try:
            found = tuple(dict.fromkeys([*await self._by_id(mapped), *await self._by_name(mapped)]))
        except DirectoryAwayError as error:
            _log.warning("a login waits for a directory that is away", error=str(error))
            raise RetryableError("a domain's directory is away") from error  # which strangers are not told
        if len(found) > GROUPS_MAX:
            raise UnauthorizedError(f"The mapping puts the user into more than {GROUPS_MAX} groups.")
        return found

    async def _by_id(self, mapped: MappedIdentity) -> list[str]:
        elsewhere = [id_ for id_ in mapped.group_ids if self._snapshot.groups.get(id_) is None]
        self._require_few(elsewhere)
        for id_ in elsewhere:
            if await self._shadows.find_group(id_, self._shadows.backends.domains()) is None:
                raise UnauthorizedError(f"The mapping names the group {id_}, which does not exist.")
        return list(mapped.group_ids)

    async def _by_name(self, mapped: MappedIdentity) -> list[str]:
        found, elsewhere = list[str](), list[tuple[str, str]]()
        for group in mapped.groups:
            domain = referred_domain(self._snapshot, group.domain)
            if domain is None:
                continue
            here = self._snapshot.groups.named((domain.id, group.name))
            if here is not None:
                found.append(here.id)
            elif self._shadows.backends.serves(domain.id):
                elsewhere.append((domain.id, group.name))
        self._require_few(elsewhere)
        for domain_id, name in elsewhere:
            found += [group.id for group in await self._shadows.kept_groups(domain_id, name)]
        return found

    def _require_few(self, asked: Sized) -> None:
        """A directory is asked once for each, and it is others who say how many there are."""
        if len(asked) > GROUPS_MAX:
            raise UnauthorizedError(f"The mapping names more than {GROUPS_MAX} groups of directories.")

    @property
    def _snapshot(self) -> IdentitySnapshot:
        return self._directory.snapshot


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
