"""When a volume's map is stored: often enough that an opening has little of the log to go through, seldom enough that
it costs little beside the log itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog
import trio

from store.blocks.block_map import LEAVES_DIRTY_MAX, Frozen
from store.blocks.checkpoints import Checkpoints
from store.blocks.disk import OwnerReplacedError
from store.blocks.head import Behind, Head, Root
from store.blocks.log_reader import needed_key
from store.blocks.needs import Needs
from store.blocks.place import BLOCK_BYTES
from store.blocks.snapshots import Snapshot, Snapshots
from store.blocks.stored_map import StoredMap
from store.blocks.sweep import Sweep
from store.core.clock import Clock
from store.core.errors import DrystoneError, NotFoundError

if TYPE_CHECKING:
    from store.blocks.volume import Volume

log = structlog.get_logger()

LOG_BYTES_MIN: Final = 64 << 20
LOG_PER_PAGE: Final = 8
"""A checkpoint is due when so many times the bytes of the pages that changed were logged, and LOG_BYTES_MIN."""
MAP_PAGES_DEAD: Final = 4096
"""Checkpoints may have so many pages that are not needed, or as many as are."""
SNAPSHOT_LEAVES: Final = 1024
"""A snapshot stores no more of them."""
RENEW_PAGES: Final = 4096
"""So many at most are stored anew by one checkpoint."""
PAUSE_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 30.0


class Checkpointer:
    """Stores the map of one volume that is open."""

    def __init__(
        self,
        volume: Volume,
        map_: StoredMap,
        checkpoints: Checkpoints,
        sizes: dict[int, int],
        stored: dict[int, int],
        needs: Needs,
        sweep: Sweep,
        snapshots: Snapshots,
        clock: Clock,
    ) -> None:
        """`sizes` has the pages of each log object of the volume itself, by its number, and `stored` those of each of
        its checkpoints; of what is gone neither."""
        self._volume = volume
        self._stored_map = map_
        self._map = map_.map
        self._checkpoints = checkpoints
        self._sizes = sizes
        self._stored = stored
        self._needs = needs
        self._sweep = sweep
        self._snapshots = snapshots
        self._clock = clock
        self._lock = trio.Lock()
        self._wanted = False

    async def run(self) -> None:
        """Store the map whenever that is due, for ever; ends where the volume is another's."""
        pause = PAUSE_SECONDS
        while True:
            if not self._due:
                await self._volume.on_applied.wait()
                continue
            try:
                await self.store()
                pause = PAUSE_SECONDS
            except (OwnerReplacedError, NotFoundError) as error:
                self._volume.replaced(error)
                return
            except DrystoneError as error:
                log.warning("a checkpoint cannot be stored now", error=str(error))
                await trio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def want(self) -> None:
        """Store the map soon: objects could be dropped behind it."""
        self._wanted = True
        self._volume.on_applied.ring()

    @property
    def _due(self) -> bool:
        dirty = self._map.dirty_leaves
        if self._wanted or dirty >= LEAVES_DIRTY_MAX // 2:
            return True
        return self._volume.applied_bytes >= max(LOG_BYTES_MIN, LOG_PER_PAGE * dirty * BLOCK_BYTES)

    async def store(self) -> Root:
        """Store the map as it is now: the root that the head names then."""
        async with self._lock:
            head = self._volume.head
            number = await self.draw_number()
            depth = head.head.depth
            await self._renew(depth)
            await self._stored_map.catch_up()
            root = self._volume.root._replace(depth=depth, checkpoint=number)
            self._wanted = False
            logged, self._volume.applied_bytes = self._volume.applied_bytes, 0
            frozen = self._map.freeze(depth, number)
            sizes, stored = dict(self._sizes), dict(self._stored)
            try:
                await self._write(number, frozen, sizes, stored)
                await self._name(root)
            except BaseException:
                self._volume.applied_bytes += logged
                raise
            self._map.stored()
            self._volume.checkpointed()
            self._stored[number] = len(frozen.pages)
            try:
                await self._sweep.after(head.head, frozen)
            except DrystoneError as error:
                log.warning("what is not needed cannot be dropped now", error=str(error))
            return root

    @property
    def written_bytes(self) -> int:
        """Of checkpoints, since the volume was opened."""
        return self._checkpoints.written_bytes

    def log_pages(self) -> tuple[int, int]:
        """What the volume's own sealed log objects take, and what the map needs of them."""
        depth, needed = self._volume.head.head.depth, self._map.objects
        return sum(self._sizes.values()), sum(needed[needed_key(depth, number)] for number in self._sizes)

    async def draw_number(self) -> int:
        """The number of a checkpoint that is to be written: nobody else ever has it."""
        head = await self._volume.head.change(lambda now: now._replace(next_checkpoint=now.next_checkpoint + 1))
        return head.next_checkpoint - 1

    @asynccontextmanager
    async def nothing_dropped(self) -> AsyncIterator[None]:
        """Have nothing stored and nothing dropped meanwhile."""
        async with self._lock:
            yield

    def made(self, number: int, pages: int) -> None:
        """A checkpoint was written beside those of the map."""
        self._stored[number] = pages
        self._sweep.made(number)

    async def _renew(self, depth: int) -> None:
        """Where too little is needed of the checkpoints that there are, have what is needed of some stored anew, so
        that they can be dropped: of those of which it is least."""
        needed = {
            number: self._map.checkpoints[needed_key(depth, number)]
            for number in self._stored
            if not self._needs.checkpoint(number)
        }
        dead = sum(self._stored[number] for number in needed) - sum(needed.values())
        if dead <= max(MAP_PAGES_DEAD, sum(needed.values())):
            return
        chosen: set[int] = set()
        pages = 0
        for number in sorted(needed, key=lambda each: needed[each]):
            pages += needed[number]
            if pages > RENEW_PAGES:
                break
            chosen.add(needed_key(depth, number))
        await self._stored_map.touch(lambda key: key in chosen, RENEW_PAGES)

    async def snapshot(self, name: str) -> Snapshot:
        """Make a snapshot of what the volume is now (store.blocks.snapshots)."""
        with self._snapshots.making(name):
            return await self._make(name)

    async def _make(self, name: str) -> Snapshot:
        epoch = self._volume.head.epoch
        begun = Snapshot(epoch, self._volume.size, None, self._clock.wall_us())
        try:
            await self._snapshots.begin(name, begun)
            await self._volume.flush()
            root = await self._root_of_now()
            return await self._snapshots.finish(name, begun, root)
        except OwnerReplacedError as error:
            self._volume.replaced(error)
            raise
        except DrystoneError:
            with suppress(DrystoneError):  # else the sweep does
                await self._snapshots.give_up(name, epoch + 1)
            raise

    async def _root_of_now(self) -> Root:
        """A root with all that is durable, and nothing in it that is not sealed. What has changed since the map was
        last stored is stored where that is little; else the log that says it is counted in, so that a snapshot of
        whatever takes no longer. Nothing is dropped meanwhile: what no root needs that was there before, this one does
        not either."""
        root = self._volume.head.head.root
        stored_here = root.depth == self._volume.head.head.depth and root.behind is None
        if stored_here and (self._lock.locked() or self._map.dirty_leaves > SNAPSHOT_LEAVES):
            # Nothing has to be written for it that a fence or the head would refuse. Who takes over from now on finds
            # that it is being made, before anything is dropped.
            await self._volume.owner.look()
            until = self._volume.durable_to
            await self._volume.roll()
            return root._replace(behind=Behind(root.object, root.sequence, self._volume.sealed_to - 1, until))
        await self._volume.all_applied()
        root = await self.store()
        await self._volume.roll()
        return root

    async def _write(self, number: int, frozen: Frozen, sizes: dict[int, int], stored: dict[int, int]) -> None:
        """Until it is done: what was frozen cannot be taken back."""
        pause = PAUSE_SECONDS
        while True:
            try:
                await self._checkpoints.write(number, frozen, sizes, stored)
            except NotFoundError:
                raise
            except DrystoneError as error:
                log.warning("a checkpoint cannot be stored now", error=str(error))
                await trio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            else:
                return

    async def _name(self, root: Root) -> None:
        """Until the head names it, or is another's."""
        pause = PAUSE_SECONDS

        now_us = self._clock.wall_us()

        def named(head: Head) -> Head:
            return head.with_root(root, now_us)

        while True:
            try:
                await self._volume.head.change(named)
            except (OwnerReplacedError, NotFoundError):
                raise
            except DrystoneError as error:
                log.warning("a checkpoint cannot be named now", error=str(error))
                await trio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            else:
                return
