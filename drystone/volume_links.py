"""Volumes of a cluster as one: what concerns a volume that is open is done by the process that has it open.

A snapshot, a new size or an end is a matter of the writer. Any process is asked for it, by clients of the volume API
and by tasks; the one that has the volume open, which its head names, is asked over the link there is. Everything else
goes by rows, and any process does it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final

from drystone.volumes import Volumes
from store.blocks.disk import Disk
from store.blocks.interface import Changed, SnapshotRow, VolumeRow
from store.core.errors import BusyError, InvalidError
from store.remote.process import RemoteProcess
from store.wire.errors import UnreachableError
from store.wire.server import Call, Peer

DO: Final = "volumes.do"
"""[what, volume, arguments ...] -> what came of it. See `VolumeAnswers`. The volume is named, and for READ and RELEASE
its id, with the epoch that it is open under."""
SOON_SECONDS: Final = 60.0
"""For what takes constant time, on a busy machine."""
LONG_SECONDS: Final = 24 * 3600.0
"""For what takes as long as the volume is large."""

SNAPSHOT, RESIZE, REWIND, FLATTEN, FLUSH, DELETE, CUT_OFF, READ, RELEASE = (
    "snapshot",
    "resize",
    "rewind",
    "flatten",
    "flush",
    "delete",
    "cut-off",
    "read",
    "release",
)


class VolumeAnswers:
    """Answers other processes."""

    def __init__(self) -> None:
        self.of: Volumes | None = None
        """Those of this process. Until they are known nothing is done."""

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        peer.handlers[DO] = self._do

    def _do(self, call: Call) -> None:
        call.begin(partial(self._done, *call.arguments))

    async def _done(self, what: str, volume: str, *arguments: Any) -> Any:
        if self.of is None:
            raise BusyError("it starts")
        match what, *arguments:
            case (str(), str() as snapshot, None | int() as time_us) if what == SNAPSHOT:
                return await self.of.snapshot(volume, snapshot, time_us)
            case (str(), int() as size) if what == RESIZE:
                return await self.of.resize(volume, size)
            case (str(), int() as time_us) if what == REWIND:
                return list(await self.of.rewind(volume, time_us))
            case (str(),) if what == FLATTEN:
                return await self.of.flatten(volume)
            case (str(),) if what == FLUSH:
                return await self.of.flush(volume)
            case (str(),) if what == CUT_OFF:
                return await self.of.cut_off(volume)
            case (str(), int() as epoch, int() as offset, int() as length) if what == READ:
                return await self.of.read_held(volume, epoch, offset, length)
            case (str(), int() as epoch) if what == RELEASE:
                return await self.of.release(volume, epoch)
            case (str(), bool() as force, int() as keep_us) if what == DELETE:
                return await self.of.delete(volume, force=force, keep_us=keep_us)
        raise InvalidError(f"{what} of a volume is not known here")


class VolumesOfAll:
    """A `VolumeStore` over all processes: `own` are the volumes of this one, whose node is called `name`."""

    def __init__(self, own: Volumes, name: str, processes: Callable[[], Mapping[str, RemoteProcess]]) -> None:
        """`processes`: the others, by the names of their nodes."""
        self._own = own
        self._name = name
        self._processes = processes

    async def _elsewhere(self, volume: str) -> RemoteProcess | None:
        """The other process that has a volume open, where it can be asked. Raises NotFoundError."""
        holder = (await self._own.row(volume)).holder
        process = None if holder in ("", self._name) else self._processes().get(holder)
        return process if process is not None and process.up else None

    def knows(self, node: str) -> bool:
        """Whether a node is one that can be asked, once it is in reach."""
        return node in self._processes()

    async def ask(self, node: str, seconds: float, what: str, volume: str, *arguments: Any) -> Any:
        """Ask a node about a volume, whoever has that open. Raises UnreachableError, BusyError where it does not
        answer, and what it answers."""
        process = self._processes().get(node)
        if process is None or not process.up:
            raise UnreachableError(f"node {node} is not in reach")
        return await process.ask(DO, seconds, (what, volume, *arguments))

    async def _at_holder(
        self, here: Callable[[], Awaitable[Any]], seconds: float, what: str, volume: str, *arguments: Any
    ) -> Any:
        process = await self._elsewhere(volume)
        if process is None:
            return await here()
        return await process.ask(DO, seconds, (what, volume, *arguments))

    # -- of whoever has it open ----------------------------------------------------------------------------------

    async def resize(self, name: str, size: int) -> None:
        await self._at_holder(partial(self._own.resize, name, size), SOON_SECONDS, RESIZE, name, size)

    async def delete(self, name: str, *, force: bool, take_over: bool = False, keep_us: int = 0) -> bytes:
        here = partial(self._own.delete, name, force=force, take_over=take_over, keep_us=keep_us)
        if take_over:
            return await here()
        found: bytes = await self._at_holder(here, LONG_SECONDS, DELETE, name, force, keep_us)
        return found

    async def snapshot(self, name: str, snapshot: str, time_us: int | None = None, *, take_over: bool = False) -> None:
        here = partial(self._own.snapshot, name, snapshot, time_us, take_over=take_over)
        await self._at_holder(here, SOON_SECONDS, SNAPSHOT, name, snapshot, time_us)

    async def rewind(self, name: str, time_us: int, *, take_over: bool = False) -> tuple[str, str]:
        here = partial(self._own.rewind, name, time_us, take_over=take_over)
        snapshot, before = await self._at_holder(here, SOON_SECONDS, REWIND, name, time_us)
        return str(snapshot), str(before)

    async def flatten(self, name: str, *, take_over: bool = False) -> None:
        await self._at_holder(partial(self._own.flatten, name, take_over=take_over), LONG_SECONDS, FLATTEN, name)

    async def flush(self, name: str) -> int:
        return int(await self._at_holder(partial(self._own.flush, name), SOON_SECONDS, FLUSH, name))

    async def cut_off(self, name: str) -> None:
        """Have nobody any more read or write a volume that had it open until now. A process that cannot be asked is
        fenced: so it is where nobody answers, too. Raises NotFoundError."""
        await self._at_holder(partial(self._own.cut_off, name), SOON_SECONDS, CUT_OFF, name)

    # -- by rows -------------------------------------------------------------------------------------------------

    async def create(self, name: str, size: int, policy: str, window_us: int = 0) -> None:
        await self._own.create(name, size, policy, window_us)

    async def row(self, name: str) -> VolumeRow:
        return await self._own.row(name)

    async def rows(self, after: str, limit: int) -> list[VolumeRow]:
        return await self._own.rows(after, limit)

    async def rename(self, name: str, new: str) -> None:
        await self._own.rename(name, new)

    async def snapshots(self, name: str) -> list[SnapshotRow]:
        return await self._own.snapshots(name)

    async def changed(
        self, name: str, since: str, snapshot: str, offset: int, length: int, limit: int
    ) -> list[Changed]:
        return await self._own.changed(name, since, snapshot, offset, length, limit)

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        await self._own.delete_snapshot(name, snapshot)

    async def clone(self, name: str, snapshot: str, new: str, size: int | None, window_us: int | None = None) -> None:
        await self._own.clone(name, snapshot, new, size, window_us)

    def open(self, name: str) -> AbstractAsyncContextManager[Disk]:
        return self._own.open(name)
