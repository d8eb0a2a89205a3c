"""One seed: a cluster that is used by several clients at once while all sorts of things happen to it."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from random import Random
from unittest import mock

import trio

from store.core.errors import DrystoneError
from store.objects.model import Container, Policy
from store.remote import process as remote_process
from store.remote import service
from store.replicator import tombstones, upload_janitor
from store.replicator.daemon import Schedule
from store.ring import Builder, Ring
from store.wire import link
from tests.simulation.composed.layouts import CHANGES, Change, Choice
from tests.simulation.engine_checks import WrongError
from tests.simulation.fleet.clients import ACCOUNT, BOXES, FIXED, SIZES, Client, Used
from tests.simulation.fleet.cluster import DEVICES_MAX, SimCluster, running
from tests.simulation.fleet.faults import FAULTS, Affected, Fault
from tests.simulation.fleet.history import History
from tests.simulation.fleet.process import GoneError, Life, Process, gate_of
from tests.simulation.fleet.register import judge
from tests.simulation.fleet.rest import is_whole, whole
from tests.simulation.limits import small_limits
from tests.simulation.object_checks import check_nothing_left, lacking
from tests.simulation.world import run

REQUESTS = 320
"""Of all clients together."""
QUIET_S = 125.0
REST_S = 1500.0
"""So long after the last fault everything is as it should be."""
SELDOM_S = 0.7
"""News and signs of life come less often than they do, so that minutes of simulated time are soon over."""
LOOK_S = 30.0
"""What is left of uploads is looked for more often than it is, so that it is soon found."""
COLLECT_S = 4.0
"""Tombstones are collected more often than they are, so that what is deleted is soon deleted for good."""
NAMES = ["a", "b/1", "b/2", "c", "d" * 300, "é", "f", "g", "h", "i", "j", "k"]

ENTERED: Counter[str] = Counter()
"""How often each kind of event was entered, in this process."""
RUNS, ASKED, STRUCK = "runs", "requests", "faults"
"""How many there were in all."""


class FleetRun:
    """One seed of the exploration."""

    def __init__(self, seed: int, *, boxes: bool = False) -> None:
        self.random = random = Random(seed)
        policies = [Policy(0, "copies", default=True), Policy(1, "code", k=2, m=1, codec="zfec")]
        processes = random.choice([2, 3, 3, 3, 4])
        self.cluster = SimCluster(random, processes, random.choice([4, 4, 5, 6]), policies)
        self.history = History(self.cluster.moment)
        self.cluster.network.usual_s = random.choice([0.0, 0.002, 0.02, 0.2])
        names = NAMES[: random.choice([2, 4, 6, 12])]
        self.used = Used(names, random.sample(SIZES, random.randint(2, len(SIZES))), BOXES if boxes else [])
        self.faults = sorted(random.sample(sorted(FAULTS), random.randint(6, 10)))
        self.changes = sorted(random.sample(sorted(CHANGES), random.randint(2, len(CHANGES))))
        self.moving = random.random() < 0.6
        """Whether layouts change."""
        self.harmed = False
        """Whether a device may lack what it acknowledged."""
        self.busy: set[int] = set()
        """Processes to which something is happening."""
        self.struck = 0

    def explore(self) -> str:
        """The digest of all that happened. Raises WrongError where a promise is broken."""
        with ExitStack() as stack:
            stack.enter_context(small_limits())
            stack.enter_context(mock.patch.object(service, "NEWS_SECONDS", SELDOM_S))
            stack.enter_context(mock.patch.object(remote_process, "SETTLED_SECONDS", SELDOM_S))
            stack.enter_context(mock.patch.object(upload_janitor, "LOOK_SECONDS", LOOK_S))
            stack.enter_context(mock.patch.object(tombstones, "SCHEDULE", Schedule(every=COLLECT_S)))
            stack.enter_context(mock.patch.multiple(link, PING_SECONDS=2.5, DEAD_SECONDS=8.0))
            run(self._live, self.random)
        judge(self.history)
        return self.cluster.digest.value()

    async def _live(self) -> None:
        async with running(self.cluster):
            await self._begin()
            async with trio.open_nursery() as nursery:
                for _ in range(self.random.randint(2, 3)):
                    nursery.start_soon(self._trouble)
                if self.moving:
                    nursery.start_soon(self._change_layouts)
                async with trio.open_nursery() as clients:
                    count = self.random.randint(2, 6)
                    for number in range(count):
                        clients.start_soon(self._client(number).work, -(-REQUESTS // count))
                nursery.cancel_scope.cancel()
            ENTERED[RUNS] += 1
            ENTERED[ASKED] += self.history.requests
            await self._heal()
            await self._come_to_rest()
            await self._look_at_all()
            await self._nothing_is_left()
            await self._look_at_all()
        if self.cluster.wrong:
            raise self.cluster.wrong[0]

    def _client(self, number: int) -> Client:
        return Client(self.cluster, self.history, self.used, number)

    async def _begin(self) -> None:
        async def found(process: Process) -> None:
            async def make(life: object) -> None:
                store = process.life.node.store  # type: ignore[union-attr]
                await store.put_account(ACCOUNT, {})
                for name, policy in FIXED.items():
                    await store.put_container(ACCOUNT, name, {}, policy)

            while True:
                try:
                    await process.do(make)
                except (DrystoneError, GoneError):
                    await trio.sleep(0.5)
                else:
                    return

        while len(self.cluster.serving) < len(self.cluster.processes):
            await trio.sleep(0.1)
        await found(self.cluster.processes[0])

    # -- what happens --------------------------------------------------------------------------------------------

    async def _trouble(self) -> None:
        """One fault after the other."""
        random = Random(self.random.getrandbits(64))
        while True:
            await trio.sleep(random.choice([0.05, 0.5, 3]) * random.random())
            name = random.choice(self.faults)
            fault = FAULTS[name]
            process = random.choice(self.cluster.processes)
            affected = Affected(self.cluster, process, random)
            if process.number in self.busy or (fault.harms and self.harmed) or not fault.strikes(affected):
                continue
            self.busy.add(process.number)
            try:
                await self._strike(name, fault, affected)
            finally:
                self.busy.discard(process.number)

    async def _strike(self, name: str, fault: Fault, affected: Affected) -> None:
        if fault.harms:
            self.harmed = True
            with trio.move_on_after(10):
                while not await is_whole(self.cluster):
                    await trio.sleep(0.2)
            if not await is_whole(self.cluster):
                self.harmed = False
                return  # another lacks something yet
        if not fault.strikes(affected):
            self.harmed = self.harmed and not fault.harms
            return  # it is gone meanwhile
        ENTERED[f"fault: {name}"] += 1
        ENTERED[STRUCK] += 1
        self.struck += 1
        self.cluster.note(affected.process.number, name)
        try:
            await fault.strike(affected)
        except GoneError:
            affected.process.kill()
        self.cluster.note(affected.process.number, f"{name} is over")
        if fault.harms:
            while not await is_whole(self.cluster):
                await trio.sleep(2)
            self.harmed = False

    async def _change_layouts(self) -> None:
        random = Random(self.random.getrandbits(64))
        while True:
            await trio.sleep(random.choice([0.2, 2, 20]) * random.random())
            ring = await self.cluster.ring()
            if len(ring.live) > 1:
                continue
            name = self._next_change(ring, random)
            change = self._change(name, Choice(ring, 4, None, random))
            if change is not None:
                ENTERED[f"layout: {name}"] += 1
                self.cluster.digest.add(f"layout {name}")
                await self.cluster.change_layout(change)

    def _next_change(self, ring: Ring, random: Random) -> str:
        """What was emptied is mostly soon used again, or removed."""
        emptied = any(not device.weight for device in ring.newest.devices.values())
        following = [name for name in ("back again", "remove an emptied one") if name in self.changes]
        return random.choice(following if emptied and following and random.random() < 0.7 else self.changes)

    def _change(self, name: str, choice: Choice) -> Change | None:
        if name != "add":
            return CHANGES[name](choice)
        number = choice.ring.newest.next_device
        if number >= DEVICES_MAX:
            return None

        def add(builder: Builder) -> None:
            builder.add(1, 1, self.cluster.machine(number), 1.0, f"disk {number}")

        return add

    # -- rest ----------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        """All faults are over."""
        cluster = self.cluster
        cluster.network.heal()
        for medium in cluster.media.disks.values():
            medium.broken, medium.fail_syncs, medium.capacity = False, 0, 1 << 40
        for process in cluster.processes:
            process.go_on()
            if process.life is not None and process.life.crash_point.cut_at is not None:
                process.kill()
            if process.life is None:
                process.start()
            while not process.serving:
                await trio.sleep(0.5)
            await process.do(self._mend)

    async def _mend(self, life: Life) -> None:
        """Devices whose faults were cut off."""
        node, ring = life.node, await self.cluster.ring()
        for number in self.cluster.numbers_of(life.process.number):
            if number not in ring.newest.devices:
                continue
            device = node.devices.get(number)
            if device is not None:
                gate_of(device).open()
                await trio.sleep(1)
            if device is None or device.health.failed is not None or number in self.cluster.media.absent:
                if device is not None and number not in self.cluster.media.absent:
                    node.take_away(number)
                await node.bring_back(number)

    async def _come_to_rest(self) -> None:
        """By the daemons alone."""
        await trio.sleep(QUIET_S)
        with trio.move_on_after(REST_S):
            while not (await is_whole(self.cluster) and len((await self.cluster.ring()).live) == 1):
                await trio.sleep(20)
            return
        ring = await self.cluster.ring()
        serving = [process.number for process in self.cluster.serving]
        missing = await lacking(await whole(self.cluster))
        raise WrongError(
            f"not at full replication: {missing}, layouts {len(ring.live)}, serving {serving}; {self._troubles()}"
        )

    def _troubles(self) -> list[str]:
        """What loops say that keeps them."""
        return [
            f"{process.place}, {loop.name}: {loop.trouble}"
            for process in self.cluster.processes
            if process.life is not None
            for loop in process.life.progress.loops.values()
            if loop.trouble and loop.left
        ]

    async def _look_at_all(self) -> None:
        """Everything is read at every process; nothing keeps anybody from an answer."""
        client = self._client(99)
        for process in self.cluster.processes:
            for name in self.used.boxes:
                await client.ask(client.look(name), process, 60.0)
            for where in [*FIXED, *self.used.boxes]:
                await self._ask_all(client, where, process)

    async def _ask_all(self, client: Client, where: str, process: Process) -> None:
        found: list[Container] = []

        async def find(life: object) -> None:
            found.append(await process.life.node.store.container(ACCOUNT, where))  # type: ignore[union-attr]

        try:
            await process.do(find)
        except DrystoneError:
            if where in FIXED:
                raise WrongError(f"container {where} is not there at rest") from None
            return
        for name in self.used.names:
            if not await client.ask(client.get(name, found[0]), process, 60.0):
                raise WrongError(f"{where}/{name} cannot be read at rest")
        if not await client.ask(client.list(found[0]), process, 60.0):
            raise WrongError(f"{where} cannot be listed at rest")

    async def _nothing_is_left(self) -> None:
        for attempt in range(4):
            for process in self.cluster.processes:
                await process.do(lambda life: life.node.run_daemons())
            try:
                check_nothing_left(await whole(self.cluster))
            except WrongError:
                if attempt == 3:
                    raise
                await trio.sleep(20)  # what waits for a step of the ring waits for news of it
            else:
                return
