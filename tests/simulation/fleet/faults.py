"""What may happen to a cluster. Each fault is a course of its own: it begins, lasts, and ends; what it leaves is for
the daemons. Those of one device are the composed ones, and befall a device of one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import NamedTuple

import trio

from store.core.errors import DrystoneError
from tests.simulation.composed import faults as of_devices
from tests.simulation.composed.trouble import PATIENCE_S, Trouble
from tests.simulation.fleet.cluster import SimCluster
from tests.simulation.fleet.process import REGISTRY, GoneError, Process, gate_of
from tests.simulation.fleet.rest import is_whole
from tests.simulation.network import Path
from tests.simulation.node import SimNode
from tests.simulation.worker import Gate

HOUR_US = 3600 * 1_000_000
SKEWS_US = [0, 0, -5_000_000, 5_000_000, -HOUR_US, HOUR_US, 12 * 365 * 24 * HOUR_US]


class Affected(NamedTuple):
    """What a fault has in its hands."""

    cluster: SimCluster
    process: Process
    random: Random

    @property
    def others(self) -> list[Process]:
        return [other for other in self.cluster.processes if other is not self.process]

    def ways(self, *others: str) -> list[Path]:
        """The ways to and from some places."""
        network, here = self.cluster.network, self.process.place
        return [path for there in others for path in (network.path(here, there), network.path(there, here))]


def _lives(affected: Affected) -> bool:
    return affected.process.life is not None and affected.process.life.started


class Fault(NamedTuple):
    """`harms` says that a device may lack what was acknowledged; `strikes`, whether there is anything to befall."""

    strike: Callable[[Affected], Awaitable[None]]
    harms: bool = False
    strikes: Callable[[Affected], bool] = _lives


# -- processes -------------------------------------------------------------------------------------------------------


async def killed(affected: Affected) -> None:
    """kill -9, at any moment or in the midst of a disk's operation; and a new start."""
    await _die(affected)
    await _start_again(affected, [0.0, 0.3, 3, 15])


async def power_lost(affected: Affected) -> None:
    """The same, and what its disks had not synced is kept, lost or torn."""
    await _die(affected)
    for number in affected.cluster.numbers_of(affected.process.number):
        affected.cluster.media.disks[number].lose_power()
    await _start_again(affected, [0.3, 3, 15])


async def _die(affected: Affected) -> None:
    life = affected.process.life
    if life is not None and affected.random.random() < 0.7:
        life.crash_point.cut_at = life.crash_point.operations + affected.random.randint(1, 40)
        with trio.move_on_after(5):
            while not life.dead:
                await trio.sleep(0.01)
    affected.process.kill()


async def _start_again(affected: Affected, waits_s: list[float]) -> None:
    await trio.sleep(affected.random.choice(waits_s))
    affected.process.start()
    await _serves(affected.process)


async def _serves(process: Process) -> None:
    while not process.serving:
        await trio.sleep(0.1)


async def stopped(affected: Affected) -> None:
    """SIGSTOP, and SIGCONT a while later, some times in a row."""
    for _ in range(affected.random.choice([1, 1, 2, 5])):
        affected.process.stop()
        try:
            await trio.sleep(affected.random.choice([0.1, 1, 4, 12, 25]))
        finally:
            affected.process.go_on()
        await trio.sleep(affected.random.random())


async def clock_jumps(affected: Affected) -> None:
    """Its clock shows anything."""
    for _ in range(affected.random.randint(1, 6)):
        affected.process.clock.skew_us = affected.random.choice(SKEWS_US)
        await trio.sleep(affected.random.choice([0.2, 2, 10]))


# -- the network -----------------------------------------------------------------------------------------------------


async def _shut(affected: Affected, ways: list[Path], times_s: list[float]) -> None:
    for path in ways:
        path.shut_it()
    try:
        await trio.sleep(affected.random.choice(times_s))
    finally:
        for path in ways:
            path.open_it()


async def cut_off(affected: Affected) -> None:
    """No other process, nor the registry, reaches it, and it reaches none."""
    places = [other.place for other in affected.others]
    await _shut(affected, affected.ways(*places, REGISTRY), [0.3, 3, 9, 20])


async def one_way(affected: Affected) -> None:
    """What it sends does not arrive, or what is sent to it."""
    ways = affected.ways(*(other.place for other in affected.others), REGISTRY)
    await _shut(affected, ways[affected.random.randint(0, 1) :: 2], [0.3, 3, 9, 20])


async def divided(affected: Affected) -> None:
    """Two that do not reach each other; all others reach both."""
    other = affected.random.choice(affected.others)
    await _shut(affected, affected.ways(other.place), [0.3, 3, 9, 20])


async def broken_streams(affected: Affected) -> None:
    """Streams break, again and again, with what is on their way."""
    for _ in range(affected.random.randint(1, 6)):
        affected.cluster.network.cut(affected.process.place, affected.random.choice(affected.others).place)
        await trio.sleep(affected.random.choice([0.01, 0.3, 3]))


async def far(affected: Affected) -> None:
    """It takes longer than usual to and from there, and each time differently."""
    ways = affected.ways(*(other.place for other in affected.others))
    for path in ways:
        path.delay_s = affected.random.choice([0.05, 0.5, 3])
    try:
        await trio.sleep(affected.random.choice([1, 10]))
    finally:
        for path in ways:
            path.delay_s = path.usual_s


async def no_registry(affected: Affected) -> None:
    """Nobody reaches the registry."""
    network = affected.cluster.network
    places = [process.place for process in affected.cluster.processes]
    ways = [path for place in places for path in (network.path(place, REGISTRY), network.path(REGISTRY, place))]
    await _shut(affected, ways, [1, 10, 20])


# -- devices ---------------------------------------------------------------------------------------------------------


class ProcessTrouble(Trouble):
    """A device of one process; whether all is whole is asked of the cluster."""

    def __init__(self, cluster: SimCluster, process: Process, number: int, random: Random) -> None:
        self._cluster = cluster
        self._process = process
        self.number = number
        self.random = random

    @property
    def node(self) -> SimNode:  # type: ignore[override]
        life = self._process.life
        if life is None or not life.started:
            raise GoneError
        return life.node

    def crash(self) -> None:
        """That is another fault."""

    async def bring_back(self) -> None:
        if self.in_ring:
            # A node that has begun to take a device back goes on with that, whenever faults end.
            await self._process.do(lambda life: life.node.bring_back(self.number), cancels=False)

    async def made_whole(self, *, scrub: bool = False) -> None:
        began = trio.current_time()
        while not await self.all_whole():
            if trio.current_time() - began > PATIENCE_S:
                raise TimeoutError(f"device {self.number} is not whole")
            await trio.sleep(2)

    async def all_whole(self) -> bool:
        try:
            return await is_whole(self._cluster)
        except (DrystoneError, KeyError):
            return False


async def hangs(trouble: Trouble) -> None:
    """It answers nothing for long, and then everything."""
    gate = trouble.gate
    gate.shut = True
    try:
        await trio.sleep(trouble.random.choice([2, 6, 20]))
    finally:
        gate.open()


async def all_slow(affected: Affected) -> None:
    """No disk keeps pace, and each is behind by another time: writes are long at some of their replicas only."""
    random, shut = affected.random, dict[Gate, None]()
    until = trio.current_time() + random.choice([2, 8, 20])
    try:
        while trio.current_time() < until:
            for device in affected.cluster.devices.values():
                gate = gate_of(device)
                if random.random() < 0.6:
                    gate.shut = True
                    shut[gate] = None
                else:
                    gate.open()
            await trio.sleep(random.choice([0.05, 0.3, 1, 3]))
    finally:
        for gate in shut:
            gate.open()


async def put_back_stale(trouble: Trouble) -> None:
    """An empty disk takes its place, and lives; then the old one is put back."""
    trouble.take_away()
    old = trouble.medium.copy(), trouble.index.copy()
    trouble.media.wipe(trouble.number)
    await trouble.bring_back()
    await trouble.made_whole()
    await trio.sleep(trouble.random.choice([1, 5, 15]))
    trouble.take_away()
    trouble.media.swap(trouble.number, *old)
    await trouble.bring_back()


async def pulled(trouble: Trouble) -> None:
    """It is pulled out, and put back a while later; what it had not synced may be lost."""
    trouble.take_away()
    await trio.sleep(trouble.random.choice([0.2, 3, 20]))
    if trouble.random.random() < 0.4:
        trouble.medium.lose_power()
    await trouble.bring_back()


def _healthy(affected: Affected) -> list[int]:
    """The devices of a process that are there, and in the ring."""
    life = affected.process.life
    if life is None or not life.started:
        return []
    ring = life.node.store.rows.ring
    return [
        number
        for number, device in sorted(life.node.devices.items())
        if device.health.failed is None and number in ring.newest.devices
    ]


def _of_device(strike: Callable[[Trouble], Awaitable[None]], *, harms: bool = False) -> Fault:
    async def befall(affected: Affected) -> None:
        numbers = _healthy(affected)
        if numbers:
            number = affected.random.choice(numbers)
            await strike(ProcessTrouble(affected.cluster, affected.process, number, affected.random))

    return Fault(befall, harms, lambda affected: bool(_healthy(affected)))


FAULTS: dict[str, Fault] = {
    "killed": Fault(killed),
    "power lost": Fault(power_lost),
    "stopped": Fault(stopped),
    "clock jumps": Fault(clock_jumps),
    "cut off": Fault(cut_off),
    "one way": Fault(one_way),
    "divided": Fault(divided),
    "broken streams": Fault(broken_streams),
    "far": Fault(far),
    "no registry": Fault(no_registry),
    "all slow": Fault(all_slow),
    "device slow": _of_device(of_devices.slow),
    "device hangs": _of_device(hangs),
    "device full": _of_device(of_devices.full),
    "device pulled": _of_device(pulled),
    "failed sync": _of_device(of_devices.failed_sync, harms=True),
    "device wiped": _of_device(of_devices.wiped, harms=True),
    "stale disk": _of_device(put_back_stale, harms=True),
}
