"""One process of a cluster: its lives, and what each of them is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, TypeVar

import trio

from drystone.layouts import STATE_KEY, load_newer, load_ring, step_ring
from drystone.lives import Lives
from drystone.members import stay_live
from drystone.node_records import Life as RunOf
from store.core.errors import RetryableError
from store.core.stamp import StampSource
from store.device.port import DevicePort
from store.engine.device import Device
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.registry import Event, Registry, Span
from store.registry.follow import follow
from store.registry.served.client import ServedRegistry
from store.remote.device import RemoteDevice
from store.remote.pins import PinService
from store.remote.process import RemoteProcess
from store.remote.service import DeviceService
from store.replicator.progress import ProgressTable
from store.replicator.replicator import Replicator
from store.ring import Ring
from store.wire.client import WireClient
from store.wire.server import Service, serve_link
from tests.device.over_wire import hello
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.disk import SimDisk
from tests.simulation.fleet.stopping import LIFE
from tests.simulation.node import CLUSTER, SimNode, _open_device
from tests.simulation.worker import Gate, SimWorker, Turns
from tests.simulation.world import SeededRandom, SimClock

if TYPE_CHECKING:
    from tests.simulation.fleet.cluster import SimCluster

T = TypeVar("T")

REGISTRY = "registry"
"""The place of the process that has it."""
AGAIN_SECONDS = 0.5


class GoneError(Exception):
    """The process died, and nobody can tell what became of what it was asked for."""


class LastPoint(CrashPoint):
    """A crash point that tells of its cut."""

    def __init__(self, on_cut: Callable[[], None]) -> None:
        super().__init__()
        self._on_cut = on_cut

    def step(self, what: str) -> None:
        try:
            super().step(what)
        except PowerLoss:
            self._on_cut()
            raise


class LifeTurns(Turns):
    """Turns of one life, which last until its last task has ended: what waits for a disk waits for an answer, and has
    PowerLoss for one when the process is dead."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._started = True
        self._scope = trio.CancelScope(shield=True)

    def later(self, call: Callable[[], None], turns: int | None = None) -> None:
        super().later(partial(self._call, call), turns)

    @staticmethod
    def _call(call: Callable[[], None]) -> None:
        with suppress(PowerLoss):  # the life has been told
            call()

    async def run(self, life: Life) -> None:
        LIFE.set(life)
        with self._scope:
            await self._run()

    def end(self) -> None:
        self._scope.cancel()


class Ports(Mapping[int, DevicePort]):
    """The devices as the store of one process sees them: its own, and those of the others that the ring knows."""

    def __init__(self, own: Mapping[int, Device]) -> None:
        self._own = own
        self.others: dict[int, RemoteDevice] = {}

    def __getitem__(self, number: int) -> DevicePort:
        device = self._own.get(number)
        return self.others[number] if device is None else device

    def __iter__(self) -> Iterator[int]:
        yield from self._own
        yield from self.others

    def __len__(self) -> int:
        return len(self._own) + len(self.others)


class Process:
    """A place in the cluster, from life to life."""

    def __init__(self, cluster: SimCluster, number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.place = f"process {number}"
        self.clock = SimClock()
        self.life: Life | None = None
        self.stopped = False

    @property
    def serving(self) -> bool:
        """Whether clients may ask it; one that is stopped does not answer."""
        return self.life is not None and self.life.serving

    def start(self) -> None:
        """Begin another life."""
        assert self.life is None
        self.life = Life(self)
        self.cluster.nursery.start_soon(self.life.run)

    def kill(self) -> None:
        """It is no more (kill -9)."""
        if self.life is not None:
            self.life.die()

    def stop(self) -> None:
        """It has no turns any more (SIGSTOP)."""
        if self.life is not None:
            self.stopped = True
            self.cluster.queue.stop(self.life)

    def go_on(self) -> None:
        """Nor was it ever told that it had none."""
        if self.life is not None and self.stopped:
            self.cluster.queue.go_on([self.life])
        self.stopped = False

    async def do(self, work: Callable[[Life], Awaitable[T]], *, cancels: bool = True) -> T:
        """What a task of this process makes of it. Raises GoneError where the process dies, or is dead. Where who asks
        is cancelled, it is given up, if it `cancels`."""
        if self.life is None or not self.life.started:
            raise GoneError
        return await self.life.do(work, cancels=cancels)


class Life:
    """A process from its start to its end."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.cluster = process.cluster
        self.random = Random(self.cluster.random.getrandbits(64))
        self.crash_point = LastPoint(self.die)
        self.crash_point.on_step = partial(self.cluster.note, process.number)
        self.turns = LifeTurns(self.random)
        self.dead = False
        self.ended = trio.Event()
        """Set when its last task has."""
        self.started = False
        """Whether its devices are open."""
        self.serving = False
        self.nursery: trio.Nursery
        self.node: SimNode
        self.registry: Registry
        self.progress = ProgressTable(process.clock)
        self._doing: dict[_Asked, None] = {}

    # -- its course ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until it dies."""
        LIFE.set(self)
        self.cluster.nursery.start_soon(self.turns.run, self)
        await trio.lowlevel.checkpoint()
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                if not self.dead:
                    await self._start()
                    await trio.sleep_forever()
        except BaseException:
            if not self.dead:
                raise
        finally:
            self.turns.end()
            self.ended.set()

    def die(self) -> None:
        """From one moment to the next. What its tasks still do nobody hears, and no disk takes."""
        if self.dead:
            return
        self.dead, self.serving, self.started = True, False, False
        self.process.go_on()
        self.process.life = None
        network = self.cluster.network
        network.deaf(self.process.place)
        network.cut_all(self.process.place)
        self.crash_point.dead = True
        if hasattr(self, "node"):
            for device in self.node.devices.values():
                gate_of(device).open()
        for asked in list(self._doing):
            asked.end()
        if hasattr(self, "nursery"):
            self.nursery.cancel_scope.cancel()

    async def do(self, work: Callable[[Life], Awaitable[T]], *, cancels: bool = True) -> T:
        """Have a task of this life do something; where who asks is cancelled, it is given up, if it `cancels`."""
        asked = _Asked()
        results: list[T] = []

        async def run() -> None:
            LIFE.set(self)
            await trio.lowlevel.checkpoint()
            try:
                with asked.scope:
                    results.append(await work(self))
            except Exception as error:  # for who asked
                asked.error = error
            finally:
                self._doing.pop(asked, None)
                asked.end()

        self._doing[asked] = None
        self.nursery.start_soon(run)
        try:
            await asked.done.wait()
        except trio.Cancelled:
            if cancels:
                asked.scope.cancel()
            raise
        if results:
            return results[0]
        if asked.error is not None and not self.dead:
            raise asked.error
        raise GoneError

    # -- what it is made of --------------------------------------------------------------------------------------

    async def _start(self) -> None:
        cluster, clock, number = self.cluster, self.process.clock, self.process.number
        self.registry = self._served_registry()
        ring = await self._until_it_answers(self._ring_now)
        media = cluster.media
        own: dict[int, Device] = {}
        for each in ring.devices:
            if cluster.owner(each) == number:
                device = await _open_device(media, each, self.crash_point, self.turns)
                if device is not None:
                    own[each] = device
        ports = Ports(own)
        media.writers += 1
        rows = Rows(ring, ports, StampSource(clock, media.writers), alone=False)
        workers = [SimWorker(self.turns), SimWorker(self.turns)]
        store = DeviceStore(rows, ports, media.policies, clock, SeededRandom(self.random), workers, own)
        lives = Lives(self.registry, self.process.place, lambda: self._processes, ports, self._ring_now)
        store.pins.others = lives.others
        replicator = Replicator(store, self.registry, clock, self.progress, self._step, lives, self.process.place)
        service = DeviceService(own, replicator.in_doubt.wake)
        replicator.on_flush = service.note_late
        lives.on_over = replicator.gone
        self.node = SimNode(media, self.crash_point, self.turns, self.nursery, store, own, replicator, {})
        for device in own.values():
            self.node.run_device(device)
        self._reach_others(ports, ring, replicator)
        self.ports = ports
        self.started = True
        services = [service.serve, PinService(store.pins.held).serve]
        cluster.network.listen(self.process.place, partial(self._accept, services))
        await self.nursery.start(stay_live, self.registry, self.process.place, RunOf(store.life, ""))
        await self._until_it_answers(lives.load)
        self.nursery.start_soon(lives.run)
        await replicator.start(self.nursery)
        self.nursery.start_soon(self._follow_ring)
        self.serving = True

    def _served_registry(self) -> Registry:
        async def dial() -> trio.abc.Stream:
            return await self.cluster.network.dial(self.process.place, REGISTRY)

        client = WireClient(dial, hello(self.process.place))
        self.nursery.start_soon(client.run)
        return ServedRegistry(client)

    def _reach_others(self, ports: Ports, ring: Ring, replicator: Replicator) -> None:
        self._remote: dict[int, RemoteDevice] = {}
        self._processes: dict[str, RemoteProcess] = {}
        for other in self.cluster.processes:
            if other.number != self.process.number:

                async def dial(place: str = other.place) -> trio.abc.Stream:
                    return await self.cluster.network.dial(self.process.place, place)

                remote = RemoteProcess(self.cluster.numbers_of(other.number), dial, hello(self.process.place))
                remote.on_back = lambda device: self.nursery.start_soon(replicator.back, device)
                self._remote |= remote.devices
                self._processes[other.place] = remote
                self.nursery.start_soon(remote.run)
        self._know(ports, ring)

    def _know(self, ports: Ports, ring: Ring) -> None:
        for number in ring.devices:
            if number in self._remote:
                ports.others[number] = self._remote[number]

    async def _accept(self, services: Sequence[Service], stream: trio.abc.Stream) -> None:
        async def serve() -> None:
            LIFE.set(self)
            await trio.lowlevel.checkpoint()
            await serve_link(stream, hello(self.process.place), services)

        if not self.dead:
            self.nursery.start_soon(serve)

    # -- the ring ------------------------------------------------------------------------------------------------

    async def _until_it_answers(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the registry says, when it does."""
        while True:
            try:
                return await ask()
            except RetryableError:
                await trio.sleep(AGAIN_SECONDS)

    async def _ring_now(self) -> Ring:
        stored = await load_ring(self.registry, CLUSTER)
        assert stored.ring is not None
        return stored.ring

    async def _step(self, change: Callable[[Ring], Ring]) -> Ring:
        return await step_ring(self.registry, CLUSTER, change)

    async def _follow_ring(self) -> None:
        async def again(_event: Event) -> None:
            await self._take_up()

        await follow(self.registry, Span.key(STATE_KEY), self._take_up, again)

    async def _take_up(self) -> None:
        """As `drystone.node` does it."""
        node = self.node
        ring = await load_newer(self.registry, CLUSTER, node.store.rows.ring)
        if ring is None:
            return
        self._know(self.ports, ring)
        for number in ring.devices:
            if self.cluster.owner(number) == self.process.number and number not in node.devices:
                await node.bring_back(number)
        await node.replicator.rebalancer.follow(ring)


def gate_of(device: Device) -> Gate:
    """What holds up the jobs of its disk, or does not."""
    disk = device._disk
    assert isinstance(disk, SimDisk)
    return disk.gate


class _Asked:
    """Something that is to be done by a task of another life than who asks."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.scope = trio.CancelScope()
        self.error: Exception | None = None

    def end(self) -> None:
        self.done.set()
