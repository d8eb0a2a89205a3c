"""Opening a volume to be written: take it over, and go through what is in its log behind its map."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio

from store.blocks.appender import Appender
from store.blocks.block_map import LEAVES_DIRTY_MAX
from store.blocks.checkpointer import Checkpointer
from store.blocks.checkpoints import Checkpoints
from store.blocks.cleaner import Cleaner
from store.blocks.disk_reader import DiskReader, Span
from store.blocks.flatten import Flattener
from store.blocks.interface import Changed
from store.blocks.lineage import Lineage
from store.blocks.log_frame import LogFrame
from store.blocks.log_object import LogObject
from store.blocks.log_reader import LogReader
from store.blocks.map_changes import MapChanges
from store.blocks.needs import Needs
from store.blocks.object_rows import ObjectRows
from store.blocks.open_object import OpenObject
from store.blocks.overlay import Overlay
from store.blocks.owned_head import load_head, take_head
from store.blocks.owner_watch import OwnerWatch
from store.blocks.past import PastMaps
from store.blocks.place import BLOCK_BYTES
from store.blocks.replay import replay
from store.blocks.rooted_map import load_map
from store.blocks.snapshot_disk import SnapshotDisk
from store.blocks.snapshots import Snapshots
from store.blocks.stored_map import StoredMap
from store.blocks.sweep import Sweep
from store.blocks.table import Table
from store.blocks.takeover import take_over
from store.blocks.volume import LEAVES_A_FRAME, Volume
from store.core.beside import beside
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import BusyError, DamageError, DrystoneError, NotFoundError
from store.objects.model import Container
from store.objects.store import DeviceStore

MAP_PAGES: Final = 16_384
"""Of the map, so many pages that could be had again stay in memory: 64 MiB."""
CHANGES_PAGES: Final = 4096
"""The same of each of two maps that are compared."""
OBJECTS_BEHIND: Final = 64
"""A checkpoint is wanted when more objects than this are behind the last, be there nothing in them: each opening goes
through them."""
CLOSE_SECONDS: Final = 30.0


@asynccontextmanager
async def open_volume(
    store: DeviceStore, container: Container, clock: Clock, random: Random, holder: str = ""
) -> AsyncIterator[Volume]:
    """Open a volume to be written: whoever had it open before has it no more. Its head says in words who the `holder`
    is until this is closed; what is left then is durable. Raises NotFoundError, OwnerReplacedError where another opens
    it at the same time, DamageError; RetryableErrors where too few devices answer."""
    table = Table(store, container)
    since = trio.current_time()
    head = await take_head(table, holder, clock.wall_us())
    rows = ObjectRows(table, head.epoch, random)
    lineage = Lineage(table, head.head.lineage)
    checkpoints = Checkpoints(lineage)
    try:
        sizes: dict[int, int] = {}
        parts: dict[int, int] = {}
        stored_pages: dict[int, int] = {}
        root = head.head.root

        async def make_room(map_: StoredMap) -> None:
            if map_.map.dirty_leaves >= LEAVES_DIRTY_MAX - LEAVES_A_FRAME:
                drawn = await head.change(lambda now: now._replace(next_checkpoint=now.next_checkpoint + 1))
                number = drawn.next_checkpoint - 1
                parts[number] = await map_.store_part(lineage.depth, number)

        reader = LogReader(lineage)
        async with _there(rows):
            stored_map, stored = await load_map(root, checkpoints, reader, MAP_PAGES, make_room)
        if stored is not None and root.depth == lineage.depth:
            sizes, stored_pages = stored.sizes, stored.stored
            stored_pages[root.checkpoint] = stored.pages
        taken = await take_over(rows, root.object, root.sequence)
        async with _there(rows):
            applied = root._replace(behind=None)
            for object_ in taken.objects:
                assert object_.contents is not None
                sizes[object_.number] = object_.contents.stored_pages
                applied, _ = await replay(
                    stored_map,
                    lineage.depth,
                    applied,
                    object_.number,
                    object_.contents,
                    make_room=partial(make_room, stored_map),
                )
        stored_pages |= parts
        if isinstance(taken.opened, OpenObject):
            reader.opened(taken.opened)
        volume: Volume

        def sealed(object_: LogObject) -> None:
            reader.sealed(object_)
            assert object_.contents is not None
            sizes[object_.number] = object_.contents.stored_pages

        def durable(frame: LogFrame) -> None:
            volume.became_durable(frame)

        appender = Appender(rows, taken.opened, taken.number, taken.sequence, clock, durable, sealed, reader.opened)
        overlay = Overlay()
        disk = DiskReader(stored_map, overlay, reader)
        volume = Volume(head, stored_map, overlay, disk, appender, applied)
        volume.applied_bytes = BLOCK_BYTES * sum(sizes[object_.number] for object_ in taken.objects)
        snapshots = Snapshots(table)
        needs = Needs(snapshots, checkpoints, lineage.depth)
        async with _there(rows):
            await needs.refresh(head.epoch, head.head.oldest)
        sweep = Sweep(table, sizes, stored_pages, reader, needs)
        checkpointer = Checkpointer(
            volume, stored_map, checkpoints, sizes, stored_pages, needs, sweep, snapshots, clock
        )
        volume.checkpointer = checkpointer
        volume.owner = OwnerWatch(table, head, since, volume.replaced)
        if len(taken.objects) > OBJECTS_BEHIND:
            checkpointer.want()
        volume.past = PastMaps(volume, reader, checkpoints, checkpointer, snapshots, clock)
        volume.flattener = Flattener(volume, stored_map, reader, lineage)
        cleaner = Cleaner(volume, stored_map, reader, sizes, needs, checkpointer.want)
        async with (
            beside(appender.run),
            beside(volume.apply_all),
            beside(checkpointer.run),
            beside(cleaner.run),
            beside(volume.owner.run),
        ):
            yield volume
            with trio.move_on_after(CLOSE_SECONDS, shield=True) as closing:
                await appender.end()
            if closing.cancelled_caught:
                raise BusyError(f"what was written last is not durable after {CLOSE_SECONDS:.0f} s")
            with trio.move_on_after(CLOSE_SECONDS, shield=True), suppress(DrystoneError):
                await head.change(lambda now: now._replace(holder=""), reserve=True)
    finally:
        with trio.CancelScope(shield=True):
            await checkpoints.close()


@asynccontextmanager
async def _there(rows: ObjectRows) -> AsyncIterator[None]:
    """What the head names is there for as long as nobody else has opened the volume. Raises OwnerReplacedError, and
    DamageError where it is gone all the same: not NotFoundError, which says that there is no volume."""
    try:
        yield
    except NotFoundError as error:
        await rows.check_owner()
        raise DamageError(f"what the head of a volume names is gone: {error}") from error


async def snapshot_changes(
    store: DeviceStore, container: Container, since: str, name: str, offset: int, length: int, limit: int
) -> list[Changed]:
    """Where a snapshot may differ from an older one, see `VolumeStore.changed`. Raises NotFoundError, IndexError."""
    table = Table(store, container)
    snapshots = Snapshots(table)
    old, new = await snapshots.find(since), await snapshots.find(name)
    assert old.root is not None
    assert new.root is not None
    span = Span(offset, length, new.size)
    lineage = Lineage(table, (await load_head(table)).lineage)
    checkpoints = Checkpoints(lineage)
    try:
        reader = LogReader(lineage)
        maps = [(await load_map(root, checkpoints, reader, CHANGES_PAGES))[0] for root in (old.root, new.root)]
        found = await MapChanges(*maps).within(span.first, span.count, limit)
    finally:
        with trio.CancelScope(shield=True):
            await checkpoints.close()
    return [Changed(first * BLOCK_BYTES, count * BLOCK_BYTES) for first, count in found]


@asynccontextmanager
async def open_snapshot(store: DeviceStore, container: Container, name: str) -> AsyncIterator[SnapshotDisk]:
    """Open a snapshot to be read, beside whoever has the volume. Raises NotFoundError."""
    table = Table(store, container)
    snapshot = await Snapshots(table).find(name)
    assert snapshot.root is not None
    lineage = Lineage(table, (await load_head(table)).lineage)
    checkpoints = Checkpoints(lineage)
    try:
        reader = LogReader(lineage)
        map_, _ = await load_map(snapshot.root, checkpoints, reader, MAP_PAGES)
        yield SnapshotDisk(snapshot.size, DiskReader(map_, Overlay(), reader))
    finally:
        with trio.CancelScope(shield=True):
            await checkpoints.close()
