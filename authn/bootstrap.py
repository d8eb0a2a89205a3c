"""The first domain, roles, project, user and catalogue: what must be there before anybody can log in."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from authn import keys, token_keys, vault
from authn.administration import Administration
from authn.directory import Directory
from authn.errors import UnreadableError
from authn.hashing import PasswordHasher
from authn.keys import SYSTEM_ID, SYSTEM_TARGET, USER_ACTOR, Assignment
from authn.records import (
    DEFAULT_DOMAIN,
    DOMAIN,
    ENDPOINT,
    REGION,
    ROLE,
    SERVICE,
    Domain,
    Endpoint,
    Project,
    R,
    Region,
    Role,
    Service,
    User,
)
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from store.core.entropy import Random, SystemRandom
from store.core.errors import ConflictError
from store.registry import Registry

ROLES: Final = ("reader", "member", "manager", "admin")
"""Each implies the one before it."""

LONE_ROLES: Final = ("service", "ResellerAdmin")

ATTEMPTS: Final = 64
"""More than there are things to be made: each that fails means that another machine has made one of them."""

INTERFACES: Final = ("public", "internal", "admin")

CATALOGUE: Final = (
    ("identity", "keystone", "/identity"),
    ("object-store", "swift", "/v1/AUTH_%(project_id)s"),
    ("image", "glance", "/image"),
    ("volumev3", "cinderv3", "/volume/v3/%(project_id)s"),
    ("block-storage", "cinder", "/volume/v3"),
    ("network", "neutron", "/network"),
    ("compute", "nova", "/compute/v2.1"),
    ("placement", "placement", "/placement"),
)
"""Type, name, and the path of the URL."""


@dataclass(frozen=True)
class Bootstrapped:
    """What is there now. `password` is the administrator's where it was set just now, else None."""

    project_id: str
    user_id: str
    role_ids: dict[str, str]
    password: str | None
    created: tuple[str, ...]


def generated_password() -> str:
    """One that nobody guesses: 24 characters."""
    return secrets.token_urlsafe(18)


async def bootstrap(
    registry: Registry,
    *,
    password: str | None = None,
    base_url: str = "",
    region: str = "RegionOne",
    user_name: str = "admin",
    project_name: str = "admin",
    project_id: str | None = None,
    hasher: PasswordHasher | None = None,
    random: Random | None = None,
    directory: Directory | None = None,
) -> Bootstrapped:
    """Makes what is missing and leaves the rest, so it may run at every start.

    `password`: the administrator's from now on; None keeps the present one, or makes one up for a new user. `base_url`:
    scheme, host and port before the paths of the catalogue; empty: clients are told the host that they asked, which
    suits a machine with many names. `project_id`: the project's, where it is made now; what was stored under a lost
    registry is reached by it. `directory`: the one that is to be served from; it has been loaded afterwards.
    """
    random, hasher = random or SystemRandom(), hasher or PasswordHasher()
    directory = directory or Directory(registry, silent=True)
    making = _Making(registry, Administration(directory, hasher, random), hasher, created=[])
    if await token_keys.ensure(registry, random):
        making.created.append("token keys")
    if await vault.ensure(registry, random):
        making.created.append("credential keys")
    for attempt in range(ATTEMPTS):
        await directory.load()
        try:
            return await making.everything(base_url.rstrip("/"), region, project_name, project_id, user_name, password)
        except ConflictError:
            # Another machine of a new cluster makes the same at the same time; what it made is there by now.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


@dataclass
class _Making:
    registry: Registry
    administration: Administration
    hasher: PasswordHasher
    created: list[str]
    password: str | None = None

    async def everything(
        self,
        base_url: str,
        region: str,
        project_name: str,
        project_id: str | None,
        user_name: str,
        password: str | None,
    ) -> Bootstrapped:
        await self.domain()
        role_ids = await self.roles()
        await self.catalogue(base_url, region)
        project_id = await self.project(project_name, project_id)
        user_id = await self.user(user_name, password)
        with suppress(UnreadableError):  # which has been said; what there is stays as it is
            await self.administration.assign(Assignment(user_id, project_id, role_ids["admin"]))
            await self.administration.assign(
                Assignment(user_id, SYSTEM_ID, role_ids["admin"], USER_ACTOR, SYSTEM_TARGET)
            )
        return Bootstrapped(project_id, user_id, role_ids, self.password, tuple(self.created))

    @property
    def snapshot(self) -> IdentitySnapshot:
        return self.administration.snapshot

    async def _unreadable(self, table: Table[R], unique_name: tuple[str, str]) -> str:
        """The id of a record that has the name and cannot be read here, "" where there is none: it is not missing."""
        key = keys.name(table.kind, unique_name)
        item = await self.registry.get(key) if self.snapshot.revision(key) else None
        id_ = item.value.decode() if item else ""
        return id_ if table.is_unreadable(id_) else ""

    async def domain(self) -> None:
        if not self.snapshot.revision(keys.record(DOMAIN, DEFAULT_DOMAIN)):
            domain = Domain(DEFAULT_DOMAIN, "Default", "The default domain")
            await self.administration.create(DOMAIN, lambda snapshot: snapshot.domains, domain)
            self.created.append("domain Default")

    async def roles(self) -> dict[str, str]:
        ids: dict[str, str] = {}
        implied: tuple[str, ...] = ()
        for name in ROLES:
            ids[name] = await self._role(name, implied)
            implied = (ids[name],)
        for name in LONE_ROLES:
            ids[name] = await self._role(name, ())
        return ids

    async def _role(self, name: str, implies: tuple[str, ...]) -> str:
        role = Role(self.administration.new_id(), name, implies=implies)
        known = self.snapshot.roles.named(role.unique_name)
        if known is not None:
            return known.id
        if id_ := await self._unreadable(self.snapshot.roles, role.unique_name):
            return id_
        await self.administration.create(ROLE, lambda snapshot: snapshot.roles, role)
        self.created.append(f"role {name}")
        return role.id

    async def catalogue(self, base_url: str, region: str) -> None:
        for name in {region, *(endpoint.region for endpoint in self.snapshot.endpoints)}:
            if not self.snapshot.revision(keys.record(REGION, name)):
                await self.administration.create(REGION, lambda snapshot: snapshot.regions, Region(name))
                self.created.append(f"region {name}")
        for type_, name, path in CATALOGUE:
            service = next((known for known in self.snapshot.services if known.type == type_), None)
            if service is None:
                service = Service(_same_id("service", type_), type_, name)
                if self.snapshot.services.is_unreadable(service.id):
                    continue
                await self.administration.create(SERVICE, lambda snapshot: snapshot.services, service)
                self.created.append(f"service {type_}")
            for interface in INTERFACES:
                await self._endpoint(service, interface, base_url + path, region)

    async def _endpoint(self, service: Service, interface: str, url: str, region: str) -> None:
        source = service.id, interface, region
        known = next((e for e in self.snapshot.endpoints if (e.service_id, e.interface, e.region) == source), None)
        if known is None:
            endpoint = Endpoint(_same_id("endpoint", *source), service.id, interface, url, region)
            if self.snapshot.endpoints.is_unreadable(endpoint.id):
                return
            await self.administration.create(ENDPOINT, lambda snapshot: snapshot.endpoints, endpoint)
            self.created.append(f"{interface} endpoint of {service.type}")
        elif known.url != url:
            await self.administration.update(
                ENDPOINT, lambda snapshot: snapshot.endpoints, known.id, lambda endpoint: replace(endpoint, url=url)
            )

    async def project(self, name: str, id_: str | None) -> str:
        known = self.snapshot.projects.named((DEFAULT_DOMAIN, name))
        if known is not None:
            return known.id
        if there := await self._unreadable(self.snapshot.projects, (DEFAULT_DOMAIN, name)):
            return there
        project = Project(id_ or self.administration.new_id(), name, description="Made at the first start")
        await self.administration.create_project(project)
        self.created.append(f"project {name}")
        return project.id

    async def user(self, name: str, password: str | None) -> str:
        known = self.snapshot.users.named((DEFAULT_DOMAIN, name))
        if known is None and (there := await self._unreadable(self.snapshot.users, (DEFAULT_DOMAIN, name))):
            if password is not None:
                self.snapshot.users.require(there)  # says why that cannot be
            return there
        if known is None:
            password = password or generated_password()
            user = await self.administration.create_user(User(self.administration.new_id(), name), password)
            self.created.append(f"user {name}")
            self.password = password
            return user.id
        if password is not None and not await self.hasher.verify(known.password_hash, password):
            await self.administration.update_user(known.id, password=password)
            self.password = password
        return known.id


def _same_id(*parts: str) -> str:
    """An id that every machine arrives at: services have no unique names that would keep two of them apart."""
    return uuid5(NAMESPACE_URL, "/".join(("drystone", *parts))).hex
