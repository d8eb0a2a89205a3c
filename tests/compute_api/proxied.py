"""The compute API with the services beside it, which it asks for old clients."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import trio
import trio.testing

from authn.service import IdentityService
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.app import NetworkApp
from compute_plugin.v2.proxies.askers import askers
from drystone.volume_images import VolumeImages
from gateway.volumes.app import VolumeApp
from gateway.volumes.service import VolumeService
from gateway.volumes.types_store import StoragePolicy
from image_registry.service import ImageService
from image_registry.v2.app import ImageApp
from store.core.entropy import SystemRandom
from store.objects.model import Policy
from store.registry import memory_registry
from tests.compute_api.cloud import Cloud
from tests.gateway_rest.service import ask
from tests.gateway_volumes.cloud import Exports, Tokens
from tests.twins.clock import ManualClock
from tests.twins.objects import MemoryStore
from tests.twins.volumes import MemoryVolumes

PATIENCE_S = 60


class WholeCloud(Cloud):
    """Start `run` first."""

    def __init__(self, folder: Path) -> None:
        clock, random = ManualClock(tick_us=1), SystemRandom()
        registry = memory_registry(clock)
        store, objects = MemoryVolumes(("standard",)), MemoryStore(clock, [Policy(0, "standard", default=True)])
        limits = SimpleNamespace(services=[], registered_limits=[], limits=[])
        identity = cast(IdentityService, SimpleNamespace(tokens=Tokens(), snapshot=limits))
        self.images = ImageService(registry, identity, objects, store, clock, random, str(folder))
        self.volumes = VolumeService(
            registry, identity, store, Exports(), VolumeImages(self.images, store), [StoragePolicy("standard", True)],
            clock, random, objects=objects,
        )  # fmt: skip
        self.networks = NetworkService(registry, identity, clock, random)
        self.network_app, self.image_app = NetworkApp(self.networks), ImageApp(self.images)
        others = askers(self.image_app, self.network_app, VolumeApp(self.volumes))
        super().__init__(registry, askers=others, clock=clock)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            for service in (self.images, self.volumes, self.networks, self.service):
                await nursery.start(service.run)
            task_status.started()

    async def image(self, name: str, token: str = "member@blue", **said: Any) -> str:
        """The id of a new one, without bits."""
        asked = {"name": name, "disk_format": "raw", "container_format": "bare", **said}
        made = await ask(self.image_app, "POST", "/image/v2/images", {"X-Auth-Token": token}, asked)
        assert made.status == 201, made.body
        return str(made.json["id"])

    async def made(self, kind: str, token: str = "admin@blue", **asked: Any) -> dict[str, Any]:
        """Something of the network service."""
        path = f"/network/v2.0/{kind}s"
        answer = await ask(self.network_app, "POST", path, {"X-Auth-Token": token}, {kind: asked})
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json[kind]
        return found

    async def settled(self, path: str) -> dict[str, Any]:
        """A volume or snapshot, once it is there."""
        with trio.fail_after(PATIENCE_S):
            while True:
                (found,) = (await self.got(path, version="2.1")).values()
                if found["status"] != "creating":
                    assert isinstance(found, dict)
                    return found
                await trio.testing.wait_all_tasks_blocked()

    async def gone(self, path: str) -> None:
        """Once it is."""
        with trio.fail_after(PATIENCE_S):
            while (await self.ask("GET", path, version="2.1")).status != 404:
                await trio.testing.wait_all_tasks_blocked()
