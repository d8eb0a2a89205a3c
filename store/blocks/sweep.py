"""The sweep: log objects and checkpoints that no root needs are dropped.

What a root does not need, none that is made of it ever will. So what the checkpoint does not need that the head names
now, and no snapshot, is needed by nobody.
"""

from __future__ import annotations

from typing import Final

import structlog
import trio

from store.blocks.block_map import Frozen
from store.blocks.checkpoint import checkpoint_name
from store.blocks.head import Head
from store.blocks.log_object import row_name
from store.blocks.log_reader import LogReader, needed_key
from store.blocks.needs import Needs
from store.blocks.table import Table
from store.core.errors import DrystoneError

log = structlog.get_logger()

AT_ONCE: Final = 8


class Sweep:
    """Of one volume that is open."""

    def __init__(
        self, table: Table, sizes: dict[int, int], stored: dict[int, int], reader: LogReader, needs: Needs
    ) -> None:
        self._table = table
        self._sizes = sizes
        self._stored = stored
        self._reader = reader
        self._needs = needs
        self._checkpoints: set[int] | None = None

    def made(self, number: int) -> None:
        """There is a checkpoint of this number."""
        if self._checkpoints is not None:
            self._checkpoints.add(number)

    async def after(self, head: Head, frozen: Frozen) -> None:
        """Drop what is not needed any more, now that the head names the root of a map that was frozen. What cannot be
        dropped now is tried again the next time."""
        root = head.root
        await self._needs.refresh(head.epoch, head.oldest)
        known = await self._known_checkpoints() | {root.checkpoint}
        self._checkpoints = known
        if self._needs.unknown:
            return
        objects = [
            number
            for number in self._sizes
            if number < root.object
            and needed_key(root.depth, number) not in frozen.objects
            and not self._needs.object(number)
        ]
        checkpoints = [
            number
            for number in known
            if number < root.checkpoint
            and needed_key(root.depth, number) not in frozen.checkpoints
            and not self._needs.checkpoint(number)
        ]
        limiter = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for number in objects:
                nursery.start_soon(self._drop_object, number, limiter)
            for number in checkpoints:
                nursery.start_soon(self._drop_checkpoint, number, limiter)

    async def _known_checkpoints(self) -> set[int]:
        if self._checkpoints is None:
            found: list[str] = []
            while page := await self._table.names("c", found[-1] if found else ""):
                found += page
            self._checkpoints = {int(name[1:], 16) for name in found}
        return self._checkpoints

    async def _drop_object(self, number: int, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            try:
                await self._table.delete(row_name(number))
            except DrystoneError as error:
                log.warning("a log object cannot be dropped now", object=number, error=str(error))
                return
        self._reader.forget(number)
        self._sizes.pop(number, None)

    async def _drop_checkpoint(self, number: int, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            try:
                await self._table.delete(checkpoint_name(number))
            except DrystoneError as error:
                log.warning("a checkpoint cannot be dropped now", checkpoint=number, error=str(error))
                return
        self._stored.pop(number, None)
        if self._checkpoints is not None:
            self._checkpoints.discard(number)
