"""One seed: some lives of a store in which everything comes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from unittest import mock

import trio

from store.core.errors import CallerError, ConflictError, DrystoneError
from store.objects.model import Container, Policy
from store.objects.rows import Rows
from tests.simulation.composed.containers import ContainerClient, ContainerModel
from tests.simulation.composed.faults import FAULTS, Fault
from tests.simulation.composed.layouts import CHANGES, Choice
from tests.simulation.composed.trouble import Trouble
from tests.simulation.crash_point import CrashPoint
from tests.simulation.engine_checks import WrongError
from tests.simulation.limits import small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import LEAKS, check_devices, check_nothing_left, check_objects, lacking
from tests.simulation.object_workload import ACCOUNT, Client, ObjectsRun
from tests.simulation.world import SimClock, run

HOUR_US = 3600 * 1_000_000
SKEWS_US = [0, 0, 0, -5_000_000, 5_000_000, -HOUR_US, HOUR_US, 12 * 365 * 24 * HOUR_US]
QUIET_S = 125.0
"""So long after the last fault every row is at full replication, without a scrub."""

ENTERED: Counter[str] = Counter()
"""How often each kind of event was entered, in this process."""
OTHER_EVENTS = [
    "layout: overtaken",
    "clock: jump",
    "life",
    "crash",
    "crash: right after an acknowledgement",
    "crash: right after an index was written",
    "crash: with a disk lost",
    "power loss",
    "device left",
]
"""Beside faults and changes of the layout."""


class ComposedRun(ObjectsRun):
    """One seed of the exploration."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        random = self.random
        policies = [Policy(0, "copies", default=True), Policy(1, "code", k=2, m=1, codec="zfec")]
        if random.random() < 0.3:
            policies.append(Policy(2, "two", replicas=2))
        self.media = SimMedia(random, random.choice([3, 4, 4, 5, 6]), policies)
        self.faults = _some(random, sorted(FAULTS))
        self.changes = _some(random, sorted(CHANGES)) if random.random() < 0.7 else []
        self.clocks = random.random() < 0.4
        self.expiring = 0.0 if self.clocks else 0.15
        self.overtaking = random.random() < 0.3
        """Whether a change may be published before the one before is done."""
        self.hasty = random.choice([0.0, 0.0, 0.03, 0.2])
        """How often a life that is to end in a crash ends right after something was acknowledged."""
        self.kinds = [*_some(random, [name for name in KINDS if name != "put"]), "put"]
        self.boxes = [ContainerModel(f"box {number}") for number in range(2)] if random.random() < 0.6 else []
        self.harmed: int | None = None
        """The one device that is away, or may lack what it acknowledged."""
        self.active: Counter[str] = Counter()
        """Faults at work."""
        self.calm_since = -1.0
        """When the last fault was over. What began before may have met it: an upload hears at its end what was lost."""
        self.damaged = False
        """Whether anything was damaged that only a scrub finds, since the last rest."""
        self.late = False
        """Whether the last crash was drawn for a moment at which some device had not answered yet."""

    def explore(self) -> str:
        with small_limits(), mock.patch.object(LEAKS, "allowed", "flipped" in self.faults):
            for _ in range(self.random.randint(0, 3)):
                self._live(self.random.randint(100, self.random.choice([800, 3000])), self.random.randint(5, 40))
                if self.random.random() < (0.7 if self.late else 0.3):
                    self._live(None, 0)  # nobody writes anew what a crash left behind
            self._live(None, self.random.randint(10, 40))
            self._live(None, 0)
        return self.digest.value()

    def fault(self, name: str) -> Fault:
        return FAULTS[name]

    def does(self, client: Client) -> list[Callable[[], Awaitable[None]]]:
        return [getattr(client, name) for kind in self.kinds for name in KINDS[kind]] + [client.rest]

    def tolerates(self, error: DrystoneError, began: float) -> bool:
        troubled = self.harmed is not None or bool(self.active) or began <= self.calm_since
        return isinstance(error, CallerError) or troubled

    # -- one life ------------------------------------------------------------------------------------------------

    async def _life(self, steps: int, last: bool) -> None:
        clock = SimClock(self.random.choice(SKEWS_US) if self.clocks else 0)
        self.active.clear()
        self.calm_since = -1.0
        async with open_node(self.media, self.crash_point, clock) as node:
            containers = await self._retried(lambda: self._containers(node))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._mend_what_is_left, node)
                async with trio.open_nursery() as clients:
                    for _ in range(self.random.randint(1, 4)):
                        clients.start_soon(Client(self, node, containers).work, steps)
                    for box in self.boxes:
                        clients.start_soon(self._work_on, node, box, steps)
                    if steps:
                        for _ in range(self.random.randint(0, 3)):
                            nursery.start_soon(self._trouble, node)
                        if self.changes:
                            nursery.start_soon(self._change_layouts, node)
                        if self.clocks:
                            nursery.start_soon(self._move_clock, clock)
                nursery.cancel_scope.cancel()
            await self._come_to_rest(node)
            await self._check_all(node, containers)
        if last and not steps:
            for device in node.devices.values():
                await device.close()
            await check_devices(node)

    async def _retried(self, work: Callable[[], Awaitable[list[Container]]]) -> list[Container]:
        """What each life begins with may have to wait for a device."""
        for _ in range(200):
            try:
                return await work()
            except ConflictError:
                raise
            except DrystoneError:
                self.look_alive()
                await trio.sleep(1)
        return await work()

    async def _work_on(self, node: SimNode, box: ContainerModel, steps: int) -> None:
        client = ContainerClient(ACCOUNT, box, Random(self.random.getrandbits(64)))
        client.store = node.store
        for _ in range(steps):
            began = trio.current_time()
            try:
                await client.step()
            except DrystoneError as error:
                self.look_alive()
                if not self.tolerates(error, began):
                    raise
            self.look_alive()
            await trio.sleep(self.random.random() / 4)

    # -- faults --------------------------------------------------------------------------------------------------

    async def _trouble(self, node: SimNode) -> None:
        """One fault after the other."""
        random = Random(self.random.getrandbits(64))
        while True:
            await trio.sleep(random.choice([0.05, 0.5, 3]) * random.random())
            name = random.choice(self.faults)
            fault = self.fault(name)
            number = random.choice(sorted(node.store.rows.ring.newest.devices))
            if (fault.harms and self.harmed is not None) or self.active[f"{number}"]:
                continue
            if number not in node.devices or node.devices[number].health.failed is not None:
                continue
            trouble = Trouble(node, number, random)
            if fault.harms:
                if not await trouble.all_whole() or self.harmed is not None:
                    continue  # another lacks something yet
                self.harmed = number
            self.active[name] += 1
            self.active[f"{number}"] += 1
            self.damaged = self.damaged or fault.damages
            ENTERED[f"fault: {name}"] += 1
            self.digest.add(f"{name} {number}")
            try:
                await fault.strike(trouble)
                self.look_alive()
                if fault.harms:
                    await trouble.made_whole(scrub=fault.damages)
            finally:
                if fault.harms and not self.crash_point.dead and not trouble.gate.shut:
                    self._let_go(node, number)
                self.active[name] -= 1
                self.active[f"{number}"] -= 1
                self.active += Counter()
                self.calm_since = trio.current_time()
            self.digest.add(f"{name} {number} is over")

    def _let_go(self, node: SimNode, number: int) -> None:
        """It is whole, or the end of a life cut its course off: then `_come_to_rest` sees to it."""
        self.harmed = None

    async def _mend_what_is_left(self, node: SimNode) -> None:
        """A device that was away when the life before ended."""
        for number in sorted(self.media.absent):
            await trio.sleep(self.random.choice([0, 1, 10]))
            if number in node.store.rows.ring.newest.devices:
                await node.bring_back(number)

    async def _change_layouts(self, node: SimNode) -> None:
        random = Random(self.random.getrandbits(64))
        while True:
            await trio.sleep(random.choice([0.2, 2, 20]) * random.random())
            ring = self.media.ring
            if len(ring.live) > (2 if self.overtaking else 1):
                continue
            name = random.choice(self.changes)
            needed = max(3, *(policy.width for policy in self.media.policies))
            out = self.harmed if self.harmed in self.media.absent else None
            change = CHANGES[name](Choice(ring, needed, out, random))
            if change is None:
                continue
            ENTERED[f"layout: {name}"] += 1
            ENTERED["layout: overtaken"] += len(ring.live) > 1
            self.digest.add(f"layout {ring.newest.version + 1}: {name}")
            self.media.change_ring(change)
            await node.follow_ring()

    async def _move_clock(self, clock: SimClock) -> None:
        while True:
            await trio.sleep(self.random.random() * 5)
            clock.skew_us = self.random.choice(SKEWS_US)
            ENTERED["clock: jump"] += 1

    # -- rest ----------------------------------------------------------------------------------------------------

    async def _come_to_rest(self, node: SimNode) -> None:
        """All faults are over. Within QUIET_S every row is at full replication and every change of the layout is done,
        by the daemons alone."""
        self.look_alive()
        media = self.media
        for number, medium in sorted(media.disks.items()):
            medium.broken, medium.fail_syncs, medium.capacity = False, 0, 1 << 40
            if number not in media.ring.devices:
                continue
            device = node.devices.get(number)
            if device is not None:
                Trouble(node, number, self.random).gate.open()
                await trio.sleep(1)
            if device is None or device.health.failed is not None or number in media.absent:
                if number not in media.ring.newest.devices:
                    continue
                if device is not None and number not in media.absent:
                    node.take_away(number)
                await node.bring_back(number)
        await node.follow_ring()  # who was to tell it of a new one may have been cut off
        await trio.sleep(QUIET_S)
        self.look_alive()
        if self.damaged:
            await node.run_daemons()
        for _ in range(60):
            if len(node.store.rows.ring.live) == 1 and all(device.in_sync for device in node.devices.values()):
                break
            await trio.sleep(30)
        missing = await lacking(node)
        if missing:
            raise WrongError(f"not at full replication: {missing}")
        if len(node.store.rows.ring.live) > 1:
            raise WrongError(f"a change of the layout is not done: {node.store.rows.ring.progress}")
        self.harmed = None
        self.damaged = False
        self.active.clear()

    async def _check_all(self, node: SimNode, containers: list[Container]) -> None:
        await self._check(node, containers, settled=False)
        for box in self.boxes:
            client = ContainerClient(ACCOUNT, box, self.random)
            client.store = node.store
            await client.check()
        await node.run_daemons()
        await self._check(node, containers, settled=True)
        self._forget_removed(node)
        await self._nothing_left(node)

    @staticmethod
    async def _nothing_left(node: SimNode) -> None:
        for attempt in range(3):
            try:
                check_nothing_left(node)
            except WrongError:
                if attempt == 2:
                    raise
                await node.run_daemons()  # something may just have expired
            else:
                return

    def _forget_removed(self, node: SimNode) -> None:
        """Devices that have left the ring are nobody's any more."""
        for number in sorted(set(node.devices) - set(node.store.rows.ring.devices)):
            del node.devices[number]
            ENTERED["device left"] += 1

    async def _containers(self, node: SimNode) -> list[Container]:
        found = await super()._containers(node)
        return [container for container in found if container is not None]

    async def _check(self, node: SimNode, containers: list[Container], *, settled: bool) -> None:
        try:
            await check_objects(node, containers, self.model, settled=settled)
        finally:
            self.look_alive()

    def _live(self, cut_at: int | None, steps: int) -> None:
        self.crash_point = CrashPoint(cut_at)
        self.crash_point.on_step = self._step
        self.locks = {}
        for register in self.model.values():
            register.readers.clear()
        ENTERED["life"] += 1
        crashed = self.late = False
        try:
            run(lambda: self._life(steps, cut_at is None), self.random, self.time)
        except BaseException:
            if not self.crash_point.dead:
                raise
            crashed = True
            ENTERED["crash"] += 1
        self.crash_point.cut()
        if self.late or self.random.random() < 0.7:
            ENTERED["power loss"] += 1
            self.digest.add("power loss")
            self.media.lose_power()
        if crashed and self.harmed is None and self.random.random() < (0.9 if self.late else 0.15):
            self._lose_a_disk()

    def acknowledged(self, rows: Rows) -> None:
        """What was acknowledged must be there, whatever happens next: the worst, and sooner where some device has not
        yet said that it has its data."""
        late = any(expected.lacking for expected in rows._late_data)
        chance = 0.7 if late else self.hasty
        if self.crash_point.cut_at is not None and self.random.random() < chance:
            self.late = late
            ENTERED["crash: right after an acknowledgement"] += 1
            self.crash_point.cut()
            self.look_alive()

    def _step(self, what: str) -> None:
        super()._step(what)
        waiting = self.active["slow"] or self.active["hangs"]
        if waiting and what.startswith("index") and self.crash_point.cut_at is not None and self.random.random() < 0.2:
            # What an index says is in doubt no more: who has not answered by now must be known to somebody.
            self.late = True
            ENTERED["crash: right after an index was written"] += 1
            self.crash_point.cut_at = self.crash_point.operations + self.random.randint(1, 8)

    def _lose_a_disk(self) -> None:
        """One disk does not survive the crash; an empty one takes its place."""
        number = self.random.choice(sorted(self.media.ring.newest.devices))
        ENTERED["crash: with a disk lost"] += 1
        self.digest.add(f"lost {number}")
        self.media.wipe(number)
        self.harmed = number


KINDS: dict[str, list[str]] = {
    "put": ["put"] * 4,
    "upload": ["upload"] * 3,
    "read": ["read"] * 3,
    "delete": ["delete"] * 2,
    "update": ["update"] * 2,
    "copy": ["copy"] * 2,
    "abort": ["abort"],
    "list": ["list"],
    "race": ["race", "put_if"],
}


def _some(random: Random, names: list[str]) -> list[str]:
    return random.sample(names, random.randint(1, len(names)))
