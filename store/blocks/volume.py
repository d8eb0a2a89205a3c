"""A volume that is open to be written: its log, its map, and what goes between the two.

write    an entry goes into a frame of the log and into the overlay; answered when the frame is written
flush    answered when all frames that were there are durable
apply    frames that are durable go into the map, in their order, and out of the overlay
read     what the overlay does not have is looked up in the map, and read from the log
checkpoint, sweep, clean: see the modules of these names
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
import trio

from store.blocks.appender import Appender
from store.blocks.bell import Bell
from store.blocks.block_map import LEAVES_DIRTY_MAX
from store.blocks.checkpointer import Checkpointer
from store.blocks.disk import Extent
from store.blocks.disk_reader import DiskReader, Span
from store.blocks.figures import Figures, LogCounts
from store.blocks.flatten import Flattener
from store.blocks.frame import Entry, Kind
from store.blocks.head import Root
from store.blocks.log_frame import ENTRIES_MAX, FRAME_BLOCKS, FRAME_PAGES, LogFrame
from store.blocks.overlay import Overlay
from store.blocks.owned_head import OwnedHead
from store.blocks.owner_watch import OwnerWatch
from store.blocks.page_table import PAGE_SHIFT
from store.blocks.past import PastMaps
from store.blocks.place import BLOCK_BYTES
from store.blocks.replay import apply_entry
from store.blocks.snapshots import Snapshot
from store.blocks.stored_map import StoredMap
from store.core.errors import DrystoneError
from store.device.record import Buffer

log = structlog.get_logger()

HELD_BYTES_MAX: Final = 32 << 20
"""Writers wait while so much is in memory that is not in the map."""
ENTRY_BYTES: Final = BLOCK_BYTES
"""What an entry without data counts for."""
LEAVES_A_FRAME: Final = (FRAME_BLOCKS >> PAGE_SHIFT) + 2 * ENTRIES_MAX
"""A frame changes no more leaves of the map."""
PAUSE_SECONDS: Final = 1.0


class Volume:
    """Keeps the contract of `Disk`. Made by `store.blocks.opening.open_volume`."""

    read_only = False

    checkpointer: Checkpointer
    flattener: Flattener
    past: PastMaps
    owner: OwnerWatch
    """Set by whoever opens it, all four."""

    def __init__(
        self,
        head: OwnedHead,
        map_: StoredMap,
        overlay: Overlay,
        disk: DiskReader,
        appender: Appender,
        applied: Root,
    ) -> None:
        self.head = head
        self._map = map_
        self._overlay = overlay
        self._disk = disk
        self._appender = appender
        self._durable: deque[LogFrame] = deque()
        self._orders: dict[int, list[int]] = {}
        """Of each frame that is not in the map, by its number: what the overlay has of its entries."""
        self._held = 0
        self._counts = LogCounts()
        self._partial: list[tuple[int, int, trio.Event]] = []
        """(first block, the one behind the last) of writes of parts of blocks, which read first: others wait."""
        self.applied = applied
        """What the map is."""
        self.applied_bytes = 0
        """So much of the log has gone into the map since the last checkpoint."""
        self._to_apply = Bell()
        self._room = Bell()
        self.on_applied: Bell = Bell()
        self.on_failed: Callable[[], None] | None = None
        """Called when it has `failed`."""
        appender.on_failed = self._wake_all

    @property
    def size(self) -> int:
        return self.head.head.size

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        self._check()
        if trio.current_time() >= self.owner.ask_at:
            await self.owner.may_read()
        return await self._disk.read_bytes(Span(offset, length, self.size))

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        self._check()
        if trio.current_time() >= self.owner.ask_at:
            await self.owner.may_read()
        return await self._disk.extents(Span(offset, length, self.size), limit)

    # -- writing -------------------------------------------------------------------------------------------------

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        view = memoryview(data)
        span = Span(offset, len(view), self.size)
        if not span.aligned:
            await self._write_parts(span, view, durable=durable)
        elif span.count:
            await self._append(Kind.DATA, span.first, span.count, view, durable=durable)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        span = Span(offset, length, self.size)
        head = min(length, -offset % BLOCK_BYTES)
        tail = (offset + length) % BLOCK_BYTES if length > head else 0
        if head:
            await self.write(offset, bytes(head))
        if tail:
            await self.write(offset + length - tail, bytes(tail))
        if whole := span.whole:
            await self._append(Kind.ZERO if keep else Kind.DISCARD, whole.start, len(whole), b"", durable=False)
        if durable:
            await self.flush()

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        if whole := Span(offset, length, self.size).whole:
            await self._append(Kind.DISCARD, whole.start, len(whole), b"", durable=False)
        if durable:
            await self.flush()

    async def flush(self) -> None:
        await self._appender.flush()

    async def _append(self, kind: Kind, first: int, count: int, data: Buffer, *, durable: bool) -> None:
        """Append entries for these blocks, and wait for the last."""
        view = memoryview(data)
        most = FRAME_PAGES if kind is Kind.DATA else FRAME_BLOCKS
        frame: LogFrame | None = None
        for start in range(0, count, most):
            blocks = min(most, count - start)
            await self._may_append(first + start, blocks)
            part = view[start * BLOCK_BYTES : (start + blocks) * BLOCK_BYTES] if kind is Kind.DATA else b""
            frame = self.append(Entry(kind, first + start, blocks), part)
        assert frame is not None
        if durable:
            await self._appender.durable(frame)
        else:
            await self._appender.written(frame)

    async def _may_append(self, first: int, count: int) -> None:
        while True:
            self._check()
            if self._appender.no_room is not None:
                raise self._appender.no_room
            if self._held > HELD_BYTES_MAX:
                await self._room.wait()
                continue
            waiting = next((event for low, high, event in self._partial if low < first + count and first < high), None)
            if waiting is None:
                return
            await waiting.wait()

    async def may_move(self) -> None:
        """Wait until there is room for what the cleaner moves. It goes on where there is no room for others: what it
        moves gives room back."""
        while self._held > HELD_BYTES_MAX:
            self._check()
            await self._room.wait()
        self._check()

    def append(self, entry: Entry, data: Buffer = b"") -> LogFrame:
        """Append an entry to the log, for whoever knows that it may be. The frame that it is in."""
        frame, view = self._appender.append(entry, data)
        self._held += len(view) or ENTRY_BYTES
        self._orders.setdefault(frame.sequence, []).append(self._overlay.add(entry, view))
        return frame

    async def moved(self, frame: LogFrame) -> None:
        """Wait until a frame is in the map."""
        await self._appender.durable(frame)
        while self.applied.sequence < frame.sequence:
            self._check()
            await self.on_applied.wait()

    async def _write_parts(self, span: Span, view: memoryview, *, durable: bool) -> None:
        """A write that does not begin or end with a block: what is missing of these is read first, and nobody else
        writes there meanwhile, nor between them: who reads there first would write again what this overwrites."""
        first, count = span.first, span.count
        await self._may_append(first, count)
        written = trio.Event()
        edges = {first: None, first + count - 1: None}
        writing = first, first + count, written
        self._partial.append(writing)
        try:
            before = {block: b"".join(await self._disk.read(block, 1)) for block in edges}
            data = bytearray(count * BLOCK_BYTES)
            data[:BLOCK_BYTES] = before[first]
            data[-BLOCK_BYTES:] = before[first + count - 1]
            data[span.low : span.low + len(view)] = view
            self._check()
            for start in range(0, count, FRAME_PAGES):
                blocks = min(FRAME_PAGES, count - start)
                part = memoryview(data)[start * BLOCK_BYTES : (start + blocks) * BLOCK_BYTES]
                frame = self.append(Entry(Kind.DATA, first + start, blocks), part)
        finally:
            self._partial.remove(writing)
            written.set()
        await (self._appender.durable(frame) if durable else self._appender.written(frame))

    async def snapshot(self, name: str) -> Snapshot:
        """Keep what the volume is now, under a name: with all that was answered before. Raises ConflictError where
        there is one of this name, InvalidError where none can have it."""
        return await self.checkpointer.snapshot(name)

    async def snapshot_at(self, name: str, time_us: int) -> Snapshot:
        """The same of what it was at a time of its window, in microseconds by the clock of who wrote it. Raises
        InvalidError, too, where that is not known any more."""
        return await self.past.snapshot(name, time_us)

    async def flatten(self) -> None:
        """Have all that the volume has of those that it is a clone of in its own log: it is no clone any more. Raises
        ConflictError where it has snapshots."""
        await self.flattener.flatten()

    # -- into the map --------------------------------------------------------------------------------------------

    def became_durable(self, frame: LogFrame) -> None:
        """A frame is to go into the map."""
        self._durable.append(frame)
        self._counts.note(frame)
        self._to_apply.ring()

    async def apply_all(self) -> None:
        """Have frames that are durable go into the map, for ever."""
        while True:
            if not self._durable:
                await self._to_apply.wait()
                continue
            frame = self._durable[0]
            try:
                await self._apply(frame)
            except DrystoneError as error:  # a page of the map that cannot be read now
                log.warning("a frame cannot be taken into the map now", error=str(error))
                await trio.sleep(PAUSE_SECONDS)
                continue
            self._durable.popleft()
            for entry, view, order in zip(
                frame.entries, frame.views, self._orders.pop(frame.sequence, ()), strict=True
            ):
                self._overlay.remove(entry, order)
                self._held -= len(view) or ENTRY_BYTES
            self.applied = self.applied._replace(object=frame.object, sequence=frame.sequence)
            self.applied_bytes += len(frame.payload)
            self._room.ring()
            self.on_applied.ring()

    async def _apply(self, frame: LogFrame) -> None:
        """May be done again where it was not done to the end."""
        while self._map.map.unstored_leaves >= LEAVES_DIRTY_MAX - LEAVES_A_FRAME:
            self.on_applied.ring()
            await self._to_apply.wait(PAUSE_SECONDS)
        await self._map.ensure([(entry.first, entry.blocks) for entry in frame.entries])
        page = frame.first_page
        for entry in frame.entries:
            apply_entry(self._map.map, self.head.head.depth, frame.object, entry, page)
            page += entry.pages

    async def roll(self) -> None:
        """Have all that was appended, and so all that is in the map, in objects that are sealed: others can read it
        then."""
        await self._appender.roll()

    @property
    def durable_to(self) -> int:
        """The sequence number of the last frame that is durable."""
        return self._appender.durable_to

    @property
    def sealed_to(self) -> int:
        """All objects of lower numbers are sealed."""
        return self._appender.oldest

    async def all_applied(self) -> None:
        """Wait until what is durable now is in the map."""
        last = self._durable[-1].sequence if self._durable else 0
        while self.applied.sequence < last:
            self._check()
            await self.on_applied.wait()

    def checkpointed(self) -> None:
        """Pages of the map that had changed are stored."""
        self._to_apply.ring()

    # -- small things --------------------------------------------------------------------------------------------

    def replaced(self, error: DrystoneError) -> None:
        """Somebody else has the volume now, or it is gone: it is of no use here any more."""
        self._appender.fail(error)

    def _wake_all(self) -> None:
        """Nothing is waited for any more."""
        self._room.ring()
        self.on_applied.ring()
        if self.on_failed is not None:
            self.on_failed()

    def _check(self) -> None:
        if self._appender.failed is not None:
            raise self._appender.failed

    @property
    def root(self) -> Root:
        """What the map is, and from where on the log is to be gone through behind it: an object that is not sealed
        must not be left out."""
        oldest = self._appender.oldest
        return self.applied._replace(object=min(self.applied.object, oldest) if self._durable else oldest)

    def figures(self) -> Figures:
        """What it can say of itself in numbers."""
        log_pages, live_pages = self.checkpointer.log_pages()
        return Figures(
            self._counts.logged,
            self._counts.moved,
            self.checkpointer.written_bytes,
            log_pages * BLOCK_BYTES,
            live_pages * BLOCK_BYTES,
            sum(self._map.map.objects.values()),
            self._map.map.pages * BLOCK_BYTES,
            self._held,
        )

    @property
    def failed(self) -> Exception | None:
        """Why it is of no use any more."""
        return self._appender.failed
