"""The image registry as its clients ask it, over twins."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

import trio

from authn.identity import Identity
from authn.service import IdentityService
from gateway.rest.policy import Credentials
from image_registry.service import ImageConfig, ImageService
from image_registry.v2.app import ImageApp
from store.core.entropy import SystemRandom
from store.objects.model import ListingQuery, Policy
from store.registry import Registry, memory_registry
from tests.gateway_rest.service import Answer
from tests.twins.clock import ManualClock
from tests.twins.objects import MemoryStore
from tests.twins.volumes import MemoryVolumes

ROLES = {
    "admin": ("admin", "manager", "member", "reader"),
    "member": ("member", "reader"),
    "reader": ("reader",),
    "stranger": (),
}
PATIENCE_S = 60
OCTETS = "application/octet-stream"
PATCH = "application/openstack-images-v2.1-json-patch"
_EVERYTHING = ListingQuery(10_000)


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
    """A token is a role and a project, such as `member@blue`."""

    async def read(self, token: str, certificate: str = "", *, expired_s: int = 0) -> Held | None:
        role, _, project = token.partition("@")
        if role not in ROLES:
            return None
        return Held(Identity(f"{role}-id", role, project, project, frozenset(ROLES[role]), 4e9))


class Limits:
    """Unified limits, as identity's snapshot has them."""

    def __init__(self) -> None:
        self.services = [SimpleNamespace(id="glance", type="image")]
        self.registered_limits: list[SimpleNamespace] = []
        self.limits: list[SimpleNamespace] = []

    def register(self, **defaults: int) -> None:
        self.registered_limits = [
            SimpleNamespace(resource_name=name, default_limit=limit, service_id="glance")
            for name, limit in defaults.items()
        ]


class Cloud:
    """Start `service.run` first."""

    def __init__(
        self,
        registry: Registry | None = None,
        before: Cloud | None = None,
        config: ImageConfig | None = None,
    ) -> None:
        """`before`: the one of a process before, whose store this is."""
        policies = [Policy(0, "standard", default=True), Policy(1, "coded", k=2, m=1)]
        self.clock: ManualClock = ManualClock(tick_us=1) if before is None else before.clock
        self.registry = registry or memory_registry(self.clock)
        self.objects: MemoryStore = MemoryStore(self.clock, policies) if before is None else before.objects
        self.volumes: MemoryVolumes = MemoryVolumes(("standard",)) if before is None else before.volumes
        self.limits = Limits()
        identity = cast(IdentityService, SimpleNamespace(tokens=Tokens(), snapshot=self.limits))
        self.service = ImageService(
            self.registry, identity, self.objects, self.volumes, self.clock, SystemRandom(), "/tmp", config
        )
        self.app = ImageApp(self.service)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "member@blue",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is behind `/image`; a body of bytes is sent as it is."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await self.send(method, path, [sent], token, {"Content-Length": str(len(sent)), **(headers or {})})

    async def send(
        self,
        method: str,
        path: str,
        pieces: Sequence[bytes | None],
        token: str = "member@blue",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The same with a body that comes in pieces; None: the client vanishes."""
        started: list[MutableMapping[str, Any]] = []
        content = bytearray()
        plain, _, query = path.partition("?")
        named = {"Host": "cloud:8080", "X-Auth-Token": token, **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": f"/image{unquote(plain)}",
            "raw_path": f"/image{plain}".encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
            "scheme": "http",
            "client": ("192.0.2.7", 4711),
            "server": ("127.0.0.1", 8080),
        }
        coming = list(pieces)

        async def receive() -> MutableMapping[str, Any]:
            await trio.lowlevel.checkpoint()
            piece = coming.pop(0) if coming else b""
            if piece is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": bool(coming)}

        async def send(message: MutableMapping[str, Any]) -> None:
            await trio.lowlevel.checkpoint()
            if message["type"] == "http.response.start":
                started.append(message)
            else:
                content.extend(message.get("body", b""))

        await self.app(scope, receive, send)
        (start,) = started
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], headers, bytes(content))

    async def create(self, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        """An image that waits for its bits."""
        body = {"name": "granite", "disk_format": "raw", "container_format": "bare", **asked}
        answer = await self.ask("POST", "/v2/images", body, token)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def upload(self, id_: str, bits: bytes, token: str = "member@blue", **headers: str) -> Answer:
        return await self.ask("PUT", f"/v2/images/{id_}/file", bits, token, {"Content-Type": OCTETS, **headers})

    async def active(self, bits: bytes = b"bits", token: str = "member@blue", **asked: Any) -> dict[str, Any]:
        """An image with its bits."""
        image = await self.create(token, **asked)
        answer = await self.upload(image["id"], bits, token)
        assert answer.status == 204, answer.body
        return await self.show(image["id"], token)

    async def show(self, id_: str, token: str = "member@blue") -> dict[str, Any]:
        answer = await self.ask("GET", f"/v2/images/{id_}", token=token)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def patch(self, id_: str, *changes: Any, token: str = "member@blue") -> Answer:
        return await self.ask("PATCH", f"/v2/images/{id_}", list(changes), token, {"Content-Type": PATCH})

    async def listed(self, query: str = "", token: str = "member@blue") -> list[str]:
        """The names in a list."""
        answer = await self.ask("GET", f"/v2/images?{query}", token=token)
        assert answer.status == 200, answer.body
        return [image["name"] for image in answer.json["images"]]

    async def imported(self, id_: str, token: str = "member@blue") -> dict[str, Any]:
        """An image once nothing is imported into it."""
        with trio.fail_after(PATIENCE_S):
            while True:
                image = await self.show(id_, token)
                if image["status"] != "importing" and "os_glance_import_task" not in image:
                    return image
                await trio.sleep(1)

    async def stored(self) -> set[str]:
        """The objects that are there."""
        found: set[str] = set()
        for policy in self.objects.policies:
            container = await self.service.bits.container(policy.name)
            found |= set(await self.objects.list_names(container, _EVERYTHING))
        return found

    async def settled(self) -> None:
        """Once what was left behind is removed, and images are sealed."""
        with trio.fail_after(PATIENCE_S):
            while True:
                await trio.sleep(1)
                images = await self.service.images.all()
                if not any(image.sealing for image in images):
                    break
        await self.service.cleaning.sweep()

    async def used(self, project: str = "blue") -> dict[str, int]:
        """What counts against the quota; nothing is reserved."""
        standing = await self.service.quotas.show(project)
        assert all(one.reserved == 0 for one in standing.values())
        return {name: one.in_use for name, one in standing.items() if one.in_use}
