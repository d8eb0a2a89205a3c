"""The services besides objects: which application answers which path, and what runs beside requests."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from authn.service import IdentityService
from authn.v1 import V1AuthApp
from authn.v3.app import IdentityApp
from compute_plugin.config import ComputeConfig
from compute_plugin.networks.config import NetworkConfig
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.app import NetworkApp
from compute_plugin.service import ComputeService
from compute_plugin.v2.app import ComputeApp
from drystone.node import Node
from drystone.volume_exports import volume_service
from drystone.volume_links import VolumesOfAll
from gateway.http.asgi import App
from gateway.rest.cors import with_cors
from gateway.rest.policy import Policy
from gateway.volumes.app import VolumeApp
from image_registry.service import ImageConfig, ImageService
from image_registry.v2.app import ImageApp
from store.core.entropy import PooledRandom


class ApiServices:
    """Made once a process. `apps` are by the beginning of the path."""

    def __init__(
        self,
        node: Node,
        identity: IdentityService,
        volumes: VolumesOfAll,
        images: ImageConfig,
        volume_policy: Policy,
        networks: NetworkConfig,
        compute: ComputeConfig,
        disks: list[trio.SocketListener],
    ) -> None:
        """`disks`: where volumes are served to other machines."""
        self.identity = identity
        self.images = ImageService(
            node.registry, identity, node.store, volumes, node.clock, PooledRandom(), node.folder.path, images
        )
        self.volumes = volume_service(node, identity, self.images, volumes, disks, volume_policy)
        self.networks = NetworkService(
            node.registry, identity, node.clock, PooledRandom(), settings=networks.settings, policy=networks.policy
        )
        self.compute = ComputeService(
            node.registry, identity, node.clock, PooledRandom(), settings=compute.settings, policy=compute.policy
        )
        self.apps: Mapping[bytes, App] = {
            b"/auth": V1AuthApp(identity),
            b"/identity": with_cors(IdentityApp(identity), identity.cors_origins),
            b"/image": with_cors(ImageApp(self.images), identity.cors_origins),
            b"/volume": with_cors(VolumeApp(self.volumes), identity.cors_origins),
            b"/network": with_cors(NetworkApp(self.networks), identity.cors_origins),
            b"/compute": with_cors(ComputeApp(self.compute), identity.cors_origins),
        }

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.identity.run(task_status=task_status))
            await nursery.start(lambda task_status: self.images.run(task_status=task_status))
            await nursery.start(lambda task_status: self.volumes.run(task_status=task_status))
            await nursery.start(lambda task_status: self.networks.run(task_status=task_status))
            await nursery.start(lambda task_status: self.compute.run(task_status=task_status))
            task_status.started()
