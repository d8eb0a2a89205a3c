"""A cloud with a domain whose users are in a directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio

from authn.bootstrap import bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.records import DOMAIN, Domain
from authn.service import IdentityConfig, IdentityService
from store.registry import memory_registry
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud
from tests.authn.directories.fake import FakeDirectories, FakeDirectory
from tests.authn.test_v3 import ADMIN_SCOPE, Answer, ask, password_auth
from tests.twins.clock import ManualClock

LDAP: Any = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://10.9.8.7", "user": "cn=r", "password": "hush"}}


@dataclass
class Mine:
    """The cloud, the domain `staff` with its directory, and an administrator."""

    cloud: Cloud
    directories: FakeDirectories
    staff: Domain
    admin: str

    @property
    def directory(self) -> FakeDirectory:
        return self.directories[self.staff.id]

    @property
    def service(self) -> IdentityService:
        return self.cloud.service

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> Answer:
        return await ask(self.cloud, method, path, body, token=token or self.admin)

    async def domain(self, name: str) -> Domain:
        """Another domain with a directory."""
        domain = Domain(self.service.administration.new_id(), name)
        await self.service.administration.create(DOMAIN, lambda snapshot: snapshot.domains, domain)
        assert (await self.ask("PUT", f"/v3/domains/{domain.id}/config", {"config": LDAP})).status == 201
        return domain

    async def login(
        self, name: str = "", password: str = PASSWORD, scope: Any = None, *, domain_id: str = "", id_: str = ""
    ) -> Answer:
        """By id, or by name in `staff` or another domain."""
        who = {"id": id_} if id_ else {"name": name, "domain": {"id": domain_id or self.staff.id}}
        auth: Any = {"identity": {"methods": ["password"], "password": {"user": {**who, "password": password}}}}
        if scope is not None:
            auth["scope"] = scope
        return await ask(self.cloud, "POST", "/v3/auth/tokens", {"auth": auth})


@pytest.fixture
async def mine(nursery: trio.Nursery) -> Mine:
    clock, directories = ManualClock(), FakeDirectories()
    registry = memory_registry(clock)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP)
    service = IdentityService(registry, config, clock=clock, opener=directories.open)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    cloud = Cloud(registry, clock, service, made)
    admin = (await ask(cloud, "POST", "/v3/auth/tokens", password_auth("admin", scope=ADMIN_SCOPE))).headers
    found = Mine(cloud, directories, Domain("", ""), admin["x-subject-token"])
    found.staff = await found.domain("staff")
    found.directory.add("u1", "Alice", PASSWORD)
    found.directory.add("u2", "Bob", PASSWORD)
    found.directory.group("g1", "readers", "u1")
    return found
