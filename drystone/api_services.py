"""The services besides objects: which application answers which path, and what runs beside requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from authn.service import IdentityService
from authn.v1 import V1AuthApp
from authn.v3.app import IdentityApp
from compute_plugin.clients.clients import Clients
from compute_plugin.clients.image_records import ImageRecords
from compute_plugin.clients.local_disks import LocalDisks
from compute_plugin.clients.networks import Networks
from compute_plugin.clients.volumes import Volumes
from compute_plugin.config import ComputeConfig
from compute_plugin.consoles.app import ConsoleApp
from compute_plugin.metadata.answers import ServerAnswers
from compute_plugin.networks.agent.metadata.asking import Answers
from compute_plugin.networks.config import NetworkConfig
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.app import NetworkApp
from compute_plugin.placement.app import PlacementApp
from compute_plugin.records.server import Server
from compute_plugin.server_use import ServerUse
from compute_plugin.service import ComputeService
from compute_plugin.v2.app import ComputeApp
from compute_plugin.v2.proxies.askers import askers
from drystone.node import Node
from drystone.server_guests import GuestsOfAll
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
        guests: GuestsOfAll,
    ) -> None:
        """`disks`: where volumes are served to other machines. `guests`: of all hosts."""
        self.identity = identity
        self.images = ImageService(
            node.registry, identity, node.store, volumes, node.clock, PooledRandom(), node.folder.path, images
        )
        use = ServerUse()
        self.volumes = volume_service(node, identity, self.images, volumes, disks, volume_policy, use)
        self.networks = NetworkService(
            node.registry, identity, node.clock, PooledRandom(), settings=networks.settings, policy=networks.policy
        )
        image_app, volume_app, network_app = ImageApp(self.images), VolumeApp(self.volumes), NetworkApp(self.networks)
        self.compute = ComputeService(
            node.registry,
            identity,
            node.clock,
            PooledRandom(),
            settings=compute.settings,
            policy=compute.policy,
            clients=Clients(
                volumes=Volumes(volume_app),
                networks=Networks(network_app),
                images=self.volumes.images,
                image_records=ImageRecords(image_app),
                disks=LocalDisks(volumes),
                network_records=lambda: self.networks.store.records,
                network_fresh=self.networks.store.fresh,
            ),
            consoles=guests,
            port_is_up=self._port_is_up,
            askers=askers(image_app, network_app, volume_app),
        )
        use.follow(self.compute)
        self.apps: Mapping[bytes, App] = {
            b"/auth": V1AuthApp(identity),
            b"/identity": with_cors(IdentityApp(identity), identity.cors_origins),
            b"/image": with_cors(image_app, identity.cors_origins),
            b"/volume": with_cors(volume_app, identity.cors_origins),
            b"/network": with_cors(network_app, identity.cors_origins),
            b"/compute": with_cors(ComputeApp(self.compute), identity.cors_origins),
            b"/placement": with_cors(PlacementApp(self.compute), identity.cors_origins),
            b"/console": ConsoleApp(self.compute.store, guests, node.clock),
        }

    def metadata(self) -> Answers:
        """What servers are told of themselves by networks."""
        return ServerAnswers(self.compute.store, self._ports, self.compute.settings, PooledRandom())

    async def _ports(self, server: Server) -> list[dict[str, Any]]:
        networks = self.compute.clients.networks
        ports = await networks.ports_of(server.id)
        return [
            {
                **port,
                "subnets": await networks.subnets(port["network_id"]),
                "floating_ips": await networks.floating_of(port["id"]),
            }
            for port in ports
        ]

    def _port_is_up(self, port: str) -> bool:
        state = self.networks.states.states.ports.get(port)
        return state is not None and state.up

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.identity.run(task_status=task_status))
            await nursery.start(lambda task_status: self.images.run(task_status=task_status))
            await nursery.start(lambda task_status: self.volumes.run(task_status=task_status))
            await nursery.start(lambda task_status: self.networks.run(task_status=task_status))
            await nursery.start(lambda task_status: self.compute.run(task_status=task_status))
            task_status.started()
