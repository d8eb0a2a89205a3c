"""Crash exploration of a whole store: several devices, all daemons, clients of every kind of request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from random import Random

import trio

from store.core.errors import CallerError, DrystoneError, NotFoundError, PreconditionError
from store.objects.model import ALWAYS, Condition, Container, ListingQuery, ObjectHead, Policy
from store.objects.rows import Rows
from store.objects.store import OpenRow
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.engine_checks import WrongError
from tests.simulation.limits import BLOCK_BYTES, INLINE_BYTES, small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import Model, check_devices, check_nothing_left, check_objects, judge, read_value
from tests.simulation.object_model import Register, Value, find
from tests.simulation.world import Digest, now, run

ACCOUNT = "a"
NAMES = ["a", "b/1", "b/2", "é", "l" * 400 + "1", "l" * 400 + "2", "l" * 401]


class ObjectsRun:
    """One seed of the exploration."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.digest = Digest()
        self.model: Model = {}
        count = self.random.choice([3, 3, 4, 6])
        policies = [Policy(0, "copies", default=True), Policy(1, "small code", k=2, m=1, codec="zfec")]
        if count == 6:
            policies.append(Policy(2, "wide code", k=4, m=2, codec="zfec"))
        self.media = SimMedia(self.random, count, policies)
        self.crash_point = CrashPoint()
        self.time = 0.0
        self.values = 0
        self.locks: dict[tuple[str, str], trio.Lock] = {}
        self.settled = False
        """Whether the last life ended with everything whole."""
        self.expiring = 0.15
        """The share of small objects that expire soon."""

    def explore(self) -> str:
        """Live some lives; the event digest. Raises WrongError where a promise is broken."""
        with small_limits():
            for _ in range(self.random.randint(1, 3)):
                self._live(self.random.randint(100, 2500), self.random.randint(3, 25))
            for medium in self.media.disks.values():
                medium.broken = False
            self.media.absent.clear()
            if self.settled and self.random.random() < 0.2:
                self._wipe_one()
            self._live(None, 6)
            self._live(None, 0)
        return self.digest.value()

    def _live(self, cut_at: int | None, steps: int) -> None:
        self.crash_point = CrashPoint(cut_at)
        self.settled = False
        self.crash_point.on_step = self._step
        self.locks = {}
        for register in self.model.values():
            register.readers.clear()
        try:
            run(lambda: self._life(steps, cut_at is None), self.random, self.time)
        except BaseException:
            if not self.crash_point.dead:
                raise
        self.crash_point.cut()
        reboot = self.random.random() < 0.7
        self.digest.add(f"life over, reboot {reboot}")
        if reboot:
            self.media.lose_power()

    def _wipe_one(self) -> None:
        victim = self.random.choice(sorted(self.media.ring.devices))
        self.digest.add(f"wiped {victim}")
        self.media.wipe(victim)

    def _step(self, what: str) -> None:
        self.digest.add(what)
        self.time = trio.current_time()

    async def _life(self, steps: int, last: bool) -> None:
        async with open_node(self.media, self.crash_point) as node:
            containers = await self._containers(node)
            if last:
                await node.run_daemons()
            await self._check(node, containers, settled=last)
            if last:
                await self._nothing_left(node)
            async with trio.open_nursery() as nursery:
                for _ in range(self.random.randint(1, 5)):
                    nursery.start_soon(Client(self, node, containers).work, steps)
                if not last and self.random.random() < 0.3:
                    nursery.start_soon(self._break_one)
                elif self.random.random() < 0.4:
                    nursery.start_soon(self._change_ring, node)
            await node.run_daemons()
            await self._check(node, containers, settled=node.whole)
            if node.whole:
                await self._nothing_left(node)
                self.settled = True
        if last:
            for device in node.devices.values():
                await device.close()
            await check_devices(node)

    @staticmethod
    async def _nothing_left(node: SimNode) -> None:
        try:
            check_nothing_left(node)
        except WrongError:
            await node.run_daemons()  # something may just have expired
            check_nothing_left(node)

    async def _check(self, node: SimNode, containers: list[Container], *, settled: bool) -> None:
        try:
            await check_objects(node, containers, self.model, settled=settled)
        finally:
            self.look_alive()

    async def _containers(self, node: SimNode) -> list[Container]:
        await node.store.put_account(ACCOUNT, {})
        found = []
        for policy in self.media.policies:
            container, _ = await node.store.put_container(ACCOUNT, policy.name, {}, policy.index)
            found.append(container)
        return found

    async def _break_one(self) -> None:
        """One device fails for the rest of this life, and perhaps the next ones."""
        await trio.sleep(self.random.random())
        if not any(medium.broken for medium in self.media.disks.values()):
            self.media.disks[self.random.choice(sorted(self.media.disks))].broken = True

    async def _change_ring(self, node: SimNode) -> None:
        """A device comes, is emptied, or leaves, while everything is in use."""
        await trio.sleep(self.random.random())
        ring = self.media.ring
        weights = {number: device.weight for number, device in ring.newest.devices.items()}
        emptied = [number for number, weight in weights.items() if not weight]
        needed = max(3, *(policy.width for policy in self.media.policies))
        if len(ring.live) > 1 or not node.whole:
            return
        if emptied:
            self.media.change_ring(lambda builder: builder.remove(emptied[0]))
        elif len(weights) > needed and self.random.random() < 0.6:
            victim = self.random.choice(sorted(weights))
            self.media.change_ring(lambda builder: builder.set_weight(victim, 0))
        elif len(weights) < 8:
            number = ring.newest.next_device
            self.media.change_ring(lambda builder: builder.add(1, 1, f"m{number}", 1.0, f"disk{number}"))
        self.digest.add(f"layout {self.media.ring.newest.version}")
        await node.follow_ring()
        if self.random.random() < 0.5:
            await node.replicator.scrubber.scrub(None)

    def look_alive(self) -> None:
        if self.crash_point.dead:
            raise PowerLoss

    def acknowledged(self, rows: Rows) -> None:
        """A client was just told that what it wrote is durable."""

    def does(self, client: Client) -> list[Callable[[], Awaitable[None]]]:
        """What clients do, as often as it stands here."""
        does = [client.put] * 5 + [client.upload] * 4 + [client.read] * 4 + [client.delete] * 3 + [client.update] * 2
        return [*does, *[client.copy] * 3, client.abort, client.list, client.rest, client.race, client.put_if]

    def tolerates(self, error: DrystoneError, began: float) -> bool:
        """Whether a request that began then may end so now."""
        return self.media.faulty or isinstance(error, CallerError)

    def value(self, size: int, expires_at: int | None = None) -> Value:
        self.values += 1
        return Value(str(self.values), self.values, size, expires_at)


class Client:
    """One of several that use the store at the same time."""

    def __init__(self, run: ObjectsRun, node: SimNode, containers: list[Container]) -> None:
        self._run = run
        self._node = node
        self._store = node.store
        self._containers = containers
        self._random = Random(run.random.getrandbits(64))

    async def work(self, steps: int) -> None:
        does = self._run.does(self)
        for _ in range(steps):
            began = trio.current_time()
            try:
                await self._random.choice(does)()
            except DrystoneError as error:
                self._run.digest.add(type(error).__name__)
                self._run.look_alive()
                if not self._run.tolerates(error, began):
                    raise
            self._run.look_alive()

    def _pick(self, container: Container | None = None) -> tuple[Container, str, Register]:
        container, name = container or self._random.choice(self._containers), self._random.choice(NAMES)
        return container, name, self._run.model.setdefault((container.name, name), Register())

    def _turn(self, container: Container, name: str) -> trio.Lock:
        return self._run.locks.setdefault((container.name, name), trio.Lock())

    def _head(self, value: Value) -> ObjectHead:
        return ObjectHead("text/plain", {"mark": value.mark}, {}, value.expires_at)

    async def put(self, condition: Condition = ALWAYS) -> None:
        container, name, register = self._pick()
        expires = int(now()) + self._random.randint(1, 5) if self._random.random() < self._run.expiring else None
        value = self._run.value(self._random.choice([0, 1, 500, INLINE_BYTES]), expires)
        async with self._turn(container, name):
            register.begin(value)
            try:
                await self._store.put(container, name, value.data(), self._head(value), condition)
            except PreconditionError:
                register.did_not(value)
                raise
            self._run.look_alive()
            register.did(value)
            self._run.acknowledged(self._store.rows)

    async def put_if(self) -> None:
        await self.put(Condition(none_match=frozenset("*")))

    async def upload(self) -> None:
        container, name, register = self._pick()
        value = self._run.value(self._size())
        async with self._turn(container, name):
            register.begin(value)
            async with self._store.upload(container, name) as upload:
                await self._send(upload, value)
                await upload.commit(self._head(value))
                self._run.look_alive()
                register.did(value)
                self._run.acknowledged(self._store.rows)

    async def copy(self) -> None:
        """Another object with the same data: shared with the source, or written anew."""
        container, name, register = self._pick()
        _, source_name, source = self._pick(container)
        async with self._turn(container, name):
            allowed = source.reading()
            try:
                async with self._store.open(container, source_name) as opened:
                    self._run.look_alive()
                    mark = opened.info.head.headers["mark"]
                    _, before = find(allowed, mark, now())
                    if before is None:
                        raise WrongError(f"{source_name} shows {mark}")
                    value = Value(self._run.value(0).mark, before.seed, before.size)
                    register.begin(value)
                    await self._take(container, name, opened, value)
            finally:
                source.read(allowed)
            self._run.look_alive()
            register.did(value)
            self._run.acknowledged(self._store.rows)

    async def _take(self, container: Container, name: str, opened: OpenRow, value: Value) -> None:
        async with self._store.upload(container, name) as upload:
            if opened.data is None or not await upload.reflink(opened.data):
                async with aclosing(opened.read()) as pieces:
                    async for piece in pieces:
                        await upload.write(piece)
            await upload.commit(self._head(value))

    def _size(self) -> int:
        return self._random.choice([1, INLINE_BYTES + 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7])

    async def _send(self, upload: object, value: Value) -> None:
        data = value.data()
        step = self._random.choice([5000, BLOCK_BYTES, 1 << 20])
        for start in range(0, len(data), step):
            await upload.write(data[start : start + step])  # type: ignore[attr-defined]

    async def abort(self) -> None:
        container, name, _ = self._pick()
        async with self._store.upload(container, name) as upload:
            if self._random.random() < 0.3:
                _, source, _ = self._pick(container)
                async with self._store.open(container, source) as opened:
                    if opened.data is not None:
                        await upload.reflink(opened.data)
                return
            await self._send(upload, self._run.value(self._size()))
            if self._random.random() < 0.5:
                await upload.digest()

    async def read(self) -> None:
        container, name, register = self._pick()
        allowed, since = register.reading(), now()
        try:
            mark, data = await read_value(self._store, container, name)
        finally:
            register.read(allowed)
        self._run.look_alive()
        value = judge(name, allowed, mark, data, now())
        if mark is not None and value is not None and (value.expires_at or 1 << 60) <= since:
            raise WrongError(f"{name} had expired")

    async def delete(self) -> None:
        container, name, register = self._pick()
        async with self._turn(container, name):
            register.begin(None)
            try:
                info = await self._store.delete(container, name)
            except NotFoundError:
                self._run.look_alive()
                judge(name, {register.current, *register.pending}, None, b"", now())
                register.shown(None)
                return
            self._run.look_alive()
            judge_mark(name, register, info.head.headers["mark"])
            register.did(None)
            self._run.acknowledged(self._store.rows)

    async def update(self) -> None:
        container, name, register = self._pick()
        async with self._turn(container, name):
            shown: list[str] = []
            begun: list[Value] = []

            def edit(info: object) -> ObjectHead:
                mark = info.head.headers["mark"]  # type: ignore[attr-defined]
                before = judge_mark(name, register, mark)
                value = Value(self._run.value(0).mark, before.seed, before.size)
                shown.append(mark)
                begun.append(value)
                register.begin(value)
                return self._head(value)

            await self._store.update(container, name, edit)
            self._run.look_alive()
            register.did(begun[-1])
            self._run.acknowledged(self._store.rows)

    async def list(self) -> None:
        container = self._random.choice(self._containers)
        await self._store.list_objects(container, ListingQuery(limit=5, reverse=self._random.random() < 0.5))

    async def rest(self) -> None:
        await trio.sleep(self._random.choice([0.01, 0.5, 2.0]))

    async def race(self) -> None:
        """Several make the same object if there is none: one of them may win."""
        container, name, register = self._pick()
        condition = Condition(none_match=frozenset("*"))
        won: list[Value] = []
        lost: list[Value] = []

        async def attempt(value: Value) -> None:
            try:
                await self._store.put(container, name, value.data(), self._head(value), condition)
            except PreconditionError:
                lost.append(value)
            except DrystoneError:
                pass
            else:
                won.append(value)

        async with self._turn(container, name):
            values = [self._run.value(10) for _ in range(3)]
            for value in values:
                register.begin(value)
            async with trio.open_nursery() as nursery:
                for value in values:
                    nursery.start_soon(attempt, value)
            self._run.look_alive()
            if len(won) > 1:
                raise WrongError(f"{len(won)} writers made {name}, each on condition that there was none")
            for value in lost:
                register.did_not(value)
            if won:
                others = register.pending - {won[0], *lost}
                register.did(won[0])
                register.pending |= {value for value in others if value in values}


def judge_mark(name: str, register: Register, mark: str) -> Value:
    """The value with this mark, if it may be shown."""
    for value in (register.current, *register.pending):
        if value is not None and value.mark == mark:
            return value
    raise WrongError(f"{name} shows {mark}, which is neither {register.current} nor any of {register.pending}")
