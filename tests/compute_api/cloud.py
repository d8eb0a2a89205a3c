"""The compute API as its clients ask it."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from authn.service import IdentityService
from compute_plugin.records.action import Migration
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.records.states import HOSTS, HostState, States
from compute_plugin.service import ComputeService
from compute_plugin.settings import Settings
from compute_plugin.v2.app import ComputeApp
from compute_plugin.v2.proxies.askers import Askers
from store.core.entropy import SystemRandom
from store.registry import Delete, Put, Registry, memory_registry
from tests.gateway_rest.service import Answer, ask
from tests.gateway_volumes.cloud import Tokens
from tests.twins.clock import ManualClock

SMALL = Flavor(id="2", name="m1.small", vcpus=1, ram=2048, disk=20)


class Directory:
    """Of projects."""

    async def refresh(self, keys: list[bytes]) -> None:
        """Nobody else makes any."""


class Cloud:
    """Start `service.run` first. A token is a role and a project, such as `member@blue`."""

    def __init__(
        self,
        registry: Registry | None = None,
        settings: Settings | None = None,
        askers: Askers | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock(tick_us=1)
        self.registry = registry or memory_registry(self.clock)
        projects = dict.fromkeys(("blue", "green"), True)
        identity = SimpleNamespace(tokens=Tokens(), snapshot=SimpleNamespace(projects=projects), directory=Directory())
        self.service = ComputeService(
            self.registry,
            cast(IdentityService, identity),
            self.clock,
            SystemRandom(),
            settings=settings,
            askers=askers,
        )
        self.app = ComputeApp(self.service)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "member@blue",
        version: str | None = "2.96",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is behind `/compute/v2.1`; None of `version`: the client says nothing."""
        said = {"X-Auth-Token": token, **(headers or {})}
        if version is not None:
            said["OpenStack-API-Version"] = f"compute {version}"
        return await ask(self.app, method, f"/compute/v2.1{path}", said, body)

    async def admin(self, method: str, path: str, body: Any = None, version: str = "2.96") -> Answer:
        return await self.ask(method, path, body, "admin@blue", version)

    async def got(self, path: str, token: str = "member@blue", version: str = "2.96") -> Any:
        """What a GET that works answers."""
        answer = await self.ask("GET", path, token=token, version=version)
        assert answer.status == 200, answer.body
        return answer.json

    async def done(
        self, method: str, path: str, body: Any = None, version: str = "2.96", token: str = "admin@blue"
    ) -> Any:
        """What a request answers that works."""
        answer = await self.ask(method, path, body, token, version)
        assert 200 <= answer.status < 300, answer.body
        return answer.json if answer.body else None

    async def refused(
        self,
        status: int,
        method: str,
        path: str,
        body: Any = None,
        token: str = "admin@blue",
        version: str = "2.96",
    ) -> str:
        """The message of a refusal."""
        answer = await self.ask(method, path, body, token, version)
        assert answer.status == status, (answer.status, answer.body)
        (error,) = answer.json.values()
        assert error["code"] == status
        return str(error["message"])

    async def host(self, name: str, **said: Any) -> HostState:
        """A host whose agent lives."""
        held: dict[str, Any] = {
            "uuid": f"00000000-0000-4000-8000-{sum(name.encode()):012d}",
            "vcpus": 8,
            "memory_mib": 16_384,
            "disk_gib": 100,
            "free_disk_gib": 90,
            "version": 8_002_000,
            "cpu": {"arch": "x86_64", "model": "Nehalem"},
            "started_us": self.clock.now_us,
            "seen_us": self.clock.now_us,
        }
        state = HostState(id=name, **(held | said))
        states = self.service.states
        await self.registry.transact([], [Put(_key(name), HOSTS.codec.encode(state))])
        while states.states.hosts.get(name) != state:
            await states.changed()
        return state

    async def host_gone(self, name: str) -> None:
        """Its agent lives no more."""
        await self.registry.transact([], [Delete(_key(name))])
        while self.service.states.states.hosts.get(name) is not None:
            await self.service.states.changed()

    async def server(self, id_: str = "", project: str = "blue", **said: Any) -> Server:
        """A server as the records have it."""
        now_us = self.clock.wall_us()

        def step(records: Records) -> Server:
            number = records.next_number("server")
            held: dict[str, Any] = {
                "id": id_ or self.service.new_id(),
                "number": number,
                "project_id": project,
                "user_id": "member-id",
                "name": f"server-{number}",
                "hostname": f"server-{number}",
                "flavor": SMALL,
                "created_us": now_us,
                "updated_us": now_us,
                "state": VmState.ACTIVE,
            }
            made = Server(**(held | said))
            records.servers.put(made)
            return made

        return await self.service.store.change(step)

    async def migration(self, **said: Any) -> Migration:
        """A migration as the records have it."""
        now_us = self.clock.wall_us()

        def step(records: Records) -> Migration:
            held: dict[str, Any] = {
                "id": self.service.new_id(),
                "number": records.next_number("migration"),
                "server_id": self.service.new_id(),
                "project_id": "blue",
                "user_id": "member-id",
                "type": "migration",
                "status": "finished",
                "source": "one",
                "target": "two",
                "old_flavor_id": "1",
                "new_flavor_id": "m1.odd",
                "created_us": now_us,
                "updated_us": now_us,
            }
            made = Migration(**(held | said))
            records.migrations.put(made)
            return made

        return await self.service.store.change(step)


def _key(name: str) -> bytes:
    return States().key_of(HOSTS, name)
