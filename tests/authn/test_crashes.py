"""The process dies at each write of what administrators and users do: what was acknowledged is so, and of what was not
nothing half done counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from authn.bootstrap import bootstrap
from authn.errors import UnauthorizedError
from authn.hashing import CHEAP, PasswordHasher
from authn.keys import PROJECT_TARGET, Assignment
from authn.records import ROLE, Role
from authn.rights import Rights, Scope
from authn.service import IdentityConfig, IdentityService
from store.registry import Registry, memory_registry
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud, issued
from tests.authn.test_v3 import ask
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.twins.clock import ManualClock

ROLES = 120
"""Held by ann in the project: more than one transaction deletes."""
WRITES_MAX = 40
"""More than any operation makes."""

PROVIDER = "/v3/OS-FEDERATION/identity_providers/acme"


class Scene:
    """A cloud between two lives of its process."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry: Registry = memory_registry(self.clock)
        self.ids: dict[str, str] = {}
        self.admin = ""
        self.anns = ""
        """A token of ann, who is a member of the project."""

    async def service(self, nursery: trio.Nursery, registry: Registry | None = None) -> IdentityService:
        """The process, over what there is."""
        config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP)
        service = IdentityService(registry or self.registry, config, clock=self.clock)
        await nursery.start(lambda task_status: service.run(task_status=task_status))
        return service

    async def set_up(self) -> None:
        made = await bootstrap(self.registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
        async with trio.open_nursery() as nursery:
            service = await self.service(nursery)
            cloud, administration = Cloud(self.registry, self.clock, service, made), service.administration
            project = await cloud.project("quarry")
            ann = await cloud.user("ann", project)
            self.admin = await cloud.admin_token()

            async def post(path: str, noun: str, **fields: Any) -> str:
                answer = await ask(cloud, "POST", f"/v3/{path}", {noun: fields}, token=self.admin)
                return str(answer.json[noun]["id"])

            self.ids = {"ann": ann.id, "project": project.id, **made.role_ids}
            self.ids["group"] = await post("groups", "group", name="masons")
            self.ids["domain"] = domain = await post("domains", "domain", name="d", enabled=False)
            await post("projects", "project", name="inside", domain_id=domain)
            await post("users", "user", name="bob", domain_id=domain, password=PASSWORD)
            for number in range(ROLES):
                role = Role(administration.new_id(), f"r{number}")
                await administration.create(ROLE, lambda snapshot: snapshot.roles, role)
                await administration.assign(Assignment(ann.id, project.id, role.id))
            nova = self.ids["service"] = await post("services", "service", type="compute", name="nova")
            registered = [{"service_id": nova, "resource_name": name, "default_limit": 9} for name in ("a", "b")]
            await ask(cloud, "POST", "/v3/registered_limits", {"registered_limits": registered}, token=self.admin)
            self.anns = issued(service, ann, project)
            nursery.cancel_scope.cancel()

    def limits(self) -> Any:
        named = {"service_id": self.ids["service"], "project_id": self.ids["project"], "resource_limit": 5}
        return {"limits": [{**named, "resource_name": name} for name in ("a", "b")]}


async def logs_in(service: IdentityService, name: str, password: str) -> bool:
    try:
        await service.login.by_name(name, password)
    except UnauthorizedError:
        return False
    return True


Look = Callable[[Scene, IdentityService], Awaitable[bool]]


@dataclass(frozen=True)
class Operation:
    """What is asked, and how it shows that all of it is so. Otherwise `undone` has to show, which is that everything is
    as it was."""

    method: str
    path: str
    body: Callable[[Scene], Any]
    done: Look
    undone: Look
    token: str = "admin"
    subject: bool = False


async def _user_made(scene: Scene, service: IdentityService) -> bool:
    return await logs_in(service, "cid", PASSWORD)


async def _no_user(scene: Scene, service: IdentityService) -> bool:
    cloud = Cloud(scene.registry, scene.clock, service, None)  # type: ignore[arg-type]
    body = {"user": {"name": "cid", "password": "other"}}
    return (await ask(cloud, "POST", "/v3/users", body, token=scene.admin)).status == 201  # the name is free


async def _new_password(scene: Scene, service: IdentityService) -> bool:
    old = await logs_in(service, "ann", PASSWORD)
    return await logs_in(service, "ann", "new") and not old and not await holds(scene, service)


async def _old_password(scene: Scene, service: IdentityService) -> bool:
    return await logs_in(service, "ann", PASSWORD) and await holds(scene, service)


async def holds(scene: Scene, service: IdentityService) -> bool:
    """Ann's token, with all roles that she holds."""
    held = await service.tokens.read(scene.anns)
    return held is not None and len(held.roles) == ROLES + 2


async def _holds_not(scene: Scene, service: IdentityService) -> bool:
    return await service.tokens.read(scene.anns) is None


async def _project_gone(scene: Scene, service: IdentityService) -> bool:
    cloud = Cloud(scene.registry, scene.clock, service, None)  # type: ignore[arg-type]
    if Rights(service.snapshot).projects(scene.ids["ann"]) or not await _holds_not(scene, service):
        return False
    new = await cloud.project("quarry")
    return not Rights(service.snapshot).roles(scene.ids["ann"], Scope(PROJECT_TARGET, new.id))


async def _user_gone(scene: Scene, service: IdentityService) -> bool:
    cloud = Cloud(scene.registry, scene.clock, service, None)  # type: ignore[arg-type]
    if service.snapshot.users.named(("default", "ann")) is not None or not await _holds_not(scene, service):
        return False
    new = await cloud.user("ann")
    return not Rights(service.snapshot).projects(new.id)


async def _role_gone(scene: Scene, service: IdentityService) -> bool:
    held = await service.tokens.read(scene.anns)
    return held is not None and len(held.roles) == ROLES


async def _more_roles(scene: Scene, service: IdentityService) -> bool:
    held = await service.tokens.read(scene.anns)
    return held is not None and {"manager"} <= {role.name for role in held.roles}


async def _in_group(scene: Scene, service: IdentityService) -> bool:
    return service.snapshot.groups_of(scene.ids["ann"]) == [scene.ids["group"]]


async def _in_no_group(scene: Scene, service: IdentityService) -> bool:
    return service.snapshot.groups_of(scene.ids["ann"]) == []


async def _provider_made(scene: Scene, service: IdentityService) -> bool:
    provider = service.snapshot.identity_providers.get("acme")
    return provider is not None and service.snapshot.domains.get(provider.domain_id) is not None


async def _no_provider(scene: Scene, service: IdentityService) -> bool:
    return not len(service.snapshot.identity_providers) and len(service.snapshot.domains) == 2


async def _domain_gone(scene: Scene, service: IdentityService) -> bool:
    return service.snapshot.domains.get(scene.ids["domain"]) is None and not any(
        one.domain_id == scene.ids["domain"] for one in (*service.snapshot.users, *service.snapshot.projects)
    )


async def _domain_can_be_deleted(scene: Scene, service: IdentityService) -> bool:
    """It is there, nobody gets in, and the same call goes on."""
    cloud = Cloud(scene.registry, scene.clock, service, None)  # type: ignore[arg-type]
    if service.snapshot.domains.require(scene.ids["domain"]).enabled:
        return False
    answer = await ask(cloud, "DELETE", f"/v3/domains/{scene.ids['domain']}", token=scene.admin)
    return answer.status == 204 and await _domain_gone(scene, service)


async def _limits(scene: Scene, service: IdentityService) -> bool:
    return len(service.snapshot.limits) == 2


async def _no_limits(scene: Scene, service: IdentityService) -> bool:
    return len(service.snapshot.limits) == 0


async def _renamed(scene: Scene, service: IdentityService) -> bool:
    projects = service.snapshot.projects
    cloud = Cloud(scene.registry, scene.clock, service, None)  # type: ignore[arg-type]
    return projects.named(("default", "pit")) is not None and bool(await cloud.project("quarry"))


async def _not_renamed(scene: Scene, service: IdentityService) -> bool:
    projects = service.snapshot.projects
    cloud = Cloud(scene.registry, scene.clock, service, None)  # type: ignore[arg-type]
    return projects.named(("default", "quarry")) is not None and bool(await cloud.project("pit"))


NOTHING: Callable[[Scene], Any] = lambda _: None  # noqa: E731
OPERATIONS = {
    "a user is made": Operation(
        "POST",
        "/v3/users",
        lambda _: {"user": {"name": "cid", "password": PASSWORD}},
        _user_made,
        _no_user,
    ),
    "a password is changed": Operation(
        "POST",
        "/v3/users/{ann}/password",
        lambda _: {"user": {"original_password": PASSWORD, "password": "new"}},
        _new_password,
        _old_password,
    ),
    "a user is disabled": Operation(
        "PATCH", "/v3/users/{ann}", lambda _: {"user": {"enabled": False}}, _holds_not, holds
    ),
    "a user is deleted": Operation("DELETE", "/v3/users/{ann}", NOTHING, _user_gone, holds),
    "a project is renamed": Operation(
        "PATCH", "/v3/projects/{project}", lambda _: {"project": {"name": "pit"}}, _renamed, _not_renamed
    ),
    "a project is deleted": Operation("DELETE", "/v3/projects/{project}", NOTHING, _project_gone, holds),
    "a role is given": Operation(
        "PUT", "/v3/projects/{project}/users/{ann}/roles/{manager}", NOTHING, _more_roles, holds
    ),
    "a role is taken": Operation(
        "DELETE", "/v3/projects/{project}/users/{ann}/roles/{member}", NOTHING, _role_gone, holds
    ),
    "a role is deleted": Operation("DELETE", "/v3/roles/{member}", NOTHING, _role_gone, holds),
    "a user joins a group": Operation("PUT", "/v3/groups/{group}/users/{ann}", NOTHING, _in_group, _in_no_group),
    "a provider is made": Operation(
        "PUT", PROVIDER, lambda _: {"identity_provider": {"enabled": True}}, _provider_made, _no_provider
    ),
    "limits are made": Operation("POST", "/v3/limits", Scene.limits, _limits, _no_limits),
    "a domain is deleted": Operation("DELETE", "/v3/domains/{domain}", NOTHING, _domain_gone, _domain_can_be_deleted),
    "a token is given back": Operation("DELETE", "/v3/auth/tokens", NOTHING, _holds_not, holds, subject=True),
}


async def lived(scene: Scene, operation: Operation, writes: int, *, answered: bool) -> bool:
    """Whether the operation was acknowledged, in a process that dies at that write."""
    mortal, acknowledged = MortalRegistry(scene.registry, None, answered=answered), False
    try:
        async with trio.open_nursery() as nursery:
            cloud = Cloud(mortal, scene.clock, await scene.service(nursery, mortal), None)  # type: ignore[arg-type]
            mortal.writes_left = writes
            headers = {"x-subject-token": scene.anns} if operation.subject else {}
            path = operation.path.format(**scene.ids)
            answer = await ask(cloud, operation.method, path, operation.body(scene), token=scene.admin, headers=headers)
            assert answer.status < 300, answer.text
            acknowledged = True
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as dead:
        if not dead.subgroup(DeadError):
            raise
    return acknowledged


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("name", list(OPERATIONS))
async def test_all_or_nothing(name: str, answered: bool) -> None:
    operation = OPERATIONS[name]
    for writes in range(WRITES_MAX):
        scene = Scene()
        await scene.set_up()
        acknowledged = await lived(scene, operation, writes, answered=answered)
        async with trio.open_nursery() as nursery:
            service = await scene.service(nursery)
            done = await operation.done(scene, service)
            assert done or (not acknowledged and await operation.undone(scene, service)), f"dead at write {writes}"
            if writes == 0:
                assert done is not answered or name == "a domain is deleted", "it has written something"
            nursery.cancel_scope.cancel()
        if acknowledged:
            return
    raise AssertionError("it never ends")
