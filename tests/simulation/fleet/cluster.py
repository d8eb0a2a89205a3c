"""The cluster: its processes, their media, the network and the registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio

from drystone.layouts import load_ring, save_ring, step_ring
from store.engine.device import Device
from store.objects.model import Policy
from store.registry import memory_registry
from store.registry.local import LocalRegistry
from store.registry.served.service import RegistryService
from store.ring import Builder, Ring
from store.wire.server import serve_link
from tests.device.over_wire import hello
from tests.simulation.disk import SimMedium
from tests.simulation.fleet.process import REGISTRY, Process
from tests.simulation.fleet.stopping import RunQueue
from tests.simulation.network import SimNetwork
from tests.simulation.node import CLUSTER, SimMedia, SimNode
from tests.simulation.world import Digest, SeededRandom, SimClock
from tests.twins.index import IndexMedium

DEVICES_MAX = 8
"""Numbers that a device may ever have in a run: their media, and who opens them, are known from the start."""


class SimCluster:
    """Several processes, and what is between them."""

    def __init__(self, random: Random, processes: int, devices: int, policies: Sequence[Policy]) -> None:
        self.random = random
        self.digest = Digest()
        self.media = SimMedia(random, devices, policies)
        self.media.ring = self._first_ring(processes, devices)
        for number in range(devices, DEVICES_MAX):
            self.media.disks[number] = SimMedium(Random(random.getrandbits(64)))
            self.media.indexes[number] = IndexMedium()
            self.media.replaced.add(number)
        self.registry: LocalRegistry
        self.processes = [Process(self, number) for number in range(processes)]
        self.network = SimNetwork(Random(random.getrandbits(64)))
        self.nursery: trio.Nursery
        self.queue: RunQueue
        self.moments = 0
        self.wrong: list[Exception] = []
        """Answers that broke a promise, seen by whoever was told."""

    def _first_ring(self, processes: int, devices: int) -> Ring:
        builder = Builder(part_power=4)
        for number in range(devices):
            builder.add(1, 1, f"machine {number % processes}", 1.0, f"disk {number}")
        for width in {policy.width for policy in self.media.policies}:
            builder.add_width(width)
        return Ring(CLUSTER, (builder.rebalance(0),))

    # -- who has what --------------------------------------------------------------------------------------------

    def owner(self, device: int) -> int:
        """The process that has a device."""
        return device % len(self.processes)

    def machine(self, device: int) -> str:
        return f"machine {self.owner(device)}"

    def numbers_of(self, process: int) -> list[int]:
        """The devices that a process has, or may come to have."""
        return [number for number in range(DEVICES_MAX) if self.owner(number) == process]

    @property
    def serving(self) -> list[Process]:
        return [process for process in self.processes if process.serving]

    @property
    def nodes(self) -> list[SimNode]:
        """Those of all processes that are alive."""
        return [process.life.node for process in self.processes if process.life is not None and process.life.started]

    @property
    def devices(self) -> dict[int, Device]:
        """The devices of all processes that are alive."""
        return {number: device for node in self.nodes for number, device in sorted(node.devices.items())}

    async def ring(self) -> Ring:
        """As the registry has it now."""
        ring = (await load_ring(self.registry, CLUSTER)).ring
        assert ring is not None
        self.media.ring = ring
        return ring

    async def change_layout(self, change: Callable[[Builder], object]) -> Ring:
        """Publish another layout."""

        def step(ring: Ring) -> Ring:
            builder = Builder(ring.newest)
            change(builder)
            return ring.publish(builder.rebalance(0))

        return await step_ring(self.registry, CLUSTER, step)

    # -- what happened -------------------------------------------------------------------------------------------

    def note(self, process: int, what: str) -> None:
        self.digest.add(f"{process} {what}")

    def moment(self) -> float:
        """A number above all that were given out."""
        self.moments += 1
        return float(self.moments)


@asynccontextmanager
async def running(cluster: SimCluster) -> AsyncIterator[None]:
    """All processes live within, and end with it."""
    cluster.queue = RunQueue()
    cluster.registry = memory_registry(SimClock())
    await save_ring(cluster.registry, cluster.media.ring, 0)
    service = RegistryService(cluster.registry, SeededRandom(cluster.random))

    async def accept(stream: trio.abc.Stream) -> None:
        cluster.nursery.start_soon(partial(serve_link, stream, hello(REGISTRY), [service.serve]))

    async with trio.open_nursery() as nursery:
        cluster.nursery = nursery
        nursery.start_soon(cluster.registry.run)
        cluster.network.listen(REGISTRY, accept)
        for process in cluster.processes:
            process.start()
        try:
            yield
        finally:
            for process in cluster.processes:
                process.kill()
        nursery.cancel_scope.cancel()
