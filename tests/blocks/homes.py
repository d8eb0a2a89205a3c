"""Homes of log objects, and their rows, that answer when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import trio
import trio.testing

from store.blocks.appender import Appender
from store.blocks.contents import Contents
from store.blocks.disk import OwnerReplacedError
from store.blocks.frame import Entry, Kind
from store.blocks.log_frame import LogFrame
from store.blocks.log_object import LogObject
from store.blocks.object_rows import ObjectRows, TakenError
from store.blocks.open_object import OpenObject
from store.blocks.place import BLOCK_BYTES
from store.core.beside import beside
from store.core.errors import BusyError, DrystoneError, FullError
from store.device.block import BlockKey
from store.device.port import DevicePort, Done
from store.device.record import Sealed
from store.device.row import RowKey
from tests.simulation.world import SimClock

KEY = RowKey(0, bytes(16), 0, b"l")


class Home:
    """One device. What it is asked while it `hangs` waits for `wake`."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[bytes, int], bytes] = {}
        """Payloads by data id and block."""
        self.epochs: list[int | None] = []
        self.data_losses = 0
        self.syncs = 0
        self.error: DrystoneError | None = None
        """What it answers to everything."""
        self.raises = False
        """Whether it raises that at once, and does not answer it."""
        self.full = False
        """Whether it takes no blocks."""
        self.sync_error: DrystoneError | None = None
        self.hangs = False
        self.hangs_at_syncs = False
        self.forgot: list[bytes] = []
        self._waiting: list[Callable[[], None]] = []

    def submit_block(
        self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, epoch: int | None = None
    ) -> None:
        self.epochs.append(epoch)
        self._submit(lambda: self._take(key, sealed, done), self.hangs)

    def _take(self, key: BlockKey, sealed: Sealed, done: Done) -> None:
        error = self.error or (FullError("full") if self.full else None)
        if error is None:
            self.blocks[key.data_id, key.block] = bytes(sealed.payload)
        done(error)

    def submit_sync(self, losses: int, done: Done) -> None:
        self.syncs += 1
        failure = BusyError("blocks were lost") if losses != self.data_losses else self.sync_error
        self._submit(lambda: done(self.error or failure), self.hangs or self.hangs_at_syncs)

    def _submit(self, call: Callable[[], None], waits: bool) -> None:
        if self.raises and self.error is not None:
            raise self.error
        if waits:
            self._waiting.append(call)
        else:
            call()

    def wake(self, count: int = 1 << 30) -> None:
        """Answer so much of what it was asked."""
        waiting, self._waiting = self._waiting[:count], self._waiting[count:]
        for call in waiting:
            call()

    def forget_fence(self, data_id: bytes) -> None:
        self.forgot.append(data_id)


class Rows:
    """Rows of log objects, as `ObjectRows`."""

    epoch = 1

    def __init__(self, homes: dict[int, Home], needed: int = 2) -> None:
        self.homes = homes
        self.needed = needed
        self.open_failures: list[DrystoneError | None] = []
        self.seal_failures: list[DrystoneError | None] = []
        """Raised by the next calls, one each; None by one that succeeds."""
        self.before_open: Callable[[], None] = lambda: None
        """Called when an object is all but open."""
        self.opened: list[int] = []
        self.sealed: dict[int, LogObject] = {}
        self.lacking: dict[int, list[int]] = {}
        self.owner = True
        self.taken = False
        self.ring_changes = trio.Event()
        self.table = SimpleNamespace(store=SimpleNamespace(rows=self))
        self.ring = self.placed_by = object()
        self.out: dict[int, bool] = {}
        """Devices that no object is at though it belongs there, and whether they could take one."""

    async def wait_for_newer(self, _ring: object) -> object:
        await self.ring_changes.wait()
        self.ring_changes = trio.Event()
        return self.ring

    def without(self, opened: OpenObject) -> tuple[int, ...]:
        return tuple(number for number in self.out if number not in opened.homes)

    def can_take(self, number: int) -> bool:
        return self.out[number]

    def make(self, number: int) -> OpenObject:
        losses = {home: each.data_losses for home, each in self.homes.items() if each.error is None}
        devices = cast("dict[int, DevicePort]", self.homes)
        return OpenObject(number, number.to_bytes(16, "big"), self.epoch, losses, self.needed, KEY, devices)

    async def open(self, number: int) -> OpenObject:
        await trio.lowlevel.checkpoint()
        if self.taken:
            raise TakenError("it was opened by another")
        if self.open_failures and (failure := self.open_failures.pop(0)) is not None:
            raise failure
        made = self.make(number)
        if len(made.homes) < self.needed:
            raise BusyError("too few homes")
        self.before_open()
        self.opened.append(number)
        return made

    async def check_owner(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self.owner:
            raise OwnerReplacedError("another has it")

    async def seal(
        self, number: int, data_id: bytes, homes: tuple[int, ...], contents: Contents, lacking: Sequence[int]
    ) -> LogObject:
        await trio.lowlevel.checkpoint()
        if self.seal_failures and (failure := self.seal_failures.pop(0)) is not None:
            raise failure
        self.lacking[number] = sorted(lacking)
        return self.sealed.setdefault(number, LogObject(number, data_id, homes, 0, Contents(contents.frames)))


class Log:
    """An appender over three homes, and what it says."""

    def __init__(self, homes: int = 3) -> None:
        self.homes = {number: Home() for number in range(homes)}
        self.rows = Rows(self.homes)
        self.durable: list[LogFrame] = []
        first = self.rows.make(1)
        self.rows.opened.append(1)
        self.opened = [first]
        self.sealed: list[int] = []
        self.appender = Appender(
            cast(ObjectRows, self.rows),
            first,
            1,
            1,
            SimClock(),
            self.durable.append,
            lambda sealed: self.sealed.append(sealed.number),
            self.opened.append,
        )

    def write(self, block: int, pages: int = 1) -> LogFrame:
        """Append data that say which block they are of."""
        frame, _ = self.appender.append(Entry(Kind.DATA, block, pages), data_of(block, pages))
        return frame

    async def written(self, block: int, pages: int = 1) -> LogFrame:
        frame = self.write(block, pages)
        await self.appender.written(frame)
        return frame

    def decided(self) -> list[int]:
        """The sequence numbers that rows say count, in the order of objects."""
        found = [self.rows.sealed[number].contents for number in sorted(self.rows.sealed)]
        return [frame.sequence for contents in found if contents is not None for frame in contents.frames]

    def check(self) -> None:
        """All that is sealed is without a gap, once, and at enough homes under the number that its row says."""
        sequences = self.decided()
        assert sequences == list(range(1, len(sequences) + 1))
        for object_ in self.rows.sealed.values():
            assert object_.contents is not None
            for block, frame in enumerate(object_.contents.frames):
                having = [home for home in self.homes.values() if (object_.data_id, block) in home.blocks]
                assert len(having) >= 2
                for home in having:
                    page = home.blocks[object_.data_id, block][frame.header_bytes :][:BLOCK_BYTES]
                    assert not page or page == data_of(frame.entries[0].first, 1)


def data_of(block: int, pages: int) -> bytes:
    return b"".join(f"{block + at}.".encode().ljust(BLOCK_BYTES, b"#") for at in range(pages))


@asynccontextmanager
async def running(log: Log) -> AsyncIterator[Log]:
    async with beside(log.appender.run):
        yield log


async def settle() -> None:
    """Let all be done that can be without waiting for time."""
    await trio.testing.wait_all_tasks_blocked()
