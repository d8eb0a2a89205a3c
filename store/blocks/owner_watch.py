"""Whether a volume that is open is still ours, for what is read of it: fences tell who writes, and nobody else.

A read begins within OWNER_SECONDS of a look at the head that found our epoch there. Looks are made for reads alone:

    at 0 s      a look begins, and finds it ours
    until 8 s   reads go on
    until 10 s  reads go on, and the first of them has another look made beside them
    then        reads wait for one: where nobody reads, nobody looks

Where the head cannot be read now (too few devices answer), reads that need a look wait, and it is tried again: for
WAIT_SECONDS, then they fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from store.blocks.bell import Bell
from store.blocks.disk import OwnerReplacedError
from store.blocks.owned_head import OwnedHead, load_head
from store.blocks.table import Table
from store.core.errors import BusyError, DrystoneError, NotFoundError

log = structlog.get_logger()

OWNER_SECONDS: Final = 10.0
"""Who was replaced answers reads for no longer than this."""
LOOK_SECONDS: Final = 8.0
"""As long as a volume is read, looks begin so long after one another: none of the reads waits, if a look takes less
than what is left."""
WAIT_SECONDS: Final = 20.0
"""A read waits for a look so long. Disks of guests that give up at all do after 30 s."""
RETRY_SECONDS: Final = 1.0


class OwnerWatch:
    """Of one volume. `run` has to run."""

    def __init__(self, table: Table, head: OwnedHead, since: float, on_replaced: Callable[[DrystoneError], None]):
        """It was ours when it was taken over, which began at a time of trio's clock. `on_replaced` is told why it is
        not any more."""
        self._table = table
        self._head = head
        self._on_replaced = on_replaced
        self._until = since + OWNER_SECONDS
        self.ask_at = since + LOOK_SECONDS
        """What is read at this time or later is to wait for `may_read` first."""
        self._wanted = False
        self._asked = Bell()
        self._looked = Bell()
        self._gone: DrystoneError | None = None
        self._why = ""
        """The last look could not be made."""

    async def may_read(self) -> None:
        """Wait until it is known that a read that comes now is one of the volume's owner. Raises OwnerReplacedError or
        NotFoundError where it is not; BusyError where that cannot be found out."""
        came = trio.current_time()
        self._ask()
        self.ask_at = self._until
        with trio.move_on_after(WAIT_SECONDS) as waiting:
            while self._until <= came and self._gone is None:
                self._ask()
                await self._looked.wait()
        if self._gone is not None:
            raise self._gone
        if waiting.cancelled_caught:
            raise BusyError(f"whether the volume is still open here alone cannot be found out now: {self._why}")

    def _ask(self) -> None:
        self._wanted = True
        self._asked.ring()

    async def run(self) -> None:
        """Make the looks that reads ask for, one after the other, for ever."""
        while True:
            if not self._wanted:
                await self._asked.wait()
                continue
            self._wanted = False
            try:
                await self.look()
            except DrystoneError as error:
                if self._gone is not None:
                    return
                log.info("the head of a volume cannot be read now", why=str(error))
                self._why = str(error)
                self.ask_at = trio.current_time()
                self._looked.ring()
                await trio.sleep(RETRY_SECONDS)

    async def look(self) -> None:
        """Look at the head now: a volume that was made larger elsewhere has its new size then. Raises
        OwnerReplacedError or NotFoundError where it is not ours any more: `on_replaced` was told; other DrystoneErrors
        where the head cannot be read."""
        began = trio.current_time()
        try:
            head = await load_head(self._table)
            if head.deleted:
                raise NotFoundError("the volume was deleted")
            if head.epoch != self._head.epoch:
                raise OwnerReplacedError("somebody else has opened the volume since")
            if head.size != self._head.head.size:
                await self._head.change(lambda now: now)
        except (OwnerReplacedError, NotFoundError) as error:
            self._gone = error
            self._on_replaced(error)
            self._looked.ring()
            raise
        self._until = max(self._until, began + OWNER_SECONDS)
        self.ask_at = max(self.ask_at, began + LOOK_SECONDS)
        self._looked.ring()
