"""Removing volumes that have no name any more, with all that nobody needs of them.

A volume whose snapshots have clones is kept, deleted, with what these need; it goes with the last of them. Each step
may be done again: whoever finds a volume without a name, and nobody who makes it, ends what was begun. All of this may
use the reserve of devices that are full: it gives space.
"""

from __future__ import annotations

from typing import Final

import trio

from store.blocks.checkpoints import Checkpoints
from store.blocks.head import ROW_NAME, Head
from store.blocks.lineage import ACCOUNT, Lineage, volume_table
from store.blocks.needs import Needs
from store.blocks.owned_head import change_head, load_head
from store.blocks.snapshots import PREFIX, Snapshots
from store.blocks.table import Table
from store.core.errors import DrystoneError, NotFoundError
from store.objects.store import DeviceStore

ANY_EPOCH: Final = 1 << 62
AT_ONCE: Final = 8


async def remove(store: DeviceStore, volume: bytes) -> None:
    """Remove a volume that has no name, and then those that were kept for it alone. Raises RetryableErrors where
    something cannot be removed now: then it is to be done again."""
    next_: bytes | None = volume
    while next_ is not None:
        next_ = await _remove_one(store, next_)


async def _remove_one(store: DeviceStore, volume: bytes) -> bytes | None:
    """The parent, if that has to be removed now, too."""
    try:
        table = await volume_table(store, volume)
    except NotFoundError:
        return None
    try:
        head = await change_head(table, lambda head: head._replace(deleted=True, epoch=head.epoch + 1), reserve=True)
    except NotFoundError:
        head = None
    if head is not None and await _is_kept(table, head):
        return None
    parent = None
    if head is not None and head.origin:
        parent = await release(store, head.lineage[-1], head.origin, volume)
    await _delete_rows(table, [name for name in await _all(table, "") if name != ROW_NAME])
    await table.delete(ROW_NAME)
    await store.delete_container(ACCOUNT, volume.hex())
    return parent


async def _is_kept(table: Table, head: Head) -> bool:
    """Delete the snapshots, and drop what those do not need that have clones; whether there are any."""
    snapshots = Snapshots(table)
    for name, snapshot in (await snapshots.all()).items():
        if snapshot.root is None:
            await snapshots.give_up(name, ANY_EPOCH)
        elif not snapshot.deleted:
            await snapshots.delete(name)
    left = await snapshots.all()
    if left:
        await drop_unneeded(table, head)
    return bool(left)


async def drop_unneeded(table: Table, head: Head) -> None:
    """Drop what no snapshot of a volume needs that is deleted."""
    checkpoints = Checkpoints(Lineage(table, head.lineage))
    try:
        needs = Needs(Snapshots(table), checkpoints, head.depth)
        await needs.refresh(head.epoch, None)
        if not needs.unknown:
            objects = [name for name in await _all(table, "l") if not needs.object(int(name[1:], 16))]
            stored = [name for name in await _all(table, "c") if not needs.checkpoint(int(name[1:], 16))]
            await _delete_rows(table, [*objects, *stored])
    finally:
        with trio.CancelScope(shield=True):
            await checkpoints.close()


async def release(store: DeviceStore, parent: bytes, snapshot: str, volume: bytes) -> bytes | None:
    """A volume needs nothing any more of a snapshot of its parent. The parent, if that has to be removed now, too."""
    try:
        table = await volume_table(store, parent)
        await Snapshots(table).remove_clone(snapshot, volume)
        head = await load_head(table)
    except NotFoundError:
        return None
    if not head.deleted:
        return None
    if await table.names(PREFIX):
        await drop_unneeded(table, head)
        return None
    return parent


async def _all(table: Table, prefix: str) -> list[str]:
    names: list[str] = []
    while page := await table.names(prefix, names[-1] if names else ""):
        names += page
    return names


async def _delete_rows(table: Table, names: list[str]) -> None:
    failures: list[DrystoneError] = []
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def one(name: str) -> None:
        async with limiter:
            try:
                await table.delete(name)
            except DrystoneError as error:
                failures.append(error)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(one, name)
    if failures:
        raise failures[0]
