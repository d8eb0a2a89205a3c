"""Standby: a volume is served here while another node has it, and becomes this node's with the first write.

A guest that goes to another host while it runs has its disks opened there before it stops where it was; and there QEMU
flushes them once more when it ends, over a new connection. Were a volume taken over for that, the guest that runs could
not write any more. So what is opened for such a guest, on either node, stands by:

    size         of the head
    read         of whoever has the volume open, which is asked for it
    flush        nothing: nothing was written here
    extents      all is data
    first write  whoever has the volume closes it in good order; it is opened here, and all goes on with that

Who writes is decided by epochs alone, as ever: whoever has the volume may be replaced, or die, at any moment. Each read
looks at the head first, and is of the epoch that it found: so it sees all that anybody was answered before it was asked
for. Where nobody has the volume any more, or who has it can no longer be asked, it is opened here for a read, too. A
client in standby is of the epoch that it came under: where another node takes the volume over, it is cut off as those
are who had it open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
import trio

from drystone.volume_links import READ, RELEASE, VolumesOfAll
from drystone.volumes import LAST_WORD_SECONDS, READ_HELD_BYTES, Volumes
from store.blocks.bell import Bell
from store.blocks.disk import Disk, Extent, ExtentKind, OwnerReplacedError
from store.blocks.head import Head
from store.core.beside import beside
from store.core.errors import BusyError, ConflictError, DamageError, DrystoneError, InvalidError
from store.device.record import Buffer
from store.objects.model import Container
from store.wire.errors import UnreachableError

log = structlog.get_logger()

READ_SECONDS: Final = 10.0
"""For what is read of another node."""
REACH_SECONDS: Final = 10.0
"""A node that is not in reach, and not known to be away, is asked again for so long."""
AGAIN_SECONDS: Final = 0.5
RELEASE_SECONDS: Final = 10.0
"""For another node to close a volume in good order. Then it is fenced, as one that died: nothing is lost by that."""


class Standby:
    """Over the volumes of this process, `own`, and those of `everyones`."""

    def __init__(self, own: Volumes, everyones: VolumesOfAll, is_for: Callable[[str], bool]) -> None:
        """`is_for` says of an export by its name whether it is a disk of a guest that goes from this node to another,
        or from another to this, while it runs."""
        self.own = own
        self.everyones = everyones
        self.is_for = is_for

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        """As `Volumes.open`: in standby where another node has the volume."""
        container = None if "@" in name else await self.own.find(name)
        head = None if container is None else await self.own.head(container)
        if container is None or head is None or not self.has_it(head):
            async with self.own.open(name) as disk:
                yield disk
            return
        log.info("a volume is served in standby", volume=name, node=head.holder)
        async with StandbyDisk(self, name, container, head).opened() as standing:
            yield standing

    def has_it(self, head: Head) -> bool:
        """Whether another node has a volume, and can be asked."""
        return self.own.is_elsewhere(head) and self.everyones.knows(head.holder)


class _TakeOver:
    """One attempt, and who waits for it."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.error: DrystoneError | None = None


class StandbyDisk:
    """Keeps the contract of `Disk`, while `opened`."""

    read_only = False

    def __init__(self, standby: Standby, name: str, container: Container, head: Head) -> None:
        self._standby = standby
        self._name = name
        self._container = container
        self._size = head.size
        self._epoch = head.epoch
        self._disk: Disk | None = None
        """The volume, once it is this node's."""
        self._attempt: _TakeOver | None = None
        self._asked = Bell()
        self._client = trio.CancelScope()
        self._lost: DrystoneError | None = None
        """Why the client is cut off."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StandbyDisk]:
        """As long as there is a client. Who takes the volume, before this node does or after, has it cancelled, and
        OwnerReplacedError says so."""
        cut_off = partial(self._lose, OwnerReplacedError(f"volume {self._name} is not served here any more"))
        with self._client, self._standby.own.standing(self._container, cut_off):
            async with beside(self._have):
                yield self
        if self._client.cancelled_caught and self._lost is not None:
            raise self._lost

    def _lose(self, error: DrystoneError, last_word: float = 0.0) -> None:
        self._lost = self._lost or error
        self._client.deadline = min(self._client.deadline, trio.current_time() + last_word)

    async def _have(self) -> None:
        """Take the volume over when that is asked for, and be one of its clients then."""
        while True:
            if self._attempt is None:
                await self._asked.wait()
                continue
            try:
                await self._released()
                async with self._standby.own.open_same(self._name, self._container) as disk:
                    self._disk = disk
                    self._ended(None)
                    await trio.sleep_forever()
            except DrystoneError as error:
                if self._disk is not None:
                    self._lose(error)
                    return
                self._ended(error)

    def _ended(self, error: DrystoneError | None) -> None:
        attempt, self._attempt = self._attempt, None
        assert attempt is not None
        attempt.error = error
        attempt.over.set()

    async def _released(self) -> None:
        """Whoever has the volume has closed it, where it can be asked. Nothing depends on it: it is fenced in any
        case."""
        head = await self._look()
        if not self._standby.has_it(head):
            return
        log.info("a volume in standby is taken over", volume=self._name, node=head.holder)
        try:
            await self._standby.everyones.ask(head.holder, RELEASE_SECONDS, RELEASE, self._container.name, head.epoch)
        except DrystoneError as error:
            log.warning("a volume is taken over from one who did not close it", volume=self._name, why=str(error))

    async def _look(self) -> Head:
        """The head of now. Raises OwnerReplacedError where another node than this one has taken the volume from the one
        that had it when the client came: clients were cut off by that, and so is this one."""
        if self._lost is not None:
            raise self._lost
        head = await self._standby.own.head(self._container)
        self._size = head.size
        if head.epoch != self._epoch and not self._standby.own.is_here(head):
            self._lose(OwnerReplacedError("somebody else has opened the volume since"), LAST_WORD_SECONDS)
        if self._lost is not None:
            raise self._lost
        return head

    async def _own(self) -> Disk:
        """The volume, taken over. Raises what `Volumes.open` raises; it may be tried again."""
        if self._disk is None:
            if self._attempt is None:
                self._attempt = _TakeOver()
                self._asked.ring()
            attempt = self._attempt
            await attempt.over.wait()
            if attempt.error is not None:
                raise attempt.error
        assert self._disk is not None
        return self._disk

    # -- as of Disk ----------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        return self._size if self._disk is None else self._disk.size

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        if self._disk is None:
            if offset < 0 or length < 0 or offset + length > self._size:
                raise IndexError(f"{length} bytes at {offset} do not lie within {self._size}")
            pieces = await self._read_there(offset, length)
            if pieces is not None:
                return pieces
        return await (await self._own()).read(offset, length)

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        await (await self._own()).write(offset, data, durable=durable)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        await (await self._own()).zero(offset, length, keep=keep, durable=durable)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        await (await self._own()).discard(offset, length, durable=durable)

    async def flush(self) -> None:
        # Who has the same export may have written on this node: then the volume is this node's by now.
        if self._disk is not None or self._standby.own.is_here(await self._look()):
            await (await self._own()).flush()

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        if self._disk is None:
            return [Extent(length, ExtentKind.DATA)]
        return await self._disk.extents(offset, length, limit)

    # -- of another node -----------------------------------------------------------------------------------------

    async def _read_there(self, offset: int, length: int) -> list[Buffer] | None:
        """Read of whoever has the volume, each page as of one moment. None where it is to be opened here."""
        pieces: list[Buffer] = []
        end = offset + length
        while offset < end:
            upto = min(end, (offset // READ_HELD_BYTES + 1) * READ_HELD_BYTES)
            piece = await self._piece(offset, upto - offset)
            if piece is None:
                return None
            pieces.append(piece)
            offset = upto
        return pieces

    async def _piece(self, offset: int, length: int) -> Buffer | None:
        until = trio.current_time() + REACH_SECONDS
        refused = 0
        while self._disk is None:
            head = await self._look()
            if not self._standby.has_it(head) or head.epoch == refused:
                return None
            asked = READ, self._container.name, head.epoch, offset, length
            try:
                found = await self._standby.everyones.ask(head.holder, READ_SECONDS, *asked)
            except (ConflictError, InvalidError):  # it has closed the volume, or is of a version that tells nothing
                refused = head.epoch
            except (UnreachableError, BusyError) as error:
                if trio.current_time() >= until:
                    log.warning("who has a volume cannot be asked", volume=self._name, why=str(error))
                    return None
                await trio.sleep(AGAIN_SECONDS)
            else:
                if not isinstance(found, bytes) or len(found) != length:
                    raise DamageError(f"node {head.holder} has not answered what was asked for")
                return found
        return None
