"""`Exports`: which disk is behind a name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from store.blocks.disk import Disk


class ExportInfo(NamedTuple):
    """What is told of an export before it is opened. `size` is in bytes."""

    size: int
    read_only: bool


class Exports(Protocol):
    """Whoever knows the disks. Used by many connections at once."""

    def open(self, name: str) -> AbstractAsyncContextManager[Disk]:
        """The disk of that name, for as long as the context lasts.

        Entering raises NotFoundError where there is none, and other DrystoneErrors where it cannot be had. It may take
        its time: the client waits.

        Those that have one name open at the same time must be given one and the same disk, or disks of which each
        reads what any of them has answered, and flushes it: clients are told that they may spread their requests over
        several connections (CAN_MULTI_CONN). To count who uses a disk, and to close it behind the last, is the
        business of whoever implements this.
        """
        ...

    async def look(self, name: str) -> ExportInfo:
        """What the disk of that name is, without opening it: whoever has it open keeps it. Raises as `open` does."""
        ...

    async def names(self) -> Sequence[str]:
        """For a listener that may tell them."""
        ...
