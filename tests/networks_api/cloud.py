"""The network API as its clients ask it."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from authn.service import IdentityService
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.app import NetworkApp
from store.core.entropy import SystemRandom
from store.registry import Registry, memory_registry
from tests.gateway_rest.service import Answer, ask
from tests.gateway_volumes.cloud import Tokens
from tests.twins.clock import ManualClock


class Cloud:
    """Start `service.run` first. A token is a role and a project, such as `member@blue`."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.clock = ManualClock(tick_us=1)
        self.registry = registry or memory_registry(self.clock)
        identity = cast(IdentityService, SimpleNamespace(tokens=Tokens()))
        self.service = NetworkService(self.registry, identity, self.clock, SystemRandom())
        self.app = NetworkApp(self.service)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "member@blue",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is behind `/network/v2.0`."""
        return await ask(self.app, method, f"/network/v2.0{path}", {"X-Auth-Token": token, **(headers or {})}, body)

    async def create(self, singular: str, path: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        """Of any kind of resource."""
        answer = await self.ask("POST", path, {singular: asked}, token)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json[singular]
        return found

    async def network(self, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        return await self.create("network", "/networks", token, **asked)

    async def update(self, singular: str, path: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        """Of any kind of resource."""
        answer = await self.ask("PUT", path, {singular: asked}, token)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json[singular]
        return found

    async def listed(self, plural: str, path: str, token: str = "member@blue") -> list[dict[str, Any]]:
        answer = await self.ask("GET", path, token=token)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json[plural]
        return found

    async def refused(
        self, status: int, type_: str, method: str, path: str, body: Any = None, token: str = "member@blue"
    ) -> str:
        """The message of a refusal."""
        answer = await self.ask(method, path, body, token)
        assert answer.status == status, answer.body
        error = answer.json["NeutronError"]
        assert error["type"] == type_, error
        return str(error["message"])
