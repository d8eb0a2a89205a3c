"""The appender: a volume's log as its one writer extends it.

What is appended at the same time goes into one frame; frames go to the log object that is open. While one fills, the
next is opened; the one before is sealed when all of it is durable. So there are two at most:

    [ closing: its last frames become durable, then it is sealed ] [ filling ]

Where an object loses a home, it closes early: the next has others. So does one that was opened while a device was out
that it belongs to, when that is back: those that stood in for it may be on one machine. Where an object loses so many
homes that its frames cannot count any more, the log **breaks**: that object is sealed with what is durable, the one
behind it as void, and all frames that are not durable are sent again, in their order, to a new one. They are in memory
until then, and nobody is told of a place before its frame is durable: so no place ever changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import structlog
import trio

from store.blocks.bell import Bell
from store.blocks.contents import Contents
from store.blocks.disk import OwnerReplacedError
from store.blocks.frame import Entry
from store.blocks.log_frame import FRAME_PAGES, LogFrame
from store.blocks.log_object import LogObject
from store.blocks.object_rows import ObjectRows, TakenError
from store.blocks.open_object import OpenObject
from store.core.clock import Clock
from store.core.errors import DrystoneError, FullError, NotFoundError
from store.device.record import Buffer

log = structlog.get_logger()

FRAMES_UNDER_WAY: Final = 3
"""Sent and not written, of those that are full. One that is not waits until all before it are written: what comes
meanwhile goes into it, so that there are few small ones (Nagle, RFC 896)."""
GRACE_SECONDS: Final = 2.0
"""So long a home that has not synced all of an object is waited for before that is sealed, once enough have."""
SETTLE_SECONDS: Final = 3.0
"""So long homes may take to sync what was written of an object that is broken."""
PAUSE_SECONDS: Final = 0.1
"""After an object could not be opened or sealed, and twice as long each time."""
PAUSE_SECONDS_MAX: Final = 5.0
HOMES_SECONDS: Final = 5.0
"""An object that is not where it belongs is looked at so often; after one that was closed for that, twice as long."""
HOMES_SECONDS_MAX: Final = 320.0
TICK_SECONDS: Final = 0.5
"""Homes that are late are looked for so often, while anything is waited for."""


class Appender:
    """Appends to one volume's log, from a sequence number on. `run` has to run."""

    def __init__(
        self,
        objects: ObjectRows,
        first: OpenObject | FullError,
        number: int,
        sequence: int,
        clock: Clock,
        on_durable: Callable[[LogFrame], None],
        on_sealed: Callable[[LogObject], None],
        on_opened: Callable[[OpenObject], None],
    ) -> None:
        """`first` is the object of that number, which is open, or why there is no room for it yet. `on_durable` is
        called with each frame, in their order: where it lies does not change from then on.
        `on_sealed` with each object that is sealed, and `on_opened` with each but the first that is opened, in their
        order."""
        self._objects = objects
        self._clock = clock
        self._on_durable = on_durable
        self._on_sealed = on_sealed
        self._on_opened = on_opened
        self._open = [first] if isinstance(first, OpenObject) else []
        for object_ in self._open:
            object_.on_news = self._news
        self._filling = LogFrame(sequence)
        self._full: deque[LogFrame] = deque()
        """Closed for more, and not sent."""
        self._unwritten: deque[LogFrame] = deque()
        """Sent, in their order; those that were written go from the left."""
        self._undurable: deque[LogFrame] = deque()
        """The same of those that are not durable."""
        self._wanted = 0
        """The sequence number up to which all is to be durable."""
        self._may_send = Bell()
        self._changed = Bell()
        self._opened = Bell()
        self._placed_by = objects.placed_by
        """A ring that is not newer than that by which the first object was placed."""
        self._last = number if self._open else number - 1
        """The number of the object that was opened last."""
        self._next_wanted = False
        self._mending = False
        self._broken_at: float | None = None
        self._ending = False
        self.failed: DrystoneError | None = None
        """Why nothing can be appended any more."""
        self.on_failed: Callable[[], None] | None = None
        """Called when it has `failed`."""
        self.no_room: FullError | None = None if isinstance(first, OpenObject) else first
        """Why the next object could not be opened: devices are full."""

    # -- what is appended ----------------------------------------------------------------------------------------

    def append(self, entry: Entry, data: Buffer = b"") -> tuple[LogFrame, memoryview]:
        """Another entry, at most FRAME_PAGES of data: the frame that it goes into, and the copy of its data there.
        Raises what has `failed`."""
        if self.failed is not None:
            raise self.failed
        assert entry.pages <= FRAME_PAGES
        if not self._filling.has_room(entry):
            self._full.append(self._filling)
            self._filling = LogFrame(self._filling.sequence + 1)
        view = self._filling.add(entry, data)
        self._may_send.ring()
        return self._filling, view

    async def written(self, frame: LogFrame) -> None:
        """Wait until a frame, and so all before it, is written."""
        await frame.written.wait()
        if frame.failed is not None:
            raise frame.failed

    async def durable(self, frame: LogFrame) -> None:
        """Wait until a frame, and so all before it, is durable."""
        self._want(frame.sequence)
        await frame.durable.wait()
        if frame.failed is not None:
            raise frame.failed

    async def flush(self) -> None:
        """Wait until all that was appended before is durable. Raises what has `failed`."""
        if self.failed is not None:
            raise self.failed
        if self._filling.entries:
            await self.durable(self._filling)
        elif self._full or self._undurable:
            await self.durable((self._full or self._undurable)[-1])

    @property
    def oldest(self) -> int:
        """The number of the first object that is not sealed; while none is open, of the next."""
        return self._open[0].number if self._open else self._last + 1

    # -- the log -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send frames, open and seal objects, until it has `failed` or is `ended`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_all)
            nursery.start_soon(self._follow_ring)
            nursery.start_soon(self._follow_devices)
            await self._manage()
            nursery.cancel_scope.cancel()

    @property
    def durable_to(self) -> int:
        """The sequence number of the last frame that is durable, and so all before it."""
        first = self._undurable or self._full
        return (first[0] if first else self._filling).sequence - 1

    async def roll(self) -> None:
        """Have all sealed that was appended before. Raises what has `failed`."""
        await self.flush()
        while len(self._open) == 1 and self._open[0].frames and not self._open[0].closing:
            if self.failed is not None or self.no_room is not None:
                break
            self._next_wanted = True  # so that writes have where to go on
            self._changed.ring()
            await self._changed.wait(TICK_SECONDS)
        last = max((object_.number for object_ in self._open if object_.frames), default=0)
        for object_ in self._open:
            if object_.number <= last:
                self._close(object_)
        while self.oldest <= last:
            if self.failed is not None:
                raise self.failed
            await self._changed.wait(TICK_SECONDS)

    async def end(self) -> None:
        """Have all durable, and sealed. What is appended meanwhile may be left out."""
        await self.flush()
        self._ending = True
        self._changed.ring()
        while self._open and self.failed is None:
            await self._changed.wait(TICK_SECONDS)

    async def _send_all(self) -> None:
        while True:
            frame = self._next()
            if frame is None:
                await self._may_send.wait()
                continue
            frame.close(self._objects.epoch, self._clock.wall_us())
            self._unwritten.append(frame)
            self._undurable.append(frame)
            object_ = next(each for each in self._open if not each.closing)
            object_.send(frame)
            self._close_full(object_)
            self._sync()
            # What is asked for in the same turn goes into the next frame together.
            await trio.lowlevel.checkpoint()

    async def _follow_ring(self) -> None:
        """Close what was placed by an older ring: what is open stays where it is, and the next has other homes."""
        rows = self._objects.table.store.rows
        ring = self._placed_by
        while True:
            ring = await rows.wait_for_newer(ring)
            for object_ in self._open:
                self._close(object_)

    async def _follow_devices(self) -> None:
        """Close what could be opened where it belongs by now. While all is there, there is no timer."""
        wait = HOMES_SECONDS
        while True:
            if not any(self._objects.without(object_) for object_ in self._open):
                wait = HOMES_SECONDS
                await self._opened.wait()
                continue
            await trio.sleep(wait)
            for object_ in self._open:
                if not object_.closing and any(map(self._objects.can_take, self._objects.without(object_))):
                    self._close(object_)
                    wait = min(2 * wait, HOMES_SECONDS_MAX)

    def _next(self) -> LogFrame | None:
        """The frame that is to be sent now, if there is one, and room for it."""
        if not (self._full or self._filling.entries) or len(self._unwritten) >= FRAMES_UNDER_WAY:
            return None
        if self._mending or self._broken or all(object_.closing for object_ in self._open):
            return None
        if self._full:
            return self._full.popleft()
        if self._unwritten and not self._filling.full:
            return None
        frame, self._filling = self._filling, LogFrame(self._filling.sequence + 1)
        return frame

    def _close_full(self, object_: OpenObject) -> None:
        if object_.full or not object_.whole:
            self._close(object_)
        elif object_.half_full:
            self._changed.ring()

    def _close(self, object_: OpenObject) -> None:
        """It gets no more frames, and is sealed when all it has is durable."""
        object_.closing = True
        self._want(object_.frames[-1].sequence if object_.frames else 0)
        self._changed.ring()

    def _want(self, sequence: int) -> None:
        if sequence > self._wanted:
            self._wanted = sequence
            self._sync()

    def _sync(self) -> None:
        """Have homes sync what is sent, as far as that is wanted."""
        for object_ in self._open:
            frames = object_.frames
            if frames and frames[0].sequence <= self._wanted:
                object_.sync(min(len(frames), self._wanted - frames[0].sequence + 1))

    @property
    def _broken(self) -> bool:
        return any(object_.broken for object_ in self._open)

    def _news(self) -> None:
        """Homes have answered, or were left."""
        if self._mending:  # frames are on their way from one object to another: they are counted when all are there
            return
        for object_ in self._open:
            if not object_.whole and not object_.closing:
                self._close_full(object_)
        objects = {object_.number: object_ for object_ in self._open}
        while self._unwritten and self._unwritten[0].block < objects[self._unwritten[0].object].written:
            self._unwritten.popleft().written.set()
        while self._undurable and self._undurable[0].block < objects[self._undurable[0].object].durable:
            frame = self._undurable.popleft()
            frame.durable.set()
            self._on_durable(frame)
        self._may_send.ring()
        self._changed.ring()

    def fail(self, error: DrystoneError) -> None:
        """Have nothing appended any more."""
        if self.failed is not None:
            return
        self.failed = error
        for object_ in self._open:
            object_.retire()
        for frame in (*self._undurable, *self._full, self._filling):
            frame.fail(error)
        self._may_send.ring()
        self._changed.ring()
        if self.on_failed is not None:
            self.on_failed()

    # -- objects -------------------------------------------------------------------------------------------------

    async def _manage(self) -> None:
        """Open, seal and mend, one after the other."""
        pause = PAUSE_SECONDS
        durable_since: float | None = None
        while self.failed is None:
            for object_ in self._open:
                object_.leave_late()
            oldest = self._open[0] if self._open else None
            try:
                if any(object_.fenced for object_ in self._open):
                    await self._objects.check_owner()
                    for object_ in self._open:
                        object_.fenced = False
                elif self._broken and not self._mending and self._may_settle():
                    await self._changed.wait(TICK_SECONDS)
                elif self._mending or self._broken:
                    self._broken_at = None
                    self._mending = True
                    await self._mend()
                    self._mending = False
                    self._news()
                elif oldest is not None and self._ending and not oldest.closing:
                    oldest.closing = True
                elif oldest is not None and oldest.closing and oldest.durable == len(oldest.frames):
                    durable_since = trio.current_time() if durable_since is None else durable_since
                    if oldest.durable_everywhere or trio.current_time() >= durable_since + GRACE_SECONDS:
                        await self._seal(oldest, oldest.contents)
                        self._open.remove(oldest)
                        self._changed.ring()
                        durable_since = None
                    elif self._wants_next:
                        await self._open_next()
                    else:
                        await self._changed.wait(TICK_SECONDS)
                elif self._wants_next:
                    await self._open_next()
                elif self._ending and not self._open:
                    return
                else:
                    await self._changed.wait(TICK_SECONDS if self._waiting else float("inf"))
            except (OwnerReplacedError, NotFoundError, TakenError) as error:
                self.fail(OwnerReplacedError(f"somebody else has opened the volume, or deleted it: {error}"))
            except DrystoneError as error:
                log.warning("a log object cannot be opened or sealed now", error=str(error))
                self.no_room = error if isinstance(error, FullError) else None
                await trio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            else:
                pause = PAUSE_SECONDS

    @property
    def _waiting(self) -> bool:
        return any(object_.waiting or object_.closing for object_ in self._open)

    @property
    def _wants_next(self) -> bool:
        if self._ending:
            return False
        if not self._open:
            return True
        first = self._open[0]
        return len(self._open) == 1 and (self._next_wanted or first.half_full or first.closing)

    async def _open_next(self) -> None:
        rows = self._objects.table.store.rows
        ring = rows.ring
        opened = await self._objects.open(self._last + 1)
        self.no_room = None
        self._next_wanted = False
        opened.on_news = self._news
        self._last = opened.number
        self._on_opened(opened)
        # It waits behind the one that fills until that is closed.
        self._open.append(opened)
        self._opened.ring()
        if rows.ring is not ring:  # it may have been placed by the one before
            self._close(opened)
        self._may_send.ring()
        self._changed.ring()

    async def _seal(self, object_: OpenObject, contents: Contents) -> None:
        sealed = await self._objects.seal(object_.number, object_.data_id, object_.named, contents, object_.lacking)
        if sealed.contents is None or sealed.contents.encode() != contents.encode():
            raise OwnerReplacedError("somebody else has opened the volume since")
        object_.forget_fences()
        self._on_sealed(sealed)

    def _may_settle(self) -> bool:
        """Have homes sync what was written of objects that are broken, as far as they can, for a while: what was
        answered is to be found when this process ends before there is room to send it again."""
        now = trio.current_time()
        self._broken_at = now if self._broken_at is None else self._broken_at
        for object_ in self._open:
            object_.sync(object_.written)
        return now < self._broken_at + SETTLE_SECONDS and any(object_.may_settle for object_ in self._open)

    async def _mend(self) -> None:
        """Seal what is durable of the oldest object, nothing of the other, and send again what is not durable."""
        for object_ in self._open:
            object_.retire()
        for object_ in list(self._open):
            durable = sum(frame.durable.is_set() for frame in object_.frames)
            await self._seal(object_, Contents(object_.contents.frames[:durable]))
            self._open.remove(object_)
        await self._open_next()
        log.warning("a volume's log goes on elsewhere", frames=len(self._undurable), object=self._open[0].number)
        self._unwritten = deque(frame for frame in self._undurable if not frame.written.is_set())
        for frame in self._undurable:
            self._open[0].send(frame)
        self._close_full(self._open[0])
        self._sync()
