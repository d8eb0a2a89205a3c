"""A whole object store over simulated devices, with its daemons: what one process is, and what survives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

import trio

from store.core.clock import Clock
from store.core.errors import DeviceError, DrystoneError
from store.core.stamp import StampSource
from store.device.port import DevicePort
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from store.objects.model import Policy
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.registry import Registry, memory_registry
from store.remote.device import RemoteDevice
from store.replicator.progress import ProgressTable
from store.replicator.replicator import Replicator
from store.replicator.upload_janitor import OnlyOne
from store.ring import Builder, Ring
from tests.device.delayed import DelayedDevice
from tests.device.over_wire import engine_behind
from tests.simulation.crash_point import CrashPoint
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.worker import SimWorker, Turns
from tests.simulation.world import SeededRandom, SimClock
from tests.twins.index import IndexMedium, SimIndex

CLUSTER = bytes(range(16))
LOG_BYTES = 256 * 1024


class Ports(Mapping[int, DevicePort]):
    """The open devices as the store sees them."""

    def __init__(self, devices: Mapping[int, Device], port: Callable[[Device], DevicePort]) -> None:
        self._devices = devices
        self._port = port
        self._ports: dict[int, tuple[Device, DevicePort]] = {}

    def __getitem__(self, number: int) -> DevicePort:
        device = self._devices[number]
        known = self._ports.get(number)
        if known is None or known[0] is not device:
            known = self._ports[number] = device, self._port(device)
        return known[1]

    def __iter__(self) -> Iterator[int]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)


class SimMedia:
    """What survives: media, by device id, and the ring."""

    @staticmethod
    def port(device: Device) -> DevicePort:
        """What the store has of a device: the device itself, unless a test says otherwise."""
        return device

    @staticmethod
    async def reached(_port: DevicePort) -> None:
        """Wait until a device that is open can be used."""

    def opened(self, node: SimNode) -> None:
        """A node has these open now."""

    def __init__(self, random: Random, count: int, policies: Sequence[Policy]) -> None:
        self.random = random
        self.policies = tuple(policies)
        self.ring = make_ring(count, {policy.width for policy in policies})
        self.disks = {number: SimMedium(Random(random.getrandbits(64))) for number in self.ring.devices}
        self.indexes = {number: IndexMedium() for number in self.ring.devices}
        self.writers = 0
        self.registry: Registry | None = None
        """Made with the first node."""
        self.replaced: set[int] = set()
        """Devices that are new in place of lost ones, or added later."""
        self.absent: set[int] = set()
        """Devices whose disks are not there at the moment."""
        self.incarnations: dict[int, bytes] = {}
        """What the registry knows of devices: a disk of another incarnation is not to be believed."""

    def change_ring(self, change: Callable[[Builder], object]) -> None:
        """Publish another layout, with media for devices that are new."""
        builder = Builder(self.ring.newest)
        change(builder)
        self.ring = self.ring.publish(builder.rebalance(0))
        for number in self.ring.devices:
            if number not in self.disks:
                self.disks[number] = SimMedium(Random(self.random.getrandbits(64)))
                self.indexes[number] = IndexMedium()
                self.replaced.add(number)

    def wipe(self, number: int) -> None:
        """An empty device takes the place of this one."""
        self.disks[number].wipe()
        self.indexes[number].wipe()
        self.replaced.add(number)
        self.incarnations.pop(number, None)

    def swap(self, number: int, medium: SimMedium, index: IndexMedium) -> None:
        """Another disk takes the place of this one."""
        self.disks[number], self.indexes[number] = medium, index

    @property
    def faulty(self) -> bool:
        """Whether any disk is broken."""
        return any(medium.broken for medium in self.disks.values())

    def lose_power(self) -> None:
        for medium in self.disks.values():
            medium.lose_power()


def make_ring(count: int, widths: set[int]) -> Ring:
    """A ring of so many devices, each on a machine of its own."""
    builder = Builder(part_power=4)
    for number in range(count):
        builder.add(1, 1, f"m{number}", 1.0, f"disk{number}")
    for width in widths:
        builder.add_width(width)
    return Ring(CLUSTER, (builder.rebalance(0),))


def engine_of(device: DevicePort) -> Device:
    """The engine behind the port, for tests that break it or look into it."""
    if isinstance(device, DelayedDevice):
        return device.engine
    if isinstance(device, RemoteDevice):
        return engine_behind(device)
    assert isinstance(device, Device)
    return device


@dataclass
class SimNode:
    """One life of the whole."""

    media: SimMedia
    crash_point: CrashPoint
    turns: Turns
    nursery: trio.Nursery
    store: DeviceStore
    devices: dict[int, Device]
    replicator: Replicator
    running: dict[int, trio.CancelScope]
    """The devices' own loops."""
    opening: trio.Lock = field(default_factory=trio.Lock)
    """One device is opened at a time, and none twice: a real one is locked by whoever has it."""

    def run_device(self, device: Device) -> None:
        """Start its loop."""
        scope = self.running[device.id] = trio.CancelScope()

        async def loop() -> None:
            with scope:
                await device.run()

        self.nursery.start_soon(loop)

    def take_away(self, number: int) -> None:
        """A device is gone from one moment to the next, with what it had not synced in its page cache."""
        device = self.devices[number]
        disk = device._disk
        assert isinstance(disk, SimDisk)
        disk.gone = True
        disk.gate.open()
        self.media.absent.add(number)
        device._fail(DeviceError("it was taken away"))
        self.running[number].cancel()

    async def bring_back(self, number: int) -> bool:
        """It is opened anew, if its disk can be read."""
        async with self.opening:
            known = self.devices.get(number)
            if known is not None and known.health.failed is None:
                return True
            self.media.absent.discard(number)
            device = await _open_device(self.media, number, self.crash_point, self.turns)
            if device is None:
                return False
            self.devices[number] = device
            self.run_device(device)
        port = self.store.devices[number]
        await self.media.reached(port)
        await self.replicator.back(port)
        return True

    async def follow_ring(self) -> None:
        """Take up the machine's ring, as a node does."""
        for number in self.media.ring.devices:
            if number not in self.devices:
                await self.bring_back(number)
        await self.replicator.rebalancer.follow(self.media.ring)

    async def run_daemons(self) -> None:
        """Let the daemons do all that there is to do. What a device that is out prevents, stays."""
        loops = self.replicator
        for _ in range(4):
            await loops.rejoiner.rejoin_all()
            with suppress(DrystoneError):
                await loops.rebalancer.rebalance()
            await loops.janitor.clean_all()
            await loops.hints.replay()
            await loops.scrubber.scrub(None)
            await loops.expirer.expire()
            await loops.repairer.repair_all()
            await loops.collector.collect_data()
            await loops.tombstones.collect_tombstones()
            await trio.sleep(1.1)

    @property
    def whole(self) -> bool:
        """Whether all devices are there and well."""
        return len(self.devices) == len(self.store.rows.ring.devices) and all(
            device.health.failed is None and device.in_sync for device in self.devices.values()
        )


@asynccontextmanager
async def open_node(media: SimMedia, crash_point: CrashPoint, clock: Clock | None = None) -> AsyncIterator[SimNode]:
    """Open every device that can be opened, and run all loops."""
    random = Random(media.random.getrandbits(64))
    clock = clock or SimClock()
    turns = Turns(random)
    devices: dict[int, Device] = {}
    for number in media.ring.devices:
        device = await _open_device(media, number, crash_point, turns)
        if device is not None:
            devices[number] = device
    media.writers += 1
    media.registry = media.registry or memory_registry(clock)
    ports = Ports(devices, media.port)
    rows = Rows(media.ring, ports, StampSource(clock, media.writers))
    store = DeviceStore(rows, ports, media.policies, clock, SeededRandom(random), [SimWorker(turns), SimWorker(turns)])
    async with trio.open_nursery() as nursery:
        node = _with_daemons(media, crash_point, turns, nursery, store, devices, clock)
        for device in devices.values():
            node.run_device(device)
        for port in ports.values():
            await media.reached(port)
        await node.replicator.start(nursery)
        media.opened(node)
        yield node
        nursery.cancel_scope.cancel()


def _index_of(media: SimMedia, number: int, disk: SimDisk) -> Callable[[], SimIndex]:
    return lambda: SimIndex(media.indexes[number], disk.index_step, media.disks[number].random, lambda: disk.at_the_cut)


async def _open_device(media: SimMedia, number: int, crash_point: CrashPoint, turns: Turns) -> Device | None:
    """The device, or None where its disk is broken."""
    if number in media.absent:
        return None
    disk = SimDisk(media.disks[number], crash_point, turns)
    index = _index_of(media, number, disk)
    options = Options(LOG_BYTES, 0)
    random = SeededRandom(media.random)
    troubled = media.disks[number].troubled  # a sync that is to fail once will not be any more when it has
    try:
        device = await open_device(
            number, CLUSTER, disk, index, options, replaces=number in media.replaced, random=random
        )
        if media.incarnations.setdefault(number, device.incarnation) != device.incarnation:
            media.incarnations[number] = device.incarnation
            await device.set_in_sync(in_sync=False)
    except (OSError, DrystoneError):
        if not troubled:
            raise
        media.absent.add(number)
        return None
    return device


def _with_daemons(
    media: SimMedia,
    crash_point: CrashPoint,
    turns: Turns,
    nursery: trio.Nursery,
    store: DeviceStore,
    devices: dict[int, Device],
    clock: Clock,
) -> SimNode:
    assert media.registry is not None

    async def step(change: Callable[[Ring], Ring]) -> Ring:
        crash_point.step("ring")
        media.ring = change(media.ring)
        return media.ring

    replicator = Replicator(store, media.registry, clock, ProgressTable(clock), step, OnlyOne(store.life))
    return SimNode(media, crash_point, turns, nursery, store, devices, replicator, {})
