"""Crash exploration of a volume: its writer killed, replaced while it lives, devices gone and back, power lost; and
after each the volume is a prefix of what was written, with all that was flushed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from random import Random
from unittest import mock

import trio

from store.blocks import appender, checkpointer, cleaner, log_frame, log_object, open_object, opening, volume
from store.blocks.catalogue import Catalogue
from store.blocks.disk import OwnerReplacedError
from store.blocks.frame import Entry
from store.blocks.log_frame import LogFrame
from store.blocks.opening import open_snapshot, open_volume
from store.blocks.volume import Volume
from store.core.errors import DrystoneError, NotFoundError, RetryableError
from store.device.record import Buffer
from store.objects.model import Policy
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.disk import SimDisk
from tests.simulation.engine_checks import WrongError
from tests.simulation.limits import small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import check_devices, check_nothing_left
from tests.simulation.volume_model import PAGE, Page, VolumeModel, content, parse_all
from tests.simulation.world import Digest, SeededRandom, SimClock, run

BLOCKS = 2048
NAME = "v"
CLONE = "c"
OPEN_TRIES = 30


@contextmanager
def small_volume_limits() -> Iterator[None]:
    """Frames of up to 8 pages, objects of 24, checkpoints every 48."""
    with ExitStack() as stack:
        stack.enter_context(small_limits())
        for module, name, value in (
            (log_frame, "FRAME_PAGES", 8),
            (volume, "FRAME_PAGES", 8),
            (appender, "FRAME_PAGES", 8),
            (cleaner, "FRAME_PAGES", 8),
            (log_object, "OBJECT_PAGES", 24),
            (open_object, "OBJECT_PAGES", 24),
            (checkpointer, "LOG_BYTES_MIN", 48 * PAGE),
            (checkpointer, "LOG_PER_PAGE", 0),
            (checkpointer, "SNAPSHOT_LEAVES", 1),
            (cleaner, "DEAD_PAGES_MIN", 24),
            (opening, "MAP_PAGES", 1),
            (volume, "HELD_BYTES_MAX", 40 * PAGE),
        ):
            stack.enter_context(mock.patch.object(module, name, value))
        yield


class _KilledError(Exception):
    """The process that wrote the clone is no more."""


class VolumeRun:
    """One seed of the exploration."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.digest = Digest()
        self.media = SimMedia(self.random, self.random.choice([3, 4, 5]), [Policy(0, "copies", default=True)])
        self.crash_point = CrashPoint()
        self.time = 0.0
        self.model = VolumeModel(BLOCKS)
        self.writes = 0
        self.made = False
        self.window_us = self.random.choice([0, 0, 2_000_000, 60_000_000])
        self.lost = False
        """Whether what was answered and not flushed may be gone."""
        self.clone: VolumeModel | None = None
        """Of a clone of one of the snapshots, if there may be one."""
        self.clone_made = False
        """Whether there is, for all that is known."""
        self.clone_lost = False
        """The same of it."""
        self.spare = False
        """Whether all devices had all that they should when this life began, and none was gone since: so that one may
        be lost now, and nothing that was flushed with it."""
        self.hung = False
        """Whether a device has hung in this life."""
        self.snapshots: dict[str, list[Page]] = {}
        """What is in those that are made."""
        self.node: SimNode | None = None
        self.current: Volume | None = None
        """The volume whose appended entries are the model's."""
        self.current_clone: Volume | None = None

    def may_lose(self) -> None:
        """From now on what was answered and not flushed may be gone."""
        self.lost = self.clone_lost = True

    def explore(self) -> str:
        """Live some lives; the event digest. Raises WrongError where a promise is broken."""
        with small_volume_limits(), mock.patch.object(Volume, "append", self._recorded()):
            for _ in range(self.random.randint(1, 4)):
                self._live(self.random.randint(100, 3000), self.random.randint(5, 40))
            for medium in self.media.disks.values():
                medium.broken = False
            self.media.absent.clear()
            self._live(None, 10)
            self._live(None, 0)
        return self.digest.value()

    def _recorded(self) -> object:
        """`Volume.append`, which tells the model."""
        append = Volume.append

        def recorded(self_: Volume, entry: Entry, data: Buffer = b"") -> LogFrame:
            frame = append(self_, entry, data)
            if self_ is self.current:
                self.model.append(entry, memoryview(data))
            elif self_ is self.current_clone and self.clone is not None:
                self.clone.append(entry, memoryview(data))
            return frame

        return recorded

    def _live(self, cut_at: int | None, steps: int) -> None:
        self.crash_point = CrashPoint(cut_at)
        self.crash_point.on_step = self._step
        self.current = self.current_clone = None
        self.spare = self.hung = False
        try:
            run(lambda: self._life(steps, cut_at is None), self.random, self.time)
        except BaseException:
            if not self.crash_point.dead:
                raise
        self.crash_point.cut()
        reboot = self.random.random() < 0.5
        self.digest.add(f"life over, reboot {reboot}")
        if reboot:
            self.media.lose_power()
            self.may_lose()
        if self.spare and self.random.random() < 0.3:
            number = self.random.choice(sorted(self.media.disks))
            self.digest.add(f"wiped {number}")
            self.media.wipe(number)
            self.may_lose()

    def _step(self, what: str) -> None:
        self.digest.add(what)
        self.time = trio.current_time()

    @property
    def troubled(self) -> bool:
        """Whether it is no wonder that something fails."""
        return self.media.faulty or bool(self.media.absent) or self.hung

    def look_alive(self) -> None:
        if self.crash_point.dead:
            raise PowerLoss

    async def _life(self, steps: int, last: bool) -> None:
        async with open_node(self.media, self.crash_point) as node:
            if last or self.random.random() < 0.3:
                await node.run_daemons()
                self.spare = self.made and node.whole
            catalogue = Catalogue(node.store, SeededRandom(node.media.random))
            if not self.made:
                with suppress(DrystoneError):
                    await catalogue.create(NAME, BLOCKS * PAGE, window_us=self.window_us)
                await self._open_until(node)
                self.made = True
            times = self.random.choice([1, 1, 2, 3])
            self.node = node
            for at in range(times):
                await self._serve(node, steps // times, at)
                await self._check_snapshots(node)
            if last:
                await self._end_clone(node)
            await node.run_daemons()
            self.look_alive()
            if last and node.whole:
                await self._nothing_left(node)
                for device in node.devices.values():
                    await device.close()
                await check_devices(node)

    async def _check_snapshots(self, node: SimNode) -> None:
        """All that were made are there, and are what they were; some are deleted."""
        catalogue = Catalogue(node.store, SeededRandom(node.media.random))
        try:
            for name, pages in sorted(self.snapshots.items()):
                if await self.read_snapshot(name) != pages:
                    raise WrongError(f"snapshot {name} is not what it was")
                self.look_alive()
                if self.random.random() < 0.3:
                    del self.snapshots[name]
                    await catalogue.delete_snapshot(NAME, name)
        except RetryableError:
            self.look_alive()
            if not self.troubled:
                raise

    async def read_snapshot(self, name: str) -> list[Page]:
        """What is in a snapshot."""
        assert self.node is not None
        container = await Catalogue(self.node.store, SeededRandom(self.media.random)).find(NAME)
        async with open_snapshot(self.node.store, container, name) as disk:
            found = b"".join(bytes(piece) for piece in await disk.read(0, disk.size))
        self.look_alive()
        return parse_all(found)

    async def _open_until(self, node: SimNode) -> None:
        """It was made."""
        for _ in range(OPEN_TRIES):
            self.look_alive()
            with suppress(RetryableError):
                await Catalogue(node.store, SeededRandom(node.media.random)).head(NAME)
                return
            await trio.sleep(1)

    async def _serve(self, node: SimNode, steps: int, number: int) -> None:
        """Open the volume, and use it until it is closed, or replaced by another that is opened beside it."""
        again = self.random.random() < 0.4
        try:
            await self._use(node, steps, again)
        except OwnerReplacedError:
            self.look_alive()
            if not again:
                raise
        self.digest.add(f"served {number}")

    async def _use(self, node: SimNode, steps: int, again: bool) -> None:
        container = await Catalogue(node.store, SeededRandom(node.media.random)).find(NAME)
        random = SeededRandom(self.media.random)
        for attempt in range(OPEN_TRIES):
            try:
                async with open_volume(node.store, container, SimClock(), random) as opened:
                    await self._recover(opened)
                    async with trio.open_nursery() as nursery:
                        for _ in range(self.random.randint(1, 4)):
                            nursery.start_soon(Client(self, opened).work, steps)
                        if self.random.random() < 0.4:
                            nursery.start_soon(self._disturb, node)
                        nursery.start_soon(self._clone, node)
                        if again:
                            await trio.sleep(self.random.random() * 0.3)
                            nursery.start_soon(self._replace, node, opened)
                    if opened.failed is None:
                        await self._check(opened)
                    if opened.failed is None:
                        self.flushed_all()
                return
            except RetryableError:
                self.look_alive()
                if attempt == OPEN_TRIES - 1 and not self.media.faulty:
                    raise
                await trio.sleep(1)

    def flushed_all(self) -> None:
        """It is to be closed: all is durable then."""
        self.model.answered = len(self.model.entries)

    async def _replace(self, node: SimNode, old: Volume) -> None:
        """Open the volume a second time, while it is written."""
        container = await Catalogue(node.store, SeededRandom(node.media.random)).find(NAME)
        with suppress(RetryableError):
            async with open_volume(node.store, container, SimClock(), SeededRandom(self.media.random)) as opened:
                self.look_alive()
                await self._recover(opened)
                await Client(self, opened).work(5)
                if opened.failed is None:
                    await self._check(opened)
                with suppress(OwnerReplacedError):
                    await old.write(0, content(1, 1), durable=True)
                    raise WrongError("who was replaced had a write answered")

    async def _clone(self, node: SimNode) -> None:
        """Perhaps make a clone of a snapshot, and use it, beside its parent, which is written, cleaned and swept."""
        catalogue = Catalogue(node.store, SeededRandom(node.media.random))
        try:
            if self.clone is None and self.snapshots and self.random.random() < 0.4:
                name = self.random.choice(sorted(self.snapshots))
                self.clone = VolumeModel(BLOCKS, self.snapshots[name])
                self.digest.add(f"clones {name}")
                try:
                    await catalogue.clone(NAME, name, CLONE)
                except NotFoundError:  # it was deleted meanwhile
                    self.look_alive()
                    self.clone = None
            if self.clone is not None and self.random.random() < 0.4:
                await self._use_clone(node, catalogue)
        except RetryableError:
            self.look_alive()
            if not self.troubled:
                raise

    async def _use_clone(self, node: SimNode, catalogue: Catalogue) -> None:
        assert self.clone is not None
        model = self.clone
        if CLONE not in await catalogue.names():
            self.look_alive()
            if self.clone_made:
                raise WrongError("a clone is gone")
            return
        container = await catalogue.find(CLONE)
        self.look_alive()
        self.clone_made = True
        with suppress(_KilledError):
            async with open_volume(node.store, container, SimClock(), SeededRandom(self.media.random)) as opened:
                found = parse_all(b"".join(bytes(piece) for piece in await opened.read(0, opened.size)))
                self.look_alive()
                model.recover(found, lost=self.clone_lost)
                self.clone_lost = False
                self.current_clone = opened
                for _ in range(self.random.randint(0, 8)):
                    await self._write_clone(opened, model)
                if self.random.random() < 0.2:
                    await opened.flatten()
                self.look_alive()
                if self.random.random() < 0.5:
                    raise _KilledError
            model.answered = len(model.entries)
        self.digest.add("used the clone")

    async def _write_clone(self, opened: Volume, model: VolumeModel) -> None:
        blocks = self.random.choice([1, 2, 7, 20])
        self.writes += 1
        write = self.writes
        await opened.write(self.random.randrange(BLOCKS - blocks) * PAGE, content(write, blocks))
        self.look_alive()
        model.answered = max((at for at, each in enumerate(model.entries, 1) if each.write == write), default=0)
        if self.random.random() < 0.4:
            await opened.flush()
            self.look_alive()
            model.flushed = max(model.flushed, model.answered)

    async def _end_clone(self, node: SimNode) -> None:
        """It is what it was; and then it goes."""
        if self.clone is None:
            return
        catalogue = Catalogue(node.store, SeededRandom(node.media.random))
        if CLONE in await catalogue.names():
            await self._use_clone(node, catalogue)
            await catalogue.delete(CLONE)
        self.look_alive()
        self.clone = None

    async def _recover(self, opened: Volume) -> None:
        found = parse_all(b"".join(bytes(piece) for piece in await opened.read(0, opened.size)))
        self.look_alive()
        self.model.recover(found, lost=self.lost)
        self.lost = False
        self.current = opened

    async def _check(self, opened: Volume) -> None:
        try:
            found = parse_all(b"".join(bytes(piece) for piece in await opened.read(0, opened.size)))
        except DrystoneError:
            self.look_alive()
            if opened.failed is None and not self.troubled:
                raise
            return
        self.look_alive()
        if opened.failed is None and self.current is opened:
            self.model.check(found)

    async def _disturb(self, node: SimNode) -> None:
        """A device is gone for a while, or hangs."""
        await trio.sleep(self.random.random() * 0.2)
        number = self.random.choice(sorted(node.devices))
        if self.media.absent or node.devices[number].health.failed is not None:
            return
        if self.random.random() < 0.4:
            await self._hang(node, number)
            return
        self.digest.add(f"gone {number}")
        self.may_lose()
        self.spare = False
        node.take_away(number)
        await trio.sleep(self.random.choice([0.01, 0.5, 5.0]))
        await node.bring_back(number)
        self.digest.add(f"back {number}")

    async def _hang(self, node: SimNode, number: int) -> None:
        """What a device is asked meanwhile is done afterwards: its homes are left, and come late."""
        disk = node.devices[number]._disk
        assert isinstance(disk, SimDisk)
        self.digest.add(f"hangs {number}")
        self.hung, self.spare = True, False
        disk.gate.shut = True
        try:
            await trio.sleep(self.random.choice([0.5, 4.0, 8.0]))
        finally:  # who ends this life waits for what its workers do
            disk.gate.open()
        self.digest.add(f"hangs no more {number}")

    async def _nothing_left(self, node: SimNode) -> None:
        for _ in range(3):
            try:
                check_nothing_left(node)
            except WrongError:
                await node.run_daemons()
        check_nothing_left(node)


class Client:
    """One of several that use the volume at the same time."""

    def __init__(self, run: VolumeRun, opened: Volume) -> None:
        self._run = run
        self._volume = opened
        self._random = Random(run.random.getrandbits(64))

    async def work(self, steps: int) -> None:
        does = [self.write] * 6 + [self.zero, self.flush, self.flush, self.read, self.rest]
        does += [self.snapshot] * (self._random.random() < 0.3)
        for _ in range(steps):
            try:
                await self._random.choice(does)()
            except OwnerReplacedError:
                self._run.look_alive()
                if self._volume.failed is None:
                    raise
                return
            except DrystoneError as error:
                self._run.look_alive()
                self._run.digest.add(type(error).__name__)
                if not self._run.troubled:
                    raise
            self._run.look_alive()

    def _range(self) -> tuple[int, int]:
        blocks = self._random.choice([1, 1, 2, 7, 20])
        near = self._random.choice([64, BLOCKS])
        return self._random.randrange(near - blocks), blocks

    @property
    def _mine(self) -> bool:
        return self._run.current is self._volume and self._volume.failed is None

    async def write(self) -> None:
        first, blocks = self._range()
        self._run.writes += 1
        durable = self._random.random() < 0.2
        data = content(self._run.writes, blocks)
        model = self._run.model
        asked = self._volume.write(first * PAGE, data, durable=durable)
        await asked
        self._run.look_alive()
        if self._mine:
            last = max(
                (at for at, each in enumerate(model.entries, 1) if each.write == int(data.split(b".")[0])), default=0
            )
            model.answered = max(model.answered, last)
            if durable:
                model.flushed = max(model.flushed, last)

    async def zero(self) -> None:
        first, blocks = self._range()
        if self._random.random() < 0.5:
            await self._volume.zero(first * PAGE, blocks * PAGE, keep=self._random.random() < 0.5)
        else:
            await self._volume.discard(first * PAGE, blocks * PAGE)

    async def flush(self) -> None:
        model = self._run.model
        count = model.answered
        mine = self._mine
        await self._volume.flush()
        self._run.look_alive()
        if mine and self._mine:
            model.flushed = max(model.flushed, count)

    async def snapshot(self) -> None:
        model, mine = self._run.model, self._mine
        least = model.answered
        self._run.writes += 1
        name = f"{self._run.writes}"
        if self._run.window_us and self._random.random() < 0.5:
            await self._volume.snapshot_at(name, SimClock().wall_us())
        else:
            await self._volume.snapshot(name)
        self._run.look_alive()
        if not (mine and self._mine):
            return
        most = len(model.entries)
        pages = await self._run.read_snapshot(name)
        if self._mine:
            model.state_at(pages, least, most)
        self._run.snapshots[name] = pages

    async def read(self) -> None:
        first, blocks = self._range()
        await self._volume.read(first * PAGE, blocks * PAGE)

    async def rest(self) -> None:
        await trio.sleep(self._random.choice([0.01, 0.1, 1.0]))
