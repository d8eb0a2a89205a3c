"""Exploration of a whole store whose devices do not keep pace, and whose clients change their minds.

Nothing fails here and nothing is scrubbed, so at the end there is no excuse: every device that a row names has every
block of its data, and no device has any other. What answers at a quorum and loses the rest is found by this, where
repairs would hide it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from random import Random

import trio

from store.core.errors import CallerError
from store.core.stamp import Stamp
from store.core.worker import Done, Worker
from store.device.block import BlockKey, parse_key
from store.device.row import SYSTEM, IndexRow
from store.engine.check import check_device
from store.objects.block_lengths import BlockLengths
from store.objects.model import Container, ObjectHead, Policy
from store.objects.rowcodec import DataLocation, decode_object
from tests.simulation.crash_point import CrashPoint
from tests.simulation.engine_checks import WrongError
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.world import Digest, run

POLICIES = (
    Policy(0, "copies", default=True),
    Policy(1, "code", k=2, m=1, codec="zfec"),
    Policy(2, "wide code", k=4, m=2, codec="zfec"),
)
NAMES = ["a", "b", "c", "d"]
HEAD = ObjectHead("t")
CLIENTS, STEPS = 4, 25
EVERYTHING = 1 << 30


class SlowWorker:
    """A worker that now and then takes its time. Bulk writers hand over one job at a time: order is no worry."""

    def __init__(self, worker: Worker, random: Random, nursery: trio.Nursery, worst_s: float) -> None:
        self._worker = worker
        self._random = random
        self._nursery = nursery
        self._worst_s = worst_s

    def submit(self, job: Callable[[], object], done: Done) -> None:
        self._nursery.start_soon(self._later, job, done)

    async def _later(self, job: Callable[[], object], done: Done) -> None:
        if self._random.random() < 0.3:
            await trio.sleep(self._random.random() * self._worst_s)
        self._worker.submit(job, done)

    def close(self) -> None:
        self._worker.close()


class SlowRun:
    """One seed of the exploration."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.digest = Digest()

    def explore(self) -> str:
        """The event digest. Raises WrongError where a promise is broken."""
        with small_limits():
            run(self._live, self.random)
        return self.digest.value()

    async def _live(self) -> None:
        crash_point = CrashPoint()
        crash_point.on_step = self.digest.add
        async with open_node(SimMedia(self.random, 6, POLICIES), crash_point) as node:
            for device in node.devices.values():
                bulk, worst_s = device._bulk, self.random.choice([0.01, 1.0, 20.0])
                bulk._sync_worker = SlowWorker(bulk._sync_worker, self.random, node.nursery, worst_s)
                bulk._write_worker = SlowWorker(bulk._write_worker, self.random, node.nursery, worst_s / 40)
            await node.store.put_account("a", {})
            containers = [(await node.store.put_container("a", p.name, {}, p.index))[0] for p in POLICIES]
            async with trio.open_nursery() as nursery:
                for _ in range(CLIENTS):
                    nursery.start_soon(Client(self, node, containers).work)
            for _ in range(8):
                await trio.sleep(30)
                await node.replicator.collector.collect_data()
                await node.replicator.janitor.clean_all()
            await check_full(node)


class Client:
    """One of several that use the store at the same time."""

    def __init__(self, run: SlowRun, node: SimNode, containers: list[Container]) -> None:
        self._run = run
        self._store = node.store
        self._containers = containers
        self._random = Random(run.random.getrandbits(64))

    async def work(self) -> None:
        does = [self._put] * 2 + [self._copy] * 3 + [self._move] * 2 + [self._delete, self._read]
        for _ in range(STEPS):
            patience = self._random.choice([60, 60, 60, 2, 0.5, self._random.random()])
            with trio.move_on_after(patience) as waiting:
                try:
                    await self._random.choice(does)()
                except CallerError as error:
                    self._run.digest.add(type(error).__name__)
            if waiting.cancelled_caught:
                self._run.digest.add("given up")
            if self._random.random() < 0.3:
                await trio.sleep(self._random.random())

    def _pick(self) -> tuple[Container, str]:
        return self._random.choice(self._containers), self._random.choice(NAMES)

    async def _put(self) -> None:
        container, name = self._pick()
        data = self._random.randbytes(self._random.choice([100, BLOCK_BYTES - 5, 2 * BLOCK_BYTES + 9, 3 * BLOCK_BYTES]))
        async with self._store.upload(container, name) as upload:
            await upload.write(data)
            await upload.commit(HEAD)

    async def _copy(self) -> None:
        container, name = self._pick()
        await self._take(container, self._random.choice(NAMES), name)

    async def _move(self) -> None:
        container, name = self._pick()
        source = self._random.choice(NAMES)
        await self._take(container, source, name)
        if source != name:
            await self._store.delete(container, source)

    async def _take(self, container: Container, source: str, name: str) -> None:
        async with self._store.open(container, source) as opened, self._store.upload(container, name) as upload:
            if opened.data is None or not await upload.reflink(opened.data):
                async with aclosing(opened.read()) as pieces:
                    async for piece in pieces:
                        await upload.write(piece)
            await upload.commit(HEAD)

    async def _delete(self) -> None:
        await self._store.delete(*self._pick())

    async def _read(self) -> None:
        async with self._store.open(*self._pick()) as opened, aclosing(opened.read()) as pieces:
            async for _ in pieces:
                await trio.lowlevel.checkpoint()


async def check_full(node: SimNode) -> None:
    """Every place that a row names has all that it should have, and nothing else is anywhere."""
    rows: dict[bytes, tuple[IndexRow, DataLocation]] = {}
    for device in node.devices.values():
        for packed, row in (await device.walk_rows(b"", EVERYTHING))[0]:
            if row.name[:1] == SYSTEM:
                raise WrongError(f"device {device.id} keeps the mark {packed.hex()}")
            data_location = decode_object(row.summary, Stamp.unpack(row.stamp)).data_location if row.data_id else None
            if data_location is not None:
                rows[row.data_id] = row, data_location
    wanted: set[tuple[int, BlockKey]] = set()
    for data_id, (row, data_location) in rows.items():
        for block in range(BlockLengths(data_location, row.size).count):
            for position, number in enumerate(data_location.devices):
                wanted.add((number, BlockKey(data_id, block, position if data_location.k else 0)))
    found = {
        (device.id, parse_key(packed))
        for device in node.devices.values()
        for packed, _ in device.merged_index.range(b"d", b"e", EVERYTHING)
    }
    if wanted != found:
        raise WrongError(f"missing: {sorted(wanted - found)}; named by no row: {sorted(found - wanted)}")
    for device in node.devices.values():
        problems = (await check_device(device)).problems
        if problems or device.health.damages:
            raise WrongError(f"device {device.id}: {problems or device.health.damage}")
