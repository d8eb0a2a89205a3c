"""The map that a root names: its checkpoint, and what is behind that in a log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from store.blocks.block_map import BlockMap
from store.blocks.checkpoint import CheckpointTable
from store.blocks.checkpoints import Checkpoints
from store.blocks.head import Root
from store.blocks.log_reader import LogReader
from store.blocks.replay import replay
from store.blocks.stored_map import StoredMap


async def load_map(
    root: Root,
    checkpoints: Checkpoints,
    reader: LogReader,
    pages: int,
    make_room: Callable[[StoredMap], Awaitable[None]] | None = None,
) -> tuple[StoredMap, CheckpointTable | None]:
    """The map, of which about so many clean pages stay in memory, and the table of its checkpoint, if there is one.
    `make_room` as of `replay`. Raises NotFoundError where something of it is gone, DamageError."""
    table = None
    map_ = BlockMap()
    if root.checkpoint:
        table = await checkpoints.table(root.depth, root.checkpoint)
        map_ = BlockMap(table.top, table.objects, table.checkpoints)
    stored = StoredMap(map_, checkpoints, pages)
    if (behind := root.behind) is not None:
        at = Root(root.depth, root.checkpoint, behind.first, behind.sequence)

        async def room() -> None:
            if make_room is not None:
                await make_room(stored)

        for number in range(behind.first, behind.last + 1):
            contents = await reader.contents(number, root.depth)
            at, _ = await replay(stored, root.depth, at, number, contents, until=behind.until, make_room=room)
    return stored, table
