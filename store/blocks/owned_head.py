"""The head of a volume as its one writer changes it: only as long as nobody else has taken it over."""

from __future__ import annotations

from collections.abc import Callable

import trio

from store.blocks.disk import OwnerReplacedError
from store.blocks.head import ROW_NAME, Head
from store.blocks.table import Table
from store.core.errors import NotFoundError
from store.device.row import Row


async def load_head(table: Table) -> Head:
    """The head of a volume. Raises NotFoundError where there is none."""
    row = await table.load(ROW_NAME)
    if row is None:
        raise NotFoundError("there is no such volume")
    return Head.decode(row.payload)


async def change_head(table: Table, edit: Callable[[Head], Head], *, reserve: bool = False) -> Head:
    """Change the head of a volume: as it is then. `edit` may be called again, and may raise. `reserve` as of
    `Table.change`. Raises NotFoundError where there is none; RetryableErrors where nobody can tell what became of it.
    """
    made: Head | None = None

    def edited(row: Row | None) -> Row:
        nonlocal made
        if row is None:
            raise NotFoundError("there is no such volume")
        made = edit(Head.decode(row.payload))
        return table.row(ROW_NAME, made.encode())

    await table.change(ROW_NAME, edited, reserve=reserve)
    assert made is not None
    return made


class OwnedHead:
    """The head under one epoch. `head` is as it was when it was last changed here."""

    def __init__(self, table: Table, head: Head) -> None:
        self._table = table
        self.head = head
        self._lock = trio.Lock()
        """Of two changes the one that was written last must be known last."""

    @property
    def epoch(self) -> int:
        return self.head.epoch

    async def change(self, edit: Callable[[Head], Head], *, reserve: bool = False) -> Head:
        """As `change_head`. Raises OwnerReplacedError where somebody else has opened the volume since."""

        def checked(head: Head) -> Head:
            if head.epoch != self.epoch:
                raise OwnerReplacedError("somebody else has opened the volume since")
            return edit(head)

        async with self._lock:
            self.head = await change_head(self._table, checked, reserve=reserve)
            return self.head


async def take_head(table: Table, holder: str, now_us: int) -> OwnedHead:
    """Become the writer of a volume, under an epoch of one's own; `holder` says in words who that is. Where it is not
    known whether that was written, it is written again: an epoch may be left out."""

    def edit(head: Head) -> Head:
        if head.deleted:
            raise NotFoundError("the volume was deleted: it is kept for its clones alone")
        if head.trashed:
            raise NotFoundError("the volume is in the trash")
        return head._replace(epoch=head.epoch + 1, holder=holder, since_us=now_us)

    return OwnedHead(table, await change_head(table, edit, reserve=True))
