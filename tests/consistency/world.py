"""One run: replicas, coordinators, clients and daemons, a network that delays, drops, repeats and cuts, clocks that
skew and jump, crashes, lost and stale disks, layouts that change. All of it is drawn from one seed.

Time is counted in ticks; a message takes some. Clocks are off by thousands of ticks, which is far more than a trip.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Generator, Hashable
from hashlib import blake2b
from itertools import count
from random import Random
from typing import NamedTuple

from tests.consistency.coordinator import Coordinator, Replies, Round, UnknownError
from tests.consistency.daemons import collect, rejoin, retire_layout, sync
from tests.consistency.messages import NEVER, Barred, Newer, Release, Reply, Stale
from tests.consistency.replica import EMPTY, Image, Replica
from tests.consistency.ring import Ring
from tests.linearizability.checker import Operation
from tests.linearizability.register import CompareAndSet, Read, Write, explained

DEVICES = 5
PROCESSES = 3
CLIENTS = 5
OPERATIONS = 7
"""Of each client."""
PATIENCE = 100
"""So long a round waits for replies."""
CALM = 1200
"""After this there are no faults any more, and everything is mended."""
SKEW = 4000
INDEX_TICKS = 10
"""So long after it was told to release a tombstone a replica does, on average."""

Work = Generator[Round, Replies, Hashable]


class BrokenPromiseError(AssertionError):
    """What clients saw cannot be explained."""


class World:
    """Everything, until `run` returns."""

    def __init__(self, seed: int, weather: str = "") -> None:
        self.random = Random(seed)
        self.now = 0
        self.entered = Counter[str]()
        """How often each fault and each path was entered."""
        self.ring = Ring(live=(tuple(self.random.sample(range(DEVICES), 3)),))
        self.replicas = [Replica(number) for number in range(DEVICES)]
        self.down: set[int] = set()
        self.images: list[tuple[int, Image]] = []
        """What disks had once."""
        self.cut: set[tuple[int, int]] = set()
        """(process, device) between which nothing goes."""
        self.processes: list[_Process] = []
        self.history: list[Operation] = []
        self.trace = blake2b(digest_size=16)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._values = count(1)
        self.weather = WEATHERS[weather or self.random.choice(sorted(WEATHERS))]
        self._loss = self.random.choice([0.0, 0.0, 0.05])
        self._repeats = self.random.choice([0.0, 0.1])
        for _ in range(PROCESSES):
            self.processes.append(_Process(self))

    # -- time ----------------------------------------------------------------------------------------------------------

    def at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + max(1, round(delay)), next(self._numbers), event))

    @property
    def calm(self) -> bool:
        return self.now >= CALM

    def run(self) -> str:
        """Let it happen, and judge. Returns a digest of all that happened."""
        for number in range(CLIENTS):
            self.at(self.random.randint(1, 100), _Client(self, number).next)
        for fault, every in self.weather.faults.items():
            _Recurring(self, fault, every)
        self.at(20, self._mend)
        while self._events:
            self.now, number, event = heapq.heappop(self._events)
            event()
            self.trace.update(b"%d %d," % (self.now, number))
        if not explained(self.history):
            raise BrokenPromiseError("\n".join(map(str, sorted(self.history, key=lambda each: each.invoked))))
        return self.trace.hexdigest()

    # -- the network ---------------------------------------------------------------------------------------------------

    def send(self, task: _Task, device: int, round_: Round, request: int) -> None:
        """One request; its reply comes at some time, or never, or twice."""
        for _ in range(1 + (self.random.random() < self._repeats)):
            if not self._is_lost(task.process, device):
                self.at(self._delay(), lambda: self._deliver(task, device, round_, request))

    def _deliver(self, task: _Task, device: int, round_: Round, request: int) -> None:
        if device in self.down:
            return
        replica = self.replicas[device]
        reply = replica.answer(round_.message, round_.epoch)
        self._count(reply)
        if isinstance(round_.message, Release) and replica.releasing != NEVER:
            self._release(device)
        if not self._is_lost(task.process, device):
            self.at(self._delay(), lambda: self.processes[task.process].whose(task).take(request, device, reply))

    def _release(self, device: int) -> None:
        """Each releases by its own index, which is written a while later, or not before the device is out."""
        if not self.calm and self.random.random() < self.weather.unreleased:
            self._fail(device)
        else:
            self.at(self.random.expovariate(1 / INDEX_TICKS), self.replicas[device].write_index)

    def _fail(self, device: int) -> None:
        self.replicas[device].crash()
        self.down.add(device)
        self.at(self.random.expovariate(1 / self.weather.outage), lambda: self.down.discard(device))

    def _count(self, reply: Reply) -> None:
        if isinstance(reply, Stale | Barred | Newer):
            self.entered[f"reply: {type(reply).__name__.lower()}"] += 1

    def _is_lost(self, process: int, device: int) -> bool:
        return not self.calm and ((process, device) in self.cut or self.random.random() < self._loss)

    def _delay(self) -> float:
        if not self.calm and self.random.random() < self.weather.late:
            return self.random.expovariate(1 / self.weather.lateness)
        return self.random.randint(1, 10)

    # -- what keeps promises over time -------------------------------------------------------------------------------

    def step(self, change: Callable[[Ring], Ring]) -> None:
        self.ring = change(self.ring)

    def _mend(self) -> None:
        """One daemon or another has its turn."""
        process = self.random.choice(self.processes)
        work = self._due(Coordinator(next(self._numbers), process.wall, lambda: self.ring))
        if work is not None:
            _Task(self, process, work, lambda _: None, lambda: None).go_on({})
        if not self.calm or self.unsettled:
            self.at(self.random.randint(1, self.weather.mending), self._mend)

    @property
    def unsettled(self) -> bool:
        """Whether something is left to do for the daemons."""
        return bool(len(self.ring.live) > 1 or any(not replica.in_sync for replica in self.replicas))

    def _due(self, coordinator: Coordinator) -> Work | None:
        ring = self.ring
        for device in ring.unclean:
            if device not in ring.replicas and device not in self.down:
                self.replicas[device].version = None
                self.step(lambda ring, device=device: ring.cleaned(device))  # type: ignore[misc]
        lost = [replica.number for replica in self.replicas if not replica.in_sync]
        if lost:
            return rejoin(coordinator, self.random.choice(lost))
        behind = [device for device in ring.live[-1] if device not in ring.synced]
        if len(ring.live) > 1 and behind:
            return sync(coordinator, self.random.choice(behind), self.step)
        if len(ring.live) > 1:
            return retire_layout(coordinator, self.step)
        if self.random.random() < 0.5:
            self.entered["daemon: repair"] += 1
            return coordinator.read()
        self.entered["daemon: collect"] += 1
        return collect(coordinator, self.step)


class _Task:
    """One operation that a process is at."""

    def __init__(
        self,
        world: World,
        process: _Process,
        work: Work,
        done: Callable[[Hashable], None],
        failed: Callable[[], None],
    ) -> None:
        self._world = world
        self._process = process
        self._life = process.life
        self.process = world.processes.index(process)
        self._work = work
        self._done = done
        self._failed = failed
        self._request = 0
        self._replies: dict[int, Reply] = {}
        self._round: Round | None = None

    @property
    def alive(self) -> bool:
        return self._life == self._process.life

    def take(self, request: int, device: int, reply: Reply) -> None:
        """A reply arrives. It counts if it answers what is being asked now."""
        if not self.alive or self._round is None or not self._answers(request):
            return
        self._replies.setdefault(device, reply)
        if self._round.enough(self._replies) or len(self._replies) == len(self._round.to):
            self._end()

    def _answers(self, request: int) -> bool:
        return request == self._request

    def _expire(self, request: int) -> None:
        if self.alive and self._round is not None and request == self._request:
            self._end()

    def _end(self) -> None:
        replies, self._replies, self._round = self._replies, {}, None
        self.go_on(replies)

    def go_on(self, replies: Replies) -> None:
        try:
            round_ = self._work.send(replies) if self._request else next(self._work)
        except StopIteration as end:
            self._done(end.value)
            return
        except UnknownError:
            self._failed()
            return
        self._request = next(self._world._numbers)
        self._process.latest = self
        request = self._request
        if not round_.to:
            self._round = round_
            self._world.at(1, lambda: self._expire(request))
            return
        self._round = round_
        for device in round_.to:
            self._world.send(self, device, round_, request)
        self._world.at(PATIENCE, lambda: self._expire(request))


class _Process:
    """A process with a coordinator: when it is started anew, it has another writer's id, and remembers nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.offset = world.random.randint(-SKEW, SKEW)
        self.life = 0
        self.latest: _Task
        self.coordinator = self._made()

    def _made(self) -> Coordinator:
        return Coordinator(next(self._world._numbers), self.wall, lambda: self._world.ring)

    def wall(self) -> int:
        return max(1, self._world.now + self.offset + SKEW)

    def whose(self, task: _Task) -> _Task:
        """The operation that a reply to a request of `task` is for."""
        return task

    def restart(self) -> None:
        self.life += 1
        self.coordinator = self._made()


class _Client:
    """Does one operation after the other, at one process."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._process = world.processes[number % PROCESSES]
        self._left = OPERATIONS
        self._known: Hashable = None

    def next(self) -> None:
        if not self._left:
            return
        self._left -= 1
        world, random = self._world, self._world.random
        coordinator = self._process.coordinator
        kind = random.random()
        call: Hashable
        work: Work
        if kind < world.weather.reads or (world.calm and self._left < 3):
            call, work = Read(), self._read(coordinator)
        elif random.random() < world.weather.conditional:
            value = None if random.random() < 0.2 else next(world._values)
            call, work = CompareAndSet(self._known, value), coordinator.compare_and_set(self._known, value)
        else:
            value = None if random.random() < world.weather.deletes else next(world._values)
            call, work = Write(value), coordinator.write(value)
        invoked = next(world._numbers)
        life = self._process.life
        ended = False

        def end(result: Hashable, *, known: bool) -> None:
            nonlocal ended
            if ended:
                return
            ended = True
            returned = next(world._numbers) if known else None
            if known or not isinstance(call, Read):
                world.history.append(Operation(call, result, invoked, returned))
            if known and isinstance(call, Read):
                self._known = result
            elif isinstance(call, Write | CompareAndSet):
                self._known = call.value
            world.entered[f"{type(call).__name__}: {'known' if known else 'unknown'}"] += 1
            world.at(random.expovariate(1 / world.weather.pause), self.next)

        def watch() -> None:
            if ended:
                return
            if self._process.life != life:
                end(None, known=False)  # it died with its process
            else:
                world.at(50, watch)

        watch()
        _Task(world, self._process, work, lambda result: end(result, known=True), lambda: end(None, known=False)).go_on(
            {}
        )

    @staticmethod
    def _read(coordinator: Coordinator) -> Work:
        found = yield from coordinator.read()
        return None if found is None else found.value


class _Recurring:
    """A kind of fault that comes again and again."""

    def __init__(self, world: World, fault: Fault, every: float) -> None:
        self._world = world
        self._fault = fault
        self._every = every
        self._wait()

    def _wait(self) -> None:
        self._world.at(self._world.random.expovariate(1 / self._every), self._strike)

    def _strike(self) -> None:
        if not self._world.calm:
            if self._fault(self._world):
                self._world.entered[f"fault: {self._fault.__name__}"] += 1
            self._wait()


Fault = Callable[[World], bool]
"""Something goes wrong; False where it cannot now."""


def crash(world: World) -> bool:
    """A device loses what it had in memory, and is out for a moment or a while."""
    device = world.random.choice(world.ring.replicas)
    if device in world.down:
        return False
    world._fail(device)
    return True


def image(world: World) -> bool:
    """Someone keeps a copy of a disk."""
    replica = world.random.choice(world.replicas)
    world.images.append((replica.number, replica.image()))
    return True


def lost_disk(world: World) -> bool:
    """An empty disk is in a device's place, or an old copy of it. One at a time: more than that is not promised."""
    if any(not replica.in_sync for replica in world.replicas):
        return False
    device = world.random.choice(world.ring.replicas)
    images = [image for number, image in world.images if number == device]
    stale = images and world.random.random() < 0.7
    world.step(lambda ring: ring.came_back(device))
    world.replicas[device].replace(world.random.choice(images) if stale else EMPTY, world.ring.epoch)
    return True


def restart(world: World) -> bool:
    """A process dies and is started anew; its clock may have been set."""
    process = world.random.choice(world.processes)
    if world.random.random() < 0.7:
        process.offset = world.random.randint(-SKEW, SKEW)
    process.restart()
    return True


def clock(world: World) -> bool:
    """A clock jumps."""
    world.random.choice(world.processes).offset = world.random.randint(-SKEW, SKEW)
    return True


def cut(world: World) -> bool:
    """A process and some devices do not hear each other for a while."""
    process = world.random.randrange(PROCESSES)
    links = {(process, device) for device in world.random.sample(range(DEVICES), world.random.randint(1, 3))}
    world.cut |= links
    world.at(world.random.expovariate(1 / 100), lambda: world.cut.difference_update(links))
    return True


def layout(world: World) -> bool:
    """Another layout is published."""
    if len(world.ring.live) > 1:
        return False
    devices = tuple(world.random.sample(range(DEVICES), 3))
    world.step(lambda ring: ring.publish(devices))
    return True


class Weather(NamedTuple):
    """What a run has much of. Faults by the ticks between two, on average."""

    faults: dict[Fault, float]
    reads: float = 0.4
    conditional: float = 0.3
    deletes: float = 0.2
    pause: float = 30.0
    """Ticks between two operations of a client."""
    mending: int = 60
    """Most ticks between two turns of daemons."""
    late: float = 0.1
    """Of messages, this part is late: by `lateness` ticks, on average."""
    lateness: float = 100.0
    outage: float = 100.0
    """A device that crashed is out for so many ticks, on average."""
    unreleased: float = 0.1
    """So often a device crashes when it has been told to release a tombstone, and comes back with it."""


WEATHERS = {
    "mixed": Weather({crash: 200, image: 200, lost_disk: 300, restart: 300, clock: 200, cut: 200, layout: 300}),
    "crowded": Weather({crash: 200, restart: 300, clock: 200, cut: 200}, pause=10, late=0.2),
    "crashes": Weather({crash: 8}, reads=0.1, conditional=0.5, pause=3, mending=300, late=0.2, lateness=20, outage=2),
    "layouts": Weather({layout: 100, restart: 100}, pause=8, mending=4, late=0.4, lateness=150),
    "late layouts": Weather({layout: 40, restart: 300}, pause=15, mending=8, late=0.3, lateness=300),
    "disks": Weather({lost_disk: 50, crash: 300}, pause=10, mending=6, late=0.3),
    "old disks": Weather(
        {lost_disk: 60, image: 10}, reads=0.6, deletes=0.8, pause=50, mending=5, conditional=0.1, late=0
    ),
    "late deletes": Weather(
        {restart: 300}, reads=0.5, deletes=0.7, pause=30, mending=5, conditional=0, late=0.2, lateness=300
    ),
    "releases": Weather(
        {clock: 100}, reads=0.4, deletes=0.5, pause=200, mending=4, conditional=0.3, late=0, outage=150, unreleased=0.3
    ),
    "deletes": Weather({crash: 100}, deletes=0.6, pause=80, mending=10, conditional=0.1, late=0, outage=300),
}
