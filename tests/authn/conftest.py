"""A bootstrapped identity, ready to ask."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio

from authn.bootstrap import Bootstrapped, bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.keys import PROJECT_TARGET, Assignment
from authn.records import Project, User
from authn.rights import UNSCOPED, Scope
from authn.service import IdentityConfig, IdentityService
from authn.tokens import Proof
from store.registry import Registry, memory_registry
from tests.twins.clock import ManualClock

PASSWORD = "open sesame"
LIFETIME_S = 3600


@dataclass
class Cloud:
    """A registry, the service over it, and what was made at first."""

    registry: Registry
    clock: ManualClock
    service: IdentityService
    made: Bootstrapped

    async def project(self, name: str) -> Project:
        return await self.service.administration.create_project(Project(self.service.administration.new_id(), name))

    async def user(self, name: str, project: Project | None = None, role: str = "member") -> User:
        """A user with the usual password."""
        administration = self.service.administration
        user = await administration.create_user(User(administration.new_id(), name), PASSWORD)
        if project is not None:
            await administration.assign(Assignment(user.id, project.id, self.made.role_ids[role]))
        return user

    async def token(self, name: str, project: Project | None = None) -> str:
        user = await self.service.login.by_name(name, PASSWORD)
        return issued(self.service, user, project)

    async def admin_token(self) -> str:
        return await self.token("admin", self.service.snapshot.projects.require(self.made.project_id))

    async def another(self, nursery: trio.Nursery) -> IdentityService:
        """A second process's service over the same registry."""
        other = IdentityService(self.registry, IdentityConfig(LIFETIME_S, hash_cost=CHEAP), clock=self.clock)
        await nursery.start(lambda task_status: other.run(task_status=task_status))
        return other


def issued(service: IdentityService, user: User, project: Project | None = None) -> str:
    """A token for a user who has shown a password."""
    scope = UNSCOPED if project is None else Scope(PROJECT_TARGET, project.id)
    return service.tokens.issue(Proof(user, frozenset({"password"})), scope)[0]


@pytest.fixture
async def cloud(nursery: trio.Nursery) -> Cloud:
    clock = ManualClock()
    registry = memory_registry(clock)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    service = IdentityService(registry, IdentityConfig(LIFETIME_S, hash_cost=CHEAP), clock=clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    return Cloud(registry, clock, service, made)
