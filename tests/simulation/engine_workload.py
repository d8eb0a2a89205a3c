"""Crash exploration of one device: lives full of concurrent work, each ended by a cut, each followed by a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import trio

from store.core.errors import DrystoneError
from store.core.stamp import Stamp, StampSource
from store.device.block import BlockKey, encode_meta
from store.device.port import Applied, Seen
from store.device.promise import Promise, prepare_promise
from store.device.record import Kind, seal
from store.device.row import UPLOAD, Flag, Row, RowKey, index_key
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from store.objects.rows import prepare
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.engine_checks import WrongError, all_rows, check_restarted, check_whole
from tests.simulation.engine_fences import FenceClient
from tests.simulation.engine_model import DataHistory, Model
from tests.simulation.worker import Turns
from tests.simulation.world import Digest, SimClock, run
from tests.twins.index import IndexMedium, SimIndex

CLUSTER = bytes(range(16))
TABLE = b"T" * 16
LOG_BYTES = 256 * 1024
MIB = 1024 * 1024
NAMES = [b"a", b"b", b"c", b"d/1", b"d/2", b"e" * 400, b"e" * 401, b"e" * 402, b"e" * 400 + b"z", b"f\xff", b"g", b"h"]

CRITICAL = [*["sync *.log"] * 5, "write *.log*", "*.log", "index *", "rename *", "sync folder *", "*.bulk*"]
"""Operations at which a cut does most harm."""


class EngineRun:
    """One seed of the exploration. `promises` are asked for, too, by whoever is to write; or `fences` of data."""

    def __init__(self, seed: int, *, promises: bool = False, fences: bool = False) -> None:
        self.random = Random(seed)
        self.promises = promises
        self.fences = fences
        self.digest = Digest()
        self.model = Model()
        self.small = self.random.random() < 0.15
        self.uniform = self.random.random() < 0.2
        """All records are of one size, so that those of a recycled segment's former life lie where new ones end."""
        self.flaky = not self.small and self.random.random() < 0.2
        self.medium = SimMedium(Random(self.random.getrandbits(64)), 4 * MIB if self.small else 1 << 40)
        self.index = IndexMedium()
        self.crash_point = CrashPoint()
        self.time = 0.0
        self.writers = 0
        self._data_ids = 0
        self.pinned: Counter[bytes] = Counter()
        """Data that somebody is making references to."""

    def explore(self) -> str:
        """Live some lives; the event digest. Raises WrongError where a promise is broken."""
        for _ in range(self.random.randint(1, 4)):
            self._live(self._cut_at(), self.random.randint(1, 50))
        self.medium.sync_failure_rate = 0.0
        self._live(None, 10)
        self._live(None, 0)
        return self.digest.value()

    def _cut_at(self) -> int:
        return self.random.randint(1, 40) if self.random.random() < 0.3 else self.random.randint(30, 900)

    def _live(self, cut_at: int | None, steps: int) -> None:
        only = "*"
        if cut_at is not None and self.random.random() < 0.6:
            only, cut_at = self.random.choice(CRITICAL), self.random.choice([1, 2, 3, 8, 20, 40])
        self.crash_point = CrashPoint(cut_at, only)
        self.crash_point.on_step = self.digest.add
        self.medium.sync_failure_rate = 0.03 if self.flaky and cut_at is not None else 0.0
        reboot = self.random.random() < 0.6 or self.flaky
        try:
            run(lambda: self._life(steps, cut_at is None), self.random, self.time)
        except BaseException as error:
            if not self.crash_point.dead:
                if not isinstance(error, OSError):
                    raise
                reboot = True  # a sync failed while it opened: the page cache is not to be believed
        self.crash_point.cut()
        self.digest.add(f"life over, reboot {reboot}")
        if reboot:
            self.medium.lose_power()

    async def _life(self, steps: int, last: bool) -> None:
        turns = Turns(Random(self.random.getrandbits(64)))
        disk = SimDisk(self.medium, self.crash_point, turns)
        index = SimIndex(self.index, self.crash_point.step, Random(self.random.getrandbits(64)))
        reserve = MIB if self.small else 0
        options = Options(LOG_BYTES // 8 if self.uniform else LOG_BYTES, reserve, spares=self.random.choice([0, 1, 2]))
        device = await open_device(1, CLUSTER, disk, lambda: index, options)
        await check_restarted(device, self.model)
        self.writers += 1
        stamps = StampSource(SimClock(self.random.choice([0, 0, -10_000_000])), self.writers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.run)
            async with trio.open_nursery() as tasks:
                for _ in range(self.random.randint(1, 6)):
                    tasks.start_soon(Client(self, device, stamps).work, steps)
            nursery.cancel_scope.cancel()
        if last or self.random.random() < 0.5:
            await self._end_well(device, last)
        self.time = trio.current_time()

    async def _end_well(self, device: Device, last: bool) -> None:
        if device.health.failed is not None:
            return
        if last:
            for _ in range(20):
                if not await device.compact(0.7):
                    break
        try:
            await device.close()
        except DrystoneError:
            if not (self.medium.sync_failure_rate or self.small):
                raise
            return  # blocks that nobody had waited for could not be made durable
        await check_whole(device)

    def new_data_id(self) -> bytes:
        self._data_ids += 1
        return self._data_ids.to_bytes(16)


class Client:
    """One of several that use the device at the same time."""

    def __init__(self, run: EngineRun, device: Device, stamps: StampSource) -> None:
        self._run = run
        self._device = device
        self._stamps = stamps
        self._model = run.model
        self._random = Random(run.random.getrandbits(64))
        self._fences = FenceClient(device, run.model, self._random, run.new_data_id, self._look_alive)

    async def work(self, steps: int) -> None:
        does = [self._burst] * 3 + [self._put] * 5 + [self._read] * 4 + [self._delete] * 2 + [self._upload] * 2
        does += [self._drop, self._forget, self._flush, self._compact, self._rest]
        if self._run.uniform:
            does = [self._burst] * 3 + [self._put] * 9 + [self._flush, self._compact, self._rest]
        if self._run.promises:
            does += [self._promise] * 4
        if self._run.fences:
            does += [self._fences.fence] * 6 + [self._fences.write] * 9 + [self._forget_fence, self._drop_fenced]
        for _ in range(steps):
            try:
                await self._random.choice(does)()
            except DrystoneError as error:
                self._run.digest.add(f"{type(error).__name__}")
            await trio.lowlevel.checkpoint()
            self._look_alive()
            if self._device.health.failed is not None:
                return

    def _look_alive(self) -> None:
        if self._run.crash_point.dead:
            raise PowerLoss

    def _key(self, name: bytes | None = None) -> RowKey:
        if name is None:
            name = self._random.choice(NAMES if not self._run.uniform else NAMES[:3])
        return RowKey(7, TABLE, self._random.randint(0, 1) if name[:1] != b"\0" else 0, name)

    async def _write(self, row: Row) -> Applied:
        """Write a row; the model learns of it before and after."""
        packed, mine = index_key(row.key), row.stamp.pack()
        history = self._model.row(packed)
        history.attempt(row)
        promised, forgotten = history.promised, history.forgotten
        answers: list[tuple[Applied | None, DrystoneError | None]] = []
        answered = trio.Event()

        def reply(applied: Applied | None, error: DrystoneError | None) -> None:
            if applied is not None and applied.stamp == mine and not self._run.crash_point.dead:
                history.acknowledge(applied.stamp)
            answers.append((applied, error))
            answered.set()

        self._device.submit_row(prepare(row, 1, packed), reply)
        await answered.wait()
        self._look_alive()
        applied, error = answers[0]
        if applied is None:
            raise error or WrongError("neither an answer nor a reason")
        if applied.stamp == mine < promised and history.forgotten == forgotten:
            raise WrongError(f"row {packed.hex()} was taken below the promise {promised.hex()}")
        return applied

    async def _promise(self) -> None:
        """Have it promised to take nothing below a stamp. Somebody writes above that later, or nobody does."""
        key = self._key()
        history, stamp = self._model.row(index_key(key)), self._stamps.next()
        answers: list[tuple[Seen | None, DrystoneError | None]] = []
        answered = trio.Event()

        def reply(_device: int, seen: Seen | None, error: DrystoneError | None) -> None:
            if seen is not None and not seen.barred and not self._run.crash_point.dead:
                history.promise(stamp.pack())
            answers.append((seen, error))
            answered.set()

        self._device.submit_promise(prepare_promise(Promise(key, stamp), 1), reply)
        await answered.wait()
        self._look_alive()
        seen, error = answers[0]
        if seen is None:
            raise error or WrongError("neither an answer nor a reason")

    def _payload(self) -> bytes:
        size = self._random.choice([0, 1, 100, 700, 5000, 30_000]) if not self._run.uniform else 2000
        return self._random.randbytes(size)

    def _row(self, key: RowKey, flags: int, payload: bytes, data_id: bytes = b"") -> Row:
        expires = 0
        if not flags & Flag.TOMBSTONE and not self._run.uniform and self._random.random() < 0.2:
            flags |= Flag.EXPIRES
            expires = self._random.randint(1, 1000)
        stamp = self._stamps.next()
        if self._random.random() < 0.05:
            stamp = Stamp(stamp.time_us - self._random.randint(1, 1000), stamp.writer + 1000)
        return Row(key, stamp, flags, self._random.randint(0, 1), len(payload), expires, data_id, b"s", b"d", payload)

    async def _put(self) -> None:
        await self._write(self._row(self._key(), 0, self._payload()))

    async def _burst(self) -> None:
        """Several at once, so that a batch holds more than one."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._random.randint(2, 6)):
                nursery.start_soon(self._try_put)

    async def _try_put(self) -> None:
        with suppress(DrystoneError):
            await self._put()

    async def _delete(self) -> None:
        await self._write(self._row(self._key(), Flag.TOMBSTONE, b""))

    async def _read(self) -> None:
        packed = index_key(self._key())
        history = self._model.row(packed)
        floor, gone = history.floor, history.may_be_gone
        row = await self._device.find_row(packed)
        if row is None:
            if not (gone or history.may_be_gone):  # it may have gone while we waited
                raise WrongError(f"row {packed.hex()} is not there, with {floor.hex()} acknowledged")
            return
        whole = await self._device.load_row(packed, row, payload=True)
        self._look_alive()
        wrong = history.judge(whole) if whole.stamp.pack() >= history.floor else ""
        if wrong or whole.stamp.pack() < floor:
            raise WrongError(f"row {packed.hex()} {wrong or 'is older than before'}")

    async def _upload(self) -> None:
        """A mark, blocks, sync, and the row that names them; or an end before that."""
        device, data_id = self._device, self._run.new_data_id()
        target = self._key()
        intent_key = RowKey(target.ring_hash, target.table, target.shard, UPLOAD + data_id)
        mark = Row(intent_key, self._stamps.next(), 0, 0, 0, 0, b"", target.name, b"", b"")
        data = self._model.data[data_id] = DataHistory()
        await self._write(mark)
        losses = device.data_losses
        with self._source() as source_id:
            if source_id is None:
                for block in range(self._random.randint(1, 3)):
                    await self._write_block(BlockKey(data_id, block, 0), target, data)
            else:
                await self._reference_blocks(data_id, source_id, target, data)
            if self._random.random() < 0.2:
                await self._drop_data(data_id)
                return
            await device.sync_data(losses)
        self._look_alive()
        data.certain = set(data.written)
        if self._random.random() < 0.1:
            return
        self._model.row(index_key(intent_key)).may_be_gone = True
        row = self._row(target, Flag.GUARD | Flag.DATA, b"", data_id)
        await self._write(row._replace(size=sum(map(len, data.written.values()))))

    async def _write_block(self, key: BlockKey, owner: RowKey, data: DataHistory) -> None:
        payload = self._random.randbytes(self._random.choice([1, 4096, 70_000, 200_000]))
        data.written[key] = payload
        written = trio.Event()
        self._device.submit_block(key, seal(Kind.BLOCK, encode_meta(key, owner), payload), lambda _error: written.set())
        await written.wait()
        self._look_alive()

    @contextmanager
    def _source(self) -> Iterator[bytes | None]:
        """Data to share, which nobody drops meanwhile; or none."""
        whole = [data_id for data_id, data in self._model.data.items() if data.certain and not data.dropped]
        if not whole or self._random.random() < 0.6:
            yield None
            return
        source_id = self._random.choice(whole)
        self._run.pinned[source_id] += 1
        try:
            yield source_id
        finally:
            self._run.pinned[source_id] -= 1

    async def _reference_blocks(self, data_id: bytes, source_id: bytes, owner: RowKey, data: DataHistory) -> None:
        source = self._model.data[source_id]
        for key in sorted(source.certain):
            reference = key._replace(data_id=data_id)
            data.written[reference] = source.written[key]
            written = trio.Event()

            def done(_error: DrystoneError | None, written: trio.Event = written) -> None:
                written.set()

            self._device.submit_reference(reference, key, owner, done, _told_by_reading)
            await written.wait()
            self._look_alive()

    async def _drop(self) -> None:
        """Drop the data that a row displaced."""
        garbage = await self._device.garbage(b"", 10)
        if not garbage:
            return
        data_id = self._random.choice(garbage).data_id
        if self._run.pinned[data_id]:
            return
        await self._drop_data(data_id)
        if any(data_id == row.data_id for row in (await all_rows(self._device)).values()):
            raise WrongError("garbage that a row names")
        self._look_alive()
        self._device.forget_garbage(data_id)

    async def _drop_data(self, data_id: bytes) -> None:
        data = self._model.data[data_id]
        data.certain.clear()
        answers: list[DrystoneError | None] = []
        dropped = trio.Event()

        def done(error: DrystoneError | None) -> None:
            answers.append(error)
            dropped.set()

        self._device.submit_drop(data_id, done)
        await dropped.wait()
        self._look_alive()
        if answers[0] is not None:
            raise answers[0]
        data.dropped = True

    async def _forget(self) -> None:
        tombstones = await self._device.tombstones(b"", 10)
        if tombstones:
            packed, stamp = self._random.choice(tombstones)
            if self._model.rows[packed].floor <= stamp:
                self._model.rows[packed].forget()
            self._device.forget_row(packed, stamp)

    async def _forget_fence(self) -> None:
        self._fences.forget()

    async def _drop_fenced(self) -> None:
        await self._fences.drop(self._drop_data, self._run.pinned.__getitem__)

    async def _flush(self) -> None:
        await self._device.flush()

    async def _compact(self) -> None:
        await self._device.compact(self._random.choice([0.5, 0.9]))

    async def _rest(self) -> None:
        await trio.sleep(self._random.choice([0.01, 0.4, 1.5]))


def _told_by_reading(_error: DrystoneError | None) -> None:
    """A reference was lost: the checks miss it where it should be."""
