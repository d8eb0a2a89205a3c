"""What an operator does on the command line, by names, straight over the registry: no token, no server needed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from authn import keys
from authn.administration import Administration
from authn.bootstrap import generated_password
from authn.directory import Directory
from authn.hashing import HashCost, PasswordHasher
from authn.keys import DOMAIN_TARGET, PROJECT_TARGET, USER_ACTOR, Assignment
from authn.records import DEFAULT_DOMAIN, DOMAIN, Project, Role, User
from authn.snapshot import IdentitySnapshot
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, NotFoundError
from store.registry import Registry


@dataclass(frozen=True)
class UserLine:
    """A user in a list. `roles` has lines such as `admin in quarry`."""

    name: str
    id: str
    enabled: bool
    roles: tuple[str, ...]


@dataclass(frozen=True)
class ProjectLine:
    """A project in a list, and how many users hold roles in it."""

    name: str
    id: str
    enabled: bool
    users: int


class Operator:
    """Made by `open_operator`."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    @property
    def _snapshot(self) -> IdentitySnapshot:
        return self._administration.snapshot

    # -- users ---------------------------------------------------------------------------------------------------

    def users(self) -> list[UserLine]:
        """All users, by name."""
        snapshot = self._snapshot
        lines = []
        for user in sorted(snapshot.users, key=lambda user: user.name):
            held = [
                f"{role.name} in {_target(snapshot, one)}"
                for one in snapshot.held.of_actor(USER_ACTOR, user.id)
                if (role := snapshot.roles.get(one.role_id)) is not None
            ]
            lines.append(UserLine(user.name, user.id, user.enabled, tuple(sorted(held))))
        return lines

    async def add_user(self, name: str, project: str, role: str, password: str | None = None) -> str:
        """A new user with a role in a project. Their password, made up where none is given."""
        project_id, role_id = self._project(project).id, self._role(role).id
        password = password or generated_password()
        user = await self._administration.create_user(User(self._administration.new_id(), name), password)
        await self._administration.assign(Assignment(user.id, project_id, role_id))
        return password

    async def remove_user(self, name: str) -> None:
        """The user is gone, and their tokens with them."""
        await self._administration.delete_user(self._user(name).id)

    async def set_password(self, name: str, password: str | None = None) -> str:
        """A new password, made up where none is given; it ends the user's tokens. Who was inactive is so no more."""
        password = password or generated_password()
        await self._administration.update_user(
            self._user(name).id, lambda before: replace(before, active_day=0), password=password
        )
        return password

    async def grant(self, name: str, project: str, role: str) -> None:
        """The user holds the role in the project."""
        await self._administration.assign(self._assignment(name, project, role))

    async def revoke(self, name: str, project: str, role: str) -> None:
        """The user no longer holds the role in the project. Raises NotFoundError where they did not."""
        await self._administration.unassign(self._assignment(name, project, role))

    # -- projects ------------------------------------------------------------------------------------------------

    def projects(self) -> list[ProjectLine]:
        """All projects, by name."""
        return [
            ProjectLine(
                project.name,
                project.id,
                project.enabled,
                len(
                    {
                        held.actor_id
                        for held in self._snapshot.held.in_target(PROJECT_TARGET, project.id)
                        if held.actor == USER_ACTOR and self._snapshot.users.get(held.actor_id) is not None
                    }
                ),
            )
            for project in sorted(self._snapshot.projects, key=lambda project: project.name)
        ]

    async def add_project(self, name: str, description: str = "", id_: str | None = None) -> str:
        """A new project, under an id that it had before where one is given. Its id."""
        project = Project(id_ or self._administration.new_id(), name, description=description)
        return (await self._administration.create_project(project)).id

    async def remove_project(self, name: str) -> None:
        """The project is gone, and the roles held in it. What it owns in the store stays until somebody removes it."""
        await self._administration.delete_project(self._project(name).id)

    # -- names ---------------------------------------------------------------------------------------------------

    def _assignment(self, name: str, project: str, role: str) -> Assignment:
        return Assignment(self._user(name).id, self._project(project).id, self._role(role).id)

    def _user(self, name: str) -> User:
        found = self._snapshot.users.named((DEFAULT_DOMAIN, name))
        if found is None:
            raise NotFoundError(f"there is no user {name}")
        return found

    def _project(self, name: str) -> Project:
        found = self._snapshot.projects.named((DEFAULT_DOMAIN, name))
        if found is None:
            raise NotFoundError(f"there is no project {name}")
        return found

    def _role(self, name: str) -> Role:
        found = self._snapshot.roles.named(("", name.casefold()))
        if found is None:
            known = ", ".join(sorted(role.name for role in self._snapshot.roles))
            raise NotFoundError(f"there is no role {name}; there are {known}")
        return found


def _target(snapshot: IdentitySnapshot, held: Assignment) -> str:
    """What a role is held in, as people call it."""
    if held.target == PROJECT_TARGET:
        project = snapshot.projects.get(held.target_id)
        return project.name if project else held.target_id
    if held.target == DOMAIN_TARGET:
        domain = snapshot.domains.get(held.target_id)
        return f"domain {domain.name if domain else held.target_id}"
    return "system"


async def open_operator(registry: Registry, hash_cost: HashCost | None = None) -> Operator:
    """Reads identity once. Raises ConflictError where it was never bootstrapped."""
    directory = Directory(registry)
    await directory.load()
    if not directory.snapshot.revision(keys.record(DOMAIN, DEFAULT_DOMAIN)):
        raise ConflictError("there is no identity in this registry yet: start the server once")
    return Operator(Administration(directory, PasswordHasher(hash_cost), SystemRandom()))
