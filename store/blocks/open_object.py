"""A log object while it is written: frames go to its homes as blocks of its data, and are counted there.

A home is **left** when it fails, or is late: it gets nothing more, and what it lacks is brought by the repair of
objects. A frame is written when enough homes have it, and durable when enough have synced it: in the order of frames,
so what is said of one holds of all before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import trio

from store.blocks.contents import Contents
from store.blocks.log_frame import HEADER_PAGES, LogFrame
from store.blocks.log_object import OBJECT_PAGES
from store.core.errors import BusyError, DeviceError, DrystoneError, FencedError, FullError
from store.device.block import BlockKey, encode_meta
from store.device.port import DevicePort
from store.device.record import Kind, seal
from store.device.row import RowKey

LATE_SECONDS = 3.0
"""A home that takes longer for a frame or a sync is left, where there are enough others."""

CACHED_BYTES = 128 << 10
"""A frame that is no larger is left in the page cache of all homes: to copy it there costs less than to wait for the
disk before each. Of larger ones that copy is left which reads ask for first."""


class _Home:
    """What one home has of an object."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.failed: DrystoneError | None = None
        self.sent = 0
        """So many frames, from the first, were handed to it: what a sync is about that is asked for now."""
        self.unanswered: dict[int, float] = {}
        """When frames were sent that it has not answered, by their blocks; -1 is a sync."""
        self.synced = 0
        """So many frames, from the first, are durable here."""
        self.refused = _NONE_REFUSED
        """The first block that it has not taken."""

    @property
    def live(self) -> bool:
        return self.failed is None

    @property
    def syncs(self) -> bool:
        """Whether it can make durable what it has: one that is left because it is full can, too."""
        return self.failed is None or isinstance(self.failed, FullError)


_SYNC = -1
_NONE_REFUSED = 1 << 62


class OpenObject:
    """One object of one writer."""

    def __init__(
        self,
        number: int,
        data_id: bytes,
        epoch: int,
        losses: Mapping[int, int],
        needed: int,
        key: RowKey,
        devices: Mapping[int, DevicePort],
        absent: Iterable[int] = (),
    ) -> None:
        """`losses` are the `data_losses` of each home before its fence; `needed` of the homes make a frame count. Those
        that are `absent` should be homes, too, and were not there when it was opened."""
        self.number = number
        self.data_id = data_id
        self.epoch = epoch
        self.needed = needed
        self.contents = Contents()
        self.frames: list[LogFrame] = []
        self.written = 0
        """So many frames, from the first, are written; the same of durable ones."""
        self.durable = 0
        self.fenced = False
        """A home has shut it: a newer writer may be there, or the home has lost its fence."""
        self.closing = False
        """It gets no more frames."""
        self.on_news: Callable[[], None] = _nobody
        """Called when frames are written or durable, or a home is left."""
        self._key = key
        self._devices = devices
        self._homes = {number: _Home(loss) for number, loss in losses.items()}
        self._absent = tuple(absent)
        self._sync_wanted = 0
        self._retired = False

    @property
    def homes(self) -> tuple[int, ...]:
        return tuple(self._homes)

    @property
    def named(self) -> tuple[int, ...]:
        """The devices that its row is to name when it is sealed: where it is, or is brought by repair."""
        return *self._homes, *self._absent

    @property
    def whole(self) -> bool:
        """Whether no home was left."""
        return all(home.live for home in self._homes.values())

    @property
    def broken(self) -> bool:
        """Whether too few homes are left for any more frames to count."""
        return sum(home.live for home in self._homes.values()) < self.needed

    @property
    def may_settle(self) -> bool:
        """Whether more of what is written may become durable."""
        return self.durable < self.written and sum(home.syncs for home in self._homes.values()) >= self.needed

    @property
    def full(self) -> bool:
        return self.contents.pages >= OBJECT_PAGES or len(self.frames) >= OBJECT_PAGES

    @property
    def half_full(self) -> bool:
        return self.contents.pages >= OBJECT_PAGES // 2 or len(self.frames) >= OBJECT_PAGES // 2

    @property
    def durable_everywhere(self) -> bool:
        """Whether all homes that are not left have synced all."""
        return all(home.synced == len(self.frames) for home in self._homes.values() if home.live)

    @property
    def lacking(self) -> list[int]:
        """Of those that its row names, who has not synced all of it, or may have lost some of it since."""
        lacking = [
            number
            for number, home in self._homes.items()
            if not home.live
            or home.synced < len(self.frames)
            or (device := self._devices.get(number)) is None
            or device.data_losses != home.losses
        ]
        return [*lacking, *self._absent]

    @property
    def waiting(self) -> bool:
        """Whether some home has not answered something."""
        return any(home.live and home.unanswered for home in self._homes.values())

    def send(self, frame: LogFrame) -> None:
        """One more frame, to all homes."""
        assert frame.frame is not None
        assert not self.closing
        block = len(self.frames)
        frame.object, frame.block, frame.have = self.number, block, set()
        frame.first_page = self.contents.append(frame.frame, HEADER_PAGES)
        self.frames.append(frame)
        key = BlockKey(self.data_id, block, 0)
        sealed = seal(Kind.BLOCK, encode_meta(key, self._key), frame.payload)
        now = trio.current_time()
        small = len(frame.payload) <= CACHED_BYTES
        read_first = block % len(self._homes)
        for place, (number, home) in enumerate(self._homes.items()):
            if not home.live:
                continue
            home.unanswered[block] = now
            try:
                device = self._device(number)
                taken = partial(self._taken, number, frame)
                device.submit_block(key, sealed, taken, cached=small or place == read_first, epoch=self.epoch)
                home.sent += 1
            except DrystoneError as error:
                self._taken(number, frame, error)

    def sync(self, count: int) -> None:
        """Have so many frames durable, from the first: those that are sent."""
        self._sync_wanted = max(self._sync_wanted, count)
        for number, home in self._homes.items():
            self._sync_home(number, home)

    def leave_late(self) -> None:
        """Leave homes that are late, as long as there are enough others: where there are not, waiting is all there
        is."""
        now = trio.current_time()
        for number, home in self._homes.items():
            live = sum(other.live for other in self._homes.values())
            since = min(home.unanswered.values(), default=now)
            if home.live and live > self.needed and now - since >= LATE_SECONDS:
                self._leave(number, BusyError(f"device {number} has not answered for {now - since:.0f} s"))

    def retire(self) -> None:
        """What homes still answer counts no more."""
        self._retired = True

    def forget_fences(self) -> None:
        """Its row says what is in it."""
        for number in self._homes:
            if (device := self._devices.get(number)) is not None:
                device.forget_fence(self.data_id)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _taken(self, number: int, frame: LogFrame, error: DrystoneError | None) -> None:
        home = self._homes[number]
        if self._retired or not home.syncs or frame.object != self.number:
            return
        home.unanswered.pop(frame.block, None)
        if error is not None:
            home.refused = min(home.refused, frame.block)
            self._leave(number, error)
            return
        frame.have.add(number)
        self._count()
        if not home.unanswered:
            self._sync_home(number, home)

    def _count(self) -> None:
        """See what is written and durable by now."""
        before = self.written, self.durable
        while self.written < len(self.frames) and len(self.frames[self.written].have) >= self.needed:
            self.written += 1
        counts = sorted((each.synced for each in self._homes.values()), reverse=True)
        self.durable = max(self.durable, min(counts[self.needed - 1], self.written))
        if (self.written, self.durable) != before:
            self.on_news()

    def _sync_home(self, number: int, home: _Home) -> None:
        if (
            self._retired
            or not home.syncs
            or _SYNC in home.unanswered
            or home.synced >= min(self._sync_wanted, home.sent, home.refused)
        ):
            return
        count = home.sent
        home.unanswered[_SYNC] = trio.current_time()
        try:
            self._device(number).submit_sync(home.losses, partial(self._synced, number, count))
        except DrystoneError as error:
            self._synced(number, count, error)

    def _synced(self, number: int, count: int, error: DrystoneError | None) -> None:
        home = self._homes[number]
        if self._retired or not home.syncs:
            return
        home.unanswered.pop(_SYNC, None)
        if error is not None:
            self._leave(number, error)
            return
        # A frame that it has not answered yet may still fail there.
        home.synced = max(
            home.synced, min([count, home.refused, *(block for block in home.unanswered if block != _SYNC)])
        )
        self._count()
        if self.durable_everywhere:
            self.on_news()
        if count < home.sent or not home.unanswered:
            self._sync_home(number, home)

    def _leave(self, number: int, error: DrystoneError) -> None:
        home = self._homes[number]
        home.failed = error
        if isinstance(error, FencedError):
            self.fenced = True
        self.on_news()

    def _device(self, number: int) -> DevicePort:
        device = self._devices.get(number)
        if device is None:
            raise DeviceError(f"device {number} is not there")
        return device


def _nobody() -> None:
    """Nobody is told."""
