"""A volume that is open to be written: its log, its map, and what goes between the two.

write    an entry goes into a frame of the log and into the overlay; answered when the frame is written
flush    answered when all frames that were there are durable
apply    frames that are durable go into the map, in their order, and out of the overlay
read     what the overlay does not have is looked up in the map, and read from the log
checkpoint, sweep, clean: see the modules of these names
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from store.blocks.appender import Appender
from store.blocks.bell import Bell
from store.blocks.block_map import LEAVES_DIRTY_MAX, BlockMap, Run
from store.blocks.checkpointer import Checkpointer
from store.blocks.checkpoints import Checkpoints
from store.blocks.cleaner import Cleaner
from store.blocks.disk import Extent, ExtentKind
from store.blocks.frame import Entry, Kind
from store.blocks.head import Root
from store.blocks.log_frame import FRAME_PAGES, LogFrame
from store.blocks.log_object import LogObject
from store.blocks.log_reader import LogReader
from store.blocks.object_rows import ObjectRows
from store.blocks.overlay import Overlay
from store.blocks.owned_head import OwnedHead, take_head
from store.blocks.place import BLOCK_BYTES, HOLE, ZERO, is_stored
from store.blocks.stored_map import StoredMap
from store.blocks.table import Table
from store.blocks.takeover import take_over
from store.core.beside import beside
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import BusyError, DamageError, DrystoneError, NotFoundError
from store.device.record import Buffer
from store.objects.model import Container
from store.objects.store import DeviceStore

log = structlog.get_logger()

HELD_BYTES_MAX: Final = 32 << 20
"""Writers wait while so much is in memory that is not in the map."""
MAP_PAGES: Final = 16_384
"""Of the map, so many pages that could be had again stay in memory: 64 MiB."""
ZEROS_MAX: Final = 1 << 18
"""Blocks of one entry without data: 1 GiB."""
LEAVES_AN_ENTRY: Final = (ZEROS_MAX >> 9) + 2
"""An entry changes no more leaves of the map."""
READ_TRIES: Final = 8
CLOSE_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 1.0
_KINDS = {Kind.ZERO: ZERO, Kind.DISCARD: HOLE}
_ZEROS = bytes(1 << 20)


class Volume:
    """Keeps the contract of `Disk`. Made by `open_volume`."""

    read_only = False

    def __init__(
        self,
        head: OwnedHead,
        map_: StoredMap,
        reader: LogReader,
        appender: Appender,
        applied: Root,
    ) -> None:
        self.head = head
        self._map = map_
        self._reader = reader
        self._appender = appender
        self._overlay = Overlay()
        self._durable: deque[LogFrame] = deque()
        self._orders: dict[int, list[int]] = {}
        """Of each frame that is not in the map, by its number: what the overlay has of its entries."""
        self._held = 0
        self._partial: list[tuple[int, int, trio.Event]] = []
        """(first block, the one behind the last) of writes of parts of blocks, which read first: others wait."""
        self.applied = applied
        """What the map is."""
        self.applied_bytes = 0
        """So much of the log has gone into the map since the last checkpoint."""
        self._to_apply = Bell()
        self._room = Bell()
        self.on_applied: Bell = Bell()
        appender.on_failed = self._wake_all

    @property
    def size(self) -> int:
        return self.head.head.size

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        first, count, low, high = self._blocks(offset, length)
        if not count:
            return []
        pieces = await self._read(first, count)
        if low or high:
            pieces = _trimmed(pieces, low, length)
        return pieces

    async def _read(self, first: int, count: int) -> list[Buffer]:
        for attempt in range(READ_TRIES):
            self._check()
            await self._map.ensure([(first, count)])
            plan: list[Buffer | Run] = []
            for part in self._overlay.look(first, count):
                if part.data is not None:
                    plan.append(part.data)
                elif part.kind is not None:
                    plan += _zeros(part.blocks)
                else:
                    for run in self._map.map.look(part.first, part.blocks):
                        plan += [run] if is_stored(run.place) else _zeros(run.blocks)
            try:
                return await self._gathered(plan)
            except (NotFoundError, DamageError):
                # It may have been moved, and its object dropped, since the map was looked at.
                if attempt == READ_TRIES - 1 or not await self._has_moved(plan):
                    raise
        raise AssertionError

    async def _gathered(self, plan: Sequence[Buffer | Run]) -> list[Buffer]:
        runs = [each for each in plan if isinstance(each, Run)]
        if len(runs) == 1 and len(plan) == 1:
            return await self._reader.read(runs[0].place, runs[0].blocks)
        read: dict[int, list[Buffer]] = {}
        failures: list[DrystoneError] = []

        async def one(at: int, run: Run) -> None:
            try:
                read[at] = await self._reader.read(run.place, run.blocks)
            except DrystoneError as error:
                failures.append(error)

        if runs:
            async with trio.open_nursery() as nursery:
                for at, each in enumerate(plan):
                    if isinstance(each, Run):
                        nursery.start_soon(one, at, each)
        if failures:
            raise failures[0]
        pieces: list[Buffer] = []
        for at, each in enumerate(plan):
            pieces += read[at] if isinstance(each, Run) else [each]
        return pieces

    async def _has_moved(self, plan: Sequence[Buffer | Run]) -> bool:
        """Whether something is not where the map said."""
        runs = [each for each in plan if isinstance(each, Run)]
        await self._map.ensure([(run.first, run.blocks) for run in runs])
        return any(self._map.map.look(run.first, run.blocks) != [run] for run in runs)

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        first, count, low, high = self._blocks(offset, length)
        found: list[tuple[int, ExtentKind]] = []
        end = first + count
        while first < end and len(found) <= limit:
            some = min(end - first, ZEROS_MAX)
            await self._map.ensure([(first, some)])
            for part in self._overlay.look(first, some):
                if part.data is not None:
                    found.append((part.blocks, ExtentKind.DATA))
                elif part.kind is not None:
                    found.append((part.blocks, ExtentKind.ZERO if part.kind is Kind.ZERO else ExtentKind.HOLE))
                else:
                    found += [(run.blocks, _kind(run.place)) for run in self._map.map.look(part.first, part.blocks)]
            found = _merged(found)
            first += some
        extents = [Extent(blocks * BLOCK_BYTES, kind) for blocks, kind in found]
        if extents:
            extents[0] = extents[0]._replace(length=extents[0].length - low)
            if first == end and len(extents) <= limit:
                extents[-1] = extents[-1]._replace(length=extents[-1].length - high)
        return extents[:limit]

    # -- writing -------------------------------------------------------------------------------------------------

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        view = memoryview(data)
        first, count, low, high = self._blocks(offset, len(view))
        if low or high:
            await self._write_parts(first, count, low, high, view, durable=durable)
        elif count:
            await self._append(Kind.DATA, first, count, view, durable=durable)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        first, count, low, high = self._blocks(offset, length)
        kind = Kind.ZERO if keep else Kind.DISCARD
        if low or high:
            whole = range(first + (low > 0), first + count - (high > 0))
            head = min(length, -offset % BLOCK_BYTES)
            if head:
                await self.write(offset, bytes(head))
            if whole:
                await self._append(kind, whole.start, len(whole), b"", durable=False)
            tail = (offset + length) % BLOCK_BYTES if length > head else 0
            if tail:
                await self.write(offset + length - tail, bytes(tail))
            if durable:
                await self.flush()
        elif count:
            await self._append(kind, first, count, b"", durable=durable)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        first, count, low, high = self._blocks(offset, length)
        whole = range(first + (low > 0), first + count - (high > 0))
        if whole:
            await self._append(Kind.DISCARD, whole.start, len(whole), b"", durable=durable)
        elif durable:
            await self.flush()

    async def flush(self) -> None:
        await self._appender.flush()

    async def _append(self, kind: Kind, first: int, count: int, data: Buffer, *, durable: bool) -> None:
        """Append entries for these blocks, and wait for the last."""
        view = memoryview(data)
        most = FRAME_PAGES if kind is Kind.DATA else ZEROS_MAX
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
        self._held += len(view)
        self._orders.setdefault(frame.sequence, []).append(self._overlay.add(entry, view))
        return frame

    async def moved(self, frame: LogFrame) -> None:
        """Wait until a frame is in the map."""
        await self._appender.durable(frame)
        while self.applied.sequence < frame.sequence:
            self._check()
            await self.on_applied.wait()

    async def _write_parts(
        self, first: int, count: int, low: int, high: int, view: memoryview, *, durable: bool
    ) -> None:
        """A write that does not begin or end with a block: what is missing of these is read first, and nobody else
        writes there meanwhile, nor between them: who reads there first would write again what this overwrites."""
        await self._may_append(first, count)
        written = trio.Event()
        edges = {first: None, first + count - 1: None}
        writing = first, first + count, written
        self._partial.append(writing)
        try:
            before = {block: b"".join(bytes(piece) for piece in await self._read(block, 1)) for block in edges}
            data = bytearray(count * BLOCK_BYTES)
            data[:BLOCK_BYTES] = before[first]
            data[-BLOCK_BYTES:] = before[first + count - 1]
            data[low : low + len(view)] = view
            frame: LogFrame | None = None
            for start in range(0, count, FRAME_PAGES):
                blocks = min(FRAME_PAGES, count - start)
                part = memoryview(data)[start * BLOCK_BYTES : (start + blocks) * BLOCK_BYTES]
                frame = self.append(Entry(Kind.DATA, first + start, blocks), part)
        finally:
            self._partial.remove(writing)
            written.set()
        assert frame is not None
        if durable:
            await self._appender.durable(frame)
        else:
            await self._appender.written(frame)

    # -- into the map --------------------------------------------------------------------------------------------

    def became_durable(self, frame: LogFrame) -> None:
        """A frame is to go into the map."""
        self._durable.append(frame)
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
                self._held -= len(view)
            self.applied = self.applied._replace(object=frame.object, sequence=frame.sequence)
            self.applied_bytes += len(frame.payload)
            self._room.ring()
            self.on_applied.ring()

    async def _apply(self, frame: LogFrame) -> None:
        """May be done again where it was not done to the end."""
        page = frame.first_page
        for entry in frame.entries:
            while self._map.map.dirty_leaves >= LEAVES_DIRTY_MAX - LEAVES_AN_ENTRY:
                self.on_applied.ring()
                await self._to_apply.wait(PAUSE_SECONDS)
            await self._map.ensure([(entry.first, entry.blocks)])
            apply_entry(self._map.map, self.head.head.depth, frame.object, entry, page)
            page += entry.pages

    async def all_applied(self) -> None:
        """Wait until what is durable now is in the map."""
        last = self._durable[-1].sequence if self._durable else 0
        while self.applied.sequence < last:
            await self.on_applied.wait()

    def checkpointed(self) -> None:
        """Pages of the map that had changed are stored."""
        self._to_apply.ring()

    def _wake_all(self) -> None:
        """Nothing is waited for any more."""
        self._room.ring()
        self.on_applied.ring()

    # -- small things --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._appender.failed is not None:
            raise self._appender.failed

    @property
    def root(self) -> Root:
        """What the map is, and from where on the log is to be gone through behind it: an object that is not sealed
        must not be left out."""
        return self.applied._replace(object=min(self.applied.object, self._appender.oldest))

    @property
    def failed(self) -> Exception | None:
        """Why it is of no use any more."""
        return self._appender.failed

    def _blocks(self, offset: int, length: int) -> tuple[int, int, int, int]:
        """(first block, blocks, bytes before the range in the first, bytes behind it in the last)."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise IndexError(f"bytes {offset} to {offset + length} of a volume of {self.size}")
        first, low = divmod(offset, BLOCK_BYTES)
        count = -(-(low + length) // BLOCK_BYTES) if length else 0
        return first, count, low, count * BLOCK_BYTES - low - length


def apply_entry(map_: BlockMap, depth: int, object_: int, entry: Entry, page: int) -> None:
    """Have an entry in the map whose data, if it has any, begin with `page` of an object. Nothing of it is missing."""
    place = depth << 48 | object_ << 16 | page
    if entry.kind is Kind.MOVE:
        map_.move(entry.first, entry.blocks, entry.origin, place)
    else:
        map_.put(entry.first, entry.blocks, place if entry.kind is Kind.DATA else _KINDS[entry.kind])


def _zeros(blocks: int) -> list[Buffer]:
    whole, rest = divmod(blocks * BLOCK_BYTES, len(_ZEROS))
    zeros: list[Buffer] = [_ZEROS] * whole
    return [*zeros, memoryview(_ZEROS)[:rest]] if rest else zeros


def _kind(place: int) -> ExtentKind:
    if is_stored(place):
        return ExtentKind.DATA
    return ExtentKind.ZERO if place == ZERO else ExtentKind.HOLE


def _merged(found: list[tuple[int, ExtentKind]]) -> list[tuple[int, ExtentKind]]:
    merged: list[tuple[int, ExtentKind]] = []
    for blocks, kind in found:
        if merged and merged[-1][1] is kind:
            merged[-1] = (merged[-1][0] + blocks, kind)
        else:
            merged.append((blocks, kind))
    return merged


def _trimmed(pieces: Sequence[Buffer], low: int, length: int) -> list[Buffer]:
    """`length` bytes of these, from `low` on."""
    trimmed: list[Buffer] = []
    for piece in pieces:
        part = memoryview(piece)[low : low + length]
        low = max(0, low - len(piece))
        length -= len(part)
        if part:
            trimmed.append(part)
    return trimmed


@asynccontextmanager
async def open_volume(store: DeviceStore, container: Container, clock: Clock, random: Random) -> AsyncIterator[Volume]:
    """Open a volume to be written: whoever had it open before has it no more. What is left when this is closed is
    durable. Raises NotFoundError; RetryableErrors where too few devices answer."""
    table = Table(store, container)
    head = await take_head(table)
    tables = [table]
    checkpoints = Checkpoints(store, [each.container for each in tables])
    try:
        sizes: dict[int, int] = {}
        map_ = BlockMap()
        root = head.head.root
        if root.checkpoint:
            stored = await checkpoints.table(root.depth, root.checkpoint)
            map_ = BlockMap(stored.top, stored.objects, stored.checkpoints)
            sizes = stored.sizes
        rows = ObjectRows(table, head.epoch, random)
        taken = await take_over(rows, root.object, root.sequence)
        stored_map = StoredMap(map_, checkpoints, MAP_PAGES)
        reader = LogReader(tables)
        applied = await _replay(stored_map, head.head.depth, root, taken.objects, sizes)
        reader.opened(taken.opened)
        volume: Volume

        def sealed(object_: LogObject) -> None:
            reader.sealed(object_)
            assert object_.contents is not None
            sizes[object_.number] = object_.contents.stored_pages

        appender = Appender(
            rows, taken.opened, taken.sequence, clock, lambda frame: volume.became_durable(frame), sealed, reader.opened
        )
        volume = Volume(head, stored_map, reader, appender, applied)
        volume.applied_bytes = BLOCK_BYTES * sum(sizes[object_.number] for object_ in taken.objects)
        checkpointer = Checkpointer(volume, table, stored_map.map, checkpoints, sizes, reader)
        cleaner = Cleaner(volume, stored_map, reader, sizes, checkpointer.want)
        async with beside(appender.run), beside(volume.apply_all), beside(checkpointer.run), beside(cleaner.run):
            yield volume
            with trio.move_on_after(CLOSE_SECONDS, shield=True) as closing:
                await appender.end()
            if closing.cancelled_caught:
                raise BusyError(f"what was written last is not durable after {CLOSE_SECONDS:.0f} s")
    finally:
        with trio.CancelScope(shield=True):
            await checkpoints.close()


async def _replay(map_: StoredMap, depth: int, root: Root, objects: Sequence[LogObject], sizes: dict[int, int]) -> Root:
    """Have in the map what is in the log behind the root. Which root that is."""
    for object_ in objects:
        assert object_.contents is not None
        sizes[object_.number] = object_.contents.stored_pages
        page = 1
        for frame in object_.contents.frames:
            for entry in frame.entries:
                if frame.sequence > root.sequence:
                    await map_.ensure([(entry.first, entry.blocks)])
                    apply_entry(map_.map, depth, object_.number, entry, page)
                page += entry.pages
            if frame.sequence > root.sequence:
                root = root._replace(object=object_.number, sequence=frame.sequence)
    return root
