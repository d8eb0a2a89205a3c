"""What makes a process one of a cluster: who else is there, the links to them, and the listener for theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import structlog
import trio

from drystone.cluster import Cluster
from drystone.cluster_status import StatusService
from drystone.etcd_node import open_etcd
from drystone.folder import DataFolder
from drystone.join_service import JoinService
from drystone.join_tokens import make_token
from drystone.layouts import load_ring
from drystone.links import NO_MEMBER, REMOVED, Links
from drystone.listener import Listener
from drystone.lives import Lives
from drystone.members import Members, say_member, stay_live
from drystone.network_looks import LookAnswers
from drystone.node_identity import NodeIdentity, credentials_of, lock_node
from drystone.node_records import Life, find_authority
from drystone.peers import Peers
from drystone.server_guests import GuestAnswers
from drystone.volume_links import VolumeAnswers
from store.core.beside import beside
from store.core.clock import Clock
from store.core.entropy import Random, SystemRandom
from store.core.errors import ConflictError, DamageError, RetryableError
from store.device.port import DevicePort
from store.objects.pins import Pins
from store.registry import Registry, open_embedded
from store.registry.local import LocalRegistry
from store.registry.served import RegistryService, ServedRegistry
from store.remote.device import RemoteDevice
from store.remote.pins import PinService
from store.remote.service import DeviceService
from store.ring import Ring
from store.wire.authority import serial_of
from store.wire.client import WireClient
from store.wire.server import Service

log = structlog.get_logger()

REFUSALS: Final = 5
"""Seconds: a record that was just made may not be known everywhere yet."""


@asynccontextmanager
async def open_registry_of(
    folder: DataFolder, clock: Clock, links: Links | None, *, worker: bool
) -> AsyncIterator[Registry]:
    """The registry for the process that serves a folder: the folder's own, or that of the node which owns it.

    Raises ConflictError where another process serves the folder.
    """
    if links is None or links.identity.owns_registry:
        with open_embedded(folder.registry, clock) as registry:
            async with beside(registry.run):
                yield registry
        return
    if links.identity.etcd:
        async with open_etcd(folder, links, clock, worker=worker) as registry_in_etcd:
            yield registry_in_etcd
        return
    with lock_node(folder):
        client = links.to_registry()
        async with beside(client.run), beside(_notice_refusal, client):
            served = ServedRegistry(client)
            await _wait_for(served, links.identity)
            yield served


async def _notice_refusal(client: WireClient) -> None:
    """Raises ConflictError when the node that has the registry goes on to say that this one is no member."""
    refused = 0
    while refused < REFUSALS:
        await trio.sleep(1)
        refused = refused + 1 if not client.up and NO_MEMBER in client.why else 0
    raise ConflictError(REMOVED)


async def _wait_for(registry: Registry, identity: NodeIdentity) -> None:
    """Return when it answers: after a power cut all nodes start, and the one that has it may be the last."""
    while True:
        try:
            await registry.revision()
        except RetryableError as error:
            log.warning("waiting for the registry", of=identity.registry, why=str(error))
        else:
            return


class ClusterProcess:
    """One process of a cluster: `load`, `serve` and `start` it, in this order."""

    def __init__(
        self,
        folder: DataFolder,
        cluster: Cluster,
        registry: Registry,
        links: Links,
        listeners: Sequence[trio.SocketListener],
        clock: Clock,
        random: Random,
    ) -> None:
        with open(credentials_of(folder).certificate, "rb") as file:
            self._serial = serial_of(file.read())
        self._folder = folder
        self._cluster = cluster
        self._registry = registry
        self._links = links
        self._listeners = listeners
        self.identity = links.identity
        self.members = Members(registry, self.identity.name, self._serial)
        self._join = JoinService(registry, cluster, links, clock)
        self.everyones: dict[int, DevicePort] = {}
        """The devices of all processes."""
        self.distances: dict[int, int] = {}
        """How far those of others are (`Rows`)."""
        self.status = StatusService()
        self.volumes = VolumeAnswers()
        self.network_looks = LookAnswers()
        self.guests = GuestAnswers()
        self.lives = Lives(registry, self.identity.name, lambda: self.peers.processes, self.everyones, self._load_ring)
        self.peers: Peers
        self.service: DeviceService

    async def load(self) -> None:
        """Read who is there, and say that this node is. Raises ConflictError where it was removed."""
        await say_member(self._registry, self.identity.name, self._serial)
        await self.members.load()

    async def token_line(self, valid_s: int, name: str) -> str:
        """What is to be typed on a machine that may join within so many seconds, under this name alone, if any."""
        authority = await find_authority(self._registry)
        if authority is None:
            raise DamageError("the registry has lost the cluster's authority")
        token = await make_token(self._registry, authority.certificate, valid_s, SystemRandom(), name)
        line = f"drystone join {self.identity.address} --token {token}"
        return f"{line} --name {name}" if name else line

    def serve(
        self,
        own: Mapping[int, DevicePort],
        life: bytes,
        pins: Pins,
        on_back: Callable[[RemoteDevice], None],
        on_in_doubt: Callable[[], None],
        follow: Callable[[], None],
    ) -> None:
        """What is offered to others, and had of them. `own` are the devices of this process, `life` the id of its run,
        `pins` what it needs; `follow` is called when nodes have changed."""
        self._life = Life(life, version("drystone"))
        self.peers = Peers(self._links, self.everyones, self.distances, on_back)
        pins.others = self.lives.others
        self.service = DeviceService(own, on_in_doubt)
        services: list[Service] = [
            self.service.serve,
            PinService(pins.held).serve,
            self.status.serve,
            self.volumes.serve,
            self.network_looks.serve,
            self.guests.serve,
        ]
        if isinstance(self._registry, LocalRegistry):
            services.append(RegistryService(self._registry).serve)
        self._listener = Listener(self._folder, self._links, self.members, services, [self._join.serve])
        self.members.on_change += [self._listener.drop_gone, follow]

    async def _load_ring(self) -> Ring:
        stored = await load_ring(self._registry, self._cluster.key)
        if stored.ring is None:
            raise DamageError(self._folder.lost("ring"))
        return stored.ring

    def rows(self) -> list[dict[str, object]]:
        """What status shows of each node."""
        processes = self.peers.processes
        return [
            {
                "node": name,
                "address": record.address,
                "zone": record.zone,
                "machine": record.machine,
                "state": record.state.value,
                "reached": name == self.identity.name or (name in processes and processes[name].up),
            }
            for name, record in sorted(self.members.nodes.items())
        ]

    async def start(self, nursery: trio.Nursery) -> None:
        """Listen, be known to live, and reach the others: on return those who are there are reached, and know of this
        process before it asks anything of them."""
        nursery.start_soon(self._listener.run, self._listeners)
        nursery.start_soon(self.members.run)
        await nursery.start(stay_live, self._registry, self.identity.name, self._life)
        await nursery.start(self.peers.run)
        await self.lives.load()
        nursery.start_soon(self.lives.run)
