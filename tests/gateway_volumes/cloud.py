"""The volume API as its clients ask it, over twins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import trio
import trio.testing

from authn.identity import Identity
from authn.service import IdentityService
from gateway.rest.policy import Credentials
from gateway.volumes.app import VolumeApp
from gateway.volumes.service import VolumeService
from gateway.volumes.types_store import StoragePolicy
from store.core.entropy import SystemRandom
from store.registry import Registry, memory_registry
from tests.gateway_rest.service import Answer, ask
from tests.twins.clock import ManualClock
from tests.twins.images import MemoryImages
from tests.twins.objects import MemoryStore
from tests.twins.volumes import MemoryVolumes

ROLES = {
    "admin": ("admin", "manager", "member", "reader"),
    "manager": ("manager", "member", "reader"),
    "member": ("member", "reader"),
    "reader": ("reader",),
    "stranger": (),
}
PATIENCE_S = 60


@dataclass(frozen=True)
class Held:
    """A token that holds."""

    identity: Identity
    allowed: None = None
    roles: tuple[SimpleNamespace, ...] = ()

    @property
    def credentials(self) -> Credentials:
        return self.identity.credentials


class Tokens:
    """A token is a role and a project, such as `member@blue`; `service` is the service token."""

    async def read(self, token: str, certificate: str = "", *, expired_s: int = 0) -> Held | None:
        role, _, project = token.partition("@")
        if role == "service":
            return Held(_identity(role, "service", ("service",)), roles=(SimpleNamespace(name="service"),))
        return Held(_identity(role, project, ROLES[role])) if role in ROLES else None


def _identity(user: str, project: str, roles: tuple[str, ...]) -> Identity:
    return Identity(
        user_id=f"{user}-id",
        user_name=user,
        project_id=project,
        project_name=project,
        roles=frozenset(roles),
        expires_at=4e9,
    )


class Exports:
    """Where volumes are found, and which were cut off."""

    def __init__(self) -> None:
        self.cut: list[str] = []

    def place(self) -> dict[str, object]:
        return {"socket": "/data/nbd.sock"}

    async def cut_off(self, name: str) -> None:
        self.cut.append(name)


class Cloud:
    """Start `service.run` first."""

    def __init__(
        self,
        registry: Registry | None = None,
        before: Cloud | None = None,
        objects: MemoryStore | None = None,
        policies: tuple[str, ...] = ("standard", "fast"),
        store: MemoryVolumes | None = None,
    ) -> None:
        """`before`: the one of a process before, whose store, objects and images these are. The first of the storage
        `policies` is the default."""
        self.clock: ManualClock = ManualClock(tick_us=1) if before is None else before.clock
        self.registry = registry or memory_registry(self.clock)
        self.store: MemoryVolumes = store or (MemoryVolumes(policies) if before is None else before.store)
        self.objects: MemoryStore = objects or (MemoryStore(self.clock) if before is None else before.objects)
        self.images: MemoryImages = MemoryImages(self.store) if before is None else before.images
        self.exports = Exports()
        known = [StoragePolicy(name, name == policies[0]) for name in policies]
        identity = cast(IdentityService, SimpleNamespace(tokens=Tokens()))
        self.service = VolumeService(
            self.registry,
            identity,
            self.store,
            self.exports,
            self.images,
            known,
            self.clock,
            SystemRandom(),
            objects=self.objects,
        )
        self.app = VolumeApp(self.service)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "member@blue",
        version: str = "3.70",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is behind `/volume/v3`."""
        said = {"OpenStack-API-Version": f"volume {version}", "X-Auth-Token": token, **(headers or {})}
        return await ask(self.app, method, f"/volume/v3{path}", said, body)

    async def create(self, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        """A volume, once it is there."""
        body = {"volume": {"size": 1, **asked}}
        answer = await self.ask("POST", "/volumes", body, token)
        assert answer.status == 202, answer.body
        assert answer.json["volume"]["status"] == "creating"
        return await self.settled(answer.json["volume"]["id"], token)

    async def snapshot(self, volume_id: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        """A snapshot, once it is there."""
        answer = await self.ask("POST", "/snapshots", {"snapshot": {"volume_id": volume_id, **asked}}, token)
        assert answer.status == 202, answer.body
        return await self.settled(answer.json["snapshot"]["id"], token, "snapshot")

    async def show(self, id_: str, token: str = "member@blue", kind: str = "volume") -> dict[str, Any]:
        answer = await self.ask("GET", f"/{kind}s/{id_}", token=token)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json[kind]
        return found

    async def settled(self, id_: str, token: str = "member@blue", kind: str = "volume") -> dict[str, Any]:
        """Once nothing is being done with it."""
        with trio.fail_after(PATIENCE_S):
            while True:
                found = await self.show(id_, token, kind)
                status = found["status"]
                working = status.endswith(("ing", "backing-up", "restoring-backup")) and not status.startswith("error")
                if not working or status in ("attaching", "detaching"):
                    return found
                await trio.testing.wait_all_tasks_blocked()

    async def gone(self, id_: str, kind: str = "volume") -> None:
        """Once it is."""
        with trio.fail_after(PATIENCE_S):
            while (await self.ask("GET", f"/{kind}s/{id_}", token="admin@blue")).status != 404:
                await trio.testing.wait_all_tasks_blocked()

    async def act(
        self, id_: str, action: str, arguments: Any = None, token: str = "member@blue", version: str = "3.70"
    ) -> Answer:
        """An action of a volume."""
        return await self.ask("POST", f"/volumes/{id_}/action", {action: arguments}, token, version)

    async def used(self, project: str = "blue") -> dict[str, int]:
        """What counts against the quota, without what is counted by type; nothing is reserved."""
        standing = await self.service.quotas.show(project)
        assert all(one.reserved == 0 for one in standing.values())
        return {name: one.in_use for name, one in standing.items() if one.in_use and "_" not in name}

    async def read(self, name: str, length: int = 16) -> bytes:
        """The beginning of a volume of the store."""
        async with self.store.open(name) as disk:
            return b"".join(bytes(piece) for piece in await disk.read(0, length))

    async def write(self, id_: str, data: bytes) -> None:
        async with self.store.open(f"volume-{id_}") as disk:
            await disk.write(0, data)
