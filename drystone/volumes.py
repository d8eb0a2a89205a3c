"""The volumes that this process serves: each is opened when the first client asks for it, shared by all who do, and
closed some time after the last has gone.

To open a volume takes it over from whoever had it open, on any node: so a volume is served by one process at a time,
the one that was asked last. Clients of the one before are cut off. For clients of NBD that is done without a question:
so a virtual machine goes from node to node; of one that runs meanwhile see drystone.standby. What operators ask for is
refused where it would do that to another node, unless that is known to be away, or they say that they mean it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, NamedTuple

import structlog
import trio

from drystone.counted_disk import CountedDisk, Tally
from drystone.volume_times import show_time
from gateway.nbd.exports import ExportInfo
from store.blocks.bell import Bell
from store.blocks.catalogue import Catalogue, check_size, grown
from store.blocks.check import check_volume
from store.blocks.disk import Disk, OwnerReplacedError
from store.blocks.head import Head
from store.blocks.interface import Changed, SnapshotRow, VolumeRow, check_name
from store.blocks.lineage import volume_table
from store.blocks.opening import open_snapshot, open_volume, snapshot_changes
from store.blocks.owned_head import load_head
from store.blocks.report import Report, Summary
from store.blocks.snapshots import Snapshots
from store.blocks.table import Table
from store.blocks.volume import Volume
from store.core.beside import beside
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError
from store.objects.model import Container, Policy
from store.objects.store import DeviceStore

log = structlog.get_logger()

LINGER_SECONDS: Final = 5.0
"""After its last client has gone a volume stays open for so long: one that connects again finds it open."""
LAST_WORD_SECONDS: Final = 1.0
"""Clients of a volume that has to go have so long to be told why, before they are cut off."""
READ_HELD_BYTES: Final = 256 * 1024
"""Another node reads so much at once."""
STOP_SECONDS: Final = 45.0
"""For all volumes to be closed in good order, all at once: each takes 30 at most."""
HEADS_AT_ONCE: Final = 16
"""Heads of volumes that are read for a listing."""
REAP_SECONDS: Final = 3600.0
REAP_AGE_US: Final = 24 * 3600 * 1_000_000
"""What has no name so long after it was made is not being made any more."""


class TrashRow(NamedTuple):
    """What is told of a volume in the trash: as `Trashed`, and its size and what its log takes in each copy."""

    id: str
    name: str
    deleted_us: int
    goes_us: int
    size: int
    stored_bytes: int


class Holder(NamedTuple):
    """Who has a volume open, or did not close it in good order, since a time. `node` is empty where nobody has."""

    node: str
    since_us: int


class _Served:
    """A volume from when its first client asks for it until it is closed."""

    def __init__(self, name: str, container: Container) -> None:
        self.name = name
        self.container = container
        self.volume: Volume | None = None
        self.disk: CountedDisk | None = None
        """The volume as its clients have it."""
        self.error: DrystoneError | None = None
        """Why it could not be opened."""
        self.opened = trio.Event()
        """It is open, or could not be opened."""
        self.gone = trio.Event()
        self.going = False
        """It is to be closed, and takes no more clients."""
        self.scope = trio.CancelScope()
        """Around all of it."""
        self.clients: set[trio.CancelScope] = set()
        """Around each, those who wait for it to be opened included."""
        self.readers: set[trio.CancelScope] = set()
        """Around what other nodes read here: they keep nothing open."""
        self.changed = Bell()

    def leave(self, client: trio.CancelScope) -> None:
        self.clients.discard(client)
        self.changed.ring()

    def go(self, last_word: float = LAST_WORD_SECONDS) -> None:
        """Have it closed. What has not been opened yet never will be. Clients are cut off after `last_word`."""
        self.going = True
        if self.volume is None:
            self.scope.cancel()
        for client in (*self.clients, *self.readers):
            client.deadline = min(client.deadline, trio.current_time() + last_word)
        self.changed.ring()


class Volumes:
    """Those of one process; `Exports` of the NBD server. Made by `serving_volumes`."""

    def __init__(
        self, store: DeviceStore, clock: Clock, random: Random, holder: str, is_away: Callable[[str], bool]
    ) -> None:
        """`holder` names this node, to those who ask who serves a volume. `is_away` says of another whether it is known
        to have no process that could."""
        self._store = store
        self._holder = holder
        self._is_away = is_away
        self._catalogue = Catalogue(store, random)
        self._clock = clock
        self._random = random
        self._served: dict[str, _Served] = {}
        """By the names of their containers, which are their ids: a volume may be renamed while it is served."""
        self.tally = Tally()
        self._deleting: set[str] = set()
        """By the same."""
        self._standing: dict[str, set[Callable[[], None]]] = {}
        """What cuts off those who have a volume in standby, by the same."""
        self._stopping = trio.Event()
        self._stopped = trio.Event()
        self._cut = trio.CancelScope(shield=True)
        self._tasks: trio.Nursery

    # -- for clients ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        """As `Exports` has it; VOLUME@SNAPSHOT is a snapshot, to be read. Whoever is in here when the volume has to go
        is cancelled soon, and OwnerReplacedError says so."""
        self.tally.connections += 1
        try:
            async with self._opened(name) as disk:
                yield disk
        finally:
            self.tally.connections -= 1

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[Disk]:
        volume, at, snapshot = name.partition("@")
        if at:
            async with open_snapshot(self._store, await self._catalogue.find(volume), snapshot) as disk:
                yield disk
        else:
            async with self._client(name) as served:
                assert served.disk is not None
                yield served.disk

    @asynccontextmanager
    async def open_volume(self, name: str) -> AsyncIterator[Volume]:
        """The same, of a volume."""
        async with self._client(name) as served:
            assert served.volume is not None
            yield served.volume

    @asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[_Served]:
        with trio.CancelScope() as client:
            served = await self._join(name, client)
            try:
                yield served
            finally:
                served.leave(client)
        if client.cancelled_caught:
            raise OwnerReplacedError(f"volume {name} is not served here any more")

    async def look(self, name: str) -> ExportInfo:
        """As `Exports` has it."""
        volume, at, snapshot = name.partition("@")
        table = Table(self._store, await self._catalogue.find(volume))
        if at:
            return ExportInfo((await Snapshots(table).find(snapshot)).size, read_only=True)
        if table.container.name in self._deleting:
            raise NotFoundError(f"volume {name} is being deleted")
        return ExportInfo((await load_head(table)).size, read_only=False)

    async def names(self) -> Sequence[str]:
        found: list[str] = []
        while page := await self._catalogue.names(found[-1] if found else ""):
            found += page
        return found

    async def _join(self, name: str, client: trio.CancelScope) -> _Served:
        """Be one of the clients of a volume, which is open then. One that goes is waited for, and opened anew."""
        while True:
            container = await self._catalogue.find(name)
            if self._stopping.is_set():
                raise RetryableError("this process stops")
            if container.name in self._deleting:
                raise NotFoundError(f"volume {name} is being deleted")
            served = self._served.get(container.name)
            if served is None:
                served = self._served[container.name] = _Served(name, container)
                self._tasks.start_soon(self._serve, served)
            elif not served.going and served.volume is not None:
                with suppress(DrystoneError):  # it goes, or reads ask for it again
                    await served.volume.owner.look()
            if served.going:
                await served.gone.wait()
                continue
            served.clients.add(client)
            served.changed.ring()
            try:
                await served.opened.wait()
            except BaseException:
                served.leave(client)
                raise
            if served.volume is not None and not served.going:
                return served
            served.leave(client)
            client.deadline = float("inf")
            if served.error is not None:
                raise served.error

    async def _serve(self, served: _Served) -> None:
        """Open a volume, have it open while it is used, and close it."""
        try:
            with served.scope:
                async with open_volume(
                    self._store, served.container, self._clock, self._random, self._holder
                ) as volume:
                    log.info("a volume is open", volume=served.name, epoch=volume.head.epoch)
                    served.volume = volume
                    served.disk = CountedDisk(volume)
                    served.opened.set()
                    await self._until_unused(served, volume)
                    served.go()
                    while served.clients or served.readers:
                        await served.changed.wait()
            if served.volume is None:
                served.error = RetryableError("this process stops")
        except DrystoneError as error:
            served.error = error
            if served.volume is not None:
                log.warning("a volume was not closed in good order", volume=served.name, why=str(error))
        except Exception:  # a mistake of ours about one volume: all else is served
            log.exception("a volume cannot be served", volume=served.name)
            served.error = RetryableError("internal error")
        finally:
            served.go()
            del self._served[served.container.name]
            served.opened.set()
            served.gone.set()
            if served.volume is not None and served.disk is not None:
                self.tally.closed(served.disk, lost=isinstance(served.volume.failed, OwnerReplacedError))
                log.info("a volume is closed", volume=served.name)

    async def _until_unused(self, served: _Served, volume: Volume) -> None:
        """Return when it is to be closed. Nothing is done until then unless something happens."""
        volume.on_failed = served.go
        if volume.failed is not None:
            served.go()
        close_at: float | None = None
        while not served.going:
            if served.clients:
                close_at = None
                await served.changed.wait()
                continue
            now = trio.current_time()
            close_at = now + LINGER_SECONDS if close_at is None else close_at
            if now >= close_at:
                return
            await served.changed.wait(close_at - now)
        if volume.failed is not None:
            log.warning("a volume is of no use here any more", volume=served.name, why=str(volume.failed))

    def open_disks(self) -> list[CountedDisk]:
        """Those that are open here."""
        return [served.disk for served in self._served.values() if served.disk is not None]

    async def disk(self, name: str) -> CountedDisk | None:
        """A volume as its clients have it, where it is open here. Raises NotFoundError."""
        served = self._served.get((await self._catalogue.find(name)).name)
        return None if served is None else served.disk

    async def check(
        self, name: str, snapshot: str | None, tell: Callable[[Report], Awaitable[None]], *, data: bool
    ) -> Summary:
        """Whether a volume, or one of its snapshots, is whole (store.blocks.check). Raises NotFoundError."""
        container = await self._catalogue.find(name)
        return await check_volume(self._store, container, tell, snapshot=snapshot, data=data)

    # -- for other nodes, and for standby (drystone.standby) -----------------------------------------------------

    async def find(self, name: str) -> Container:
        """The volume that has a name now. Raises NotFoundError."""
        return await self._catalogue.find(name)

    async def head(self, container: Container) -> Head:
        """Of a volume, as it is now. Raises NotFoundError where it is gone, or in the trash."""
        head = await load_head(Table(self._store, container))
        if head.deleted or head.trashed:
            raise NotFoundError("the volume was deleted")
        return head

    @contextmanager
    def standing(self, container: Container, cut_off: Callable[[], None]) -> Iterator[None]:
        """Somebody has a volume in standby, and is to be cut off where clients are."""
        standing = self._standing.setdefault(container.name, set())
        standing.add(cut_off)
        try:
            yield
        finally:
            standing.discard(cut_off)
            if not standing:
                self._standing.pop(container.name, None)

    def is_here(self, head: Head) -> bool:
        """Whether this node has a volume open, or had it when it died."""
        return head.holder == self._holder

    def is_elsewhere(self, head: Head) -> bool:
        """Whether another node has a volume open, for all that is known."""
        return head.holder not in ("", self._holder) and not self._is_away(head.holder)

    @asynccontextmanager
    async def open_same(self, name: str, container: Container) -> AsyncIterator[Disk]:
        """As `open`, of one volume alone, which has to have that name still."""
        gone = NotFoundError(f"volume {name} is another one by now")
        self.tally.connections += 1
        try:
            if (await self._catalogue.find(name)).name != container.name:
                raise gone
            async with self._client(name) as served:
                if served.container.name != container.name:
                    raise gone
                assert served.disk is not None
                yield served.disk
        finally:
            self.tally.connections -= 1

    def _held(self, volume: str, epoch: int) -> _Served:
        """A volume, by its id, that is open here under an epoch. Raises ConflictError where it is not."""
        served = self._served.get(volume)
        if served is None or served.volume is None or served.going or served.volume.head.epoch != epoch:
            raise ConflictError(f"volume {volume} is not open here under epoch {epoch}")
        return served

    async def read_held(self, volume: str, epoch: int, offset: int, length: int) -> bytes:
        """Read a volume, by its id, for another node. It is not opened for that, and not kept open. Raises
        ConflictError where it is not open here under that epoch, or ends to be."""
        served = self._held(volume, epoch)
        assert served.disk is not None
        if not 0 <= length <= READ_HELD_BYTES or not 0 <= offset <= served.disk.size - length:
            raise InvalidError(f"{length} bytes at {offset} cannot be read at once")
        with trio.CancelScope() as reader:
            served.readers.add(reader)
            try:
                return b"".join(await served.disk.read(offset, length))
            except OwnerReplacedError as error:
                raise ConflictError(str(error)) from error
            finally:
                served.readers.discard(reader)
                served.changed.ring()
        raise ConflictError(f"volume {volume} is being closed here")

    async def release(self, volume: str, epoch: int) -> None:
        """Close a volume, by its id, for another node that takes it over: clients are cut off at once, and all that
        they were answered is durable when this returns. Raises ConflictError where it is not open here under that
        epoch, and whatever keeps it from being closed in good order."""
        served = self._held(volume, epoch)
        log.info("a volume goes to another node", volume=served.name)
        served.go(last_word=0.0)
        await served.gone.wait()
        if served.error is not None:
            raise served.error

    # -- for operators -------------------------------------------------------------------------------------------

    async def create(self, name: str, size: int, policy: str, window_us: int = 0) -> None:
        """An empty volume, which can be taken back to any time of a window in microseconds; `policy` "" is the default
        one. Raises InvalidError, and ConflictError where there is one of
        this name."""
        check_name(name)
        chosen = self._policy(policy)
        check_size(size)
        await self._catalogue.create(name, size, chosen.index, window_us)

    def _policy(self, name: str) -> Policy:
        found = [each for each in self._store.policies if (each.name == name if name else each.default)]
        if not found:
            names = ", ".join(each.name for each in self._store.policies)
            raise InvalidError(f"there is no storage policy {name} (there are: {names})")
        if found[0].erasure:
            raise InvalidError(f"policy {found[0].name} is an erasure code: volumes are kept in copies, choose another")
        return found[0]

    async def rows(self, after: str, limit: int) -> list[VolumeRow]:
        """Of the volumes behind `after`, in the order of their names."""
        names = await self._catalogue.names(after, limit)
        rows: dict[str, VolumeRow] = {}
        at_once = trio.CapacityLimiter(HEADS_AT_ONCE)

        async def one(name: str) -> None:
            async with at_once:
                with suppress(NotFoundError):  # it was deleted meanwhile
                    rows[name] = await self.row(name)

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(one, name)
        return [rows[name] for name in names if name in rows]

    async def row(self, name: str) -> VolumeRow:
        """Raises NotFoundError."""
        container = await self._catalogue.find(name)
        head = await load_head(Table(self._store, container))
        usage = await self._store.container_usage(container)
        policy = next(each.name for each in self._store.policies if each.index == container.policy)
        served = self._served.get(container.name)
        if served is not None and served.volume is not None and head.epoch > served.volume.head.epoch:
            with suppress(DrystoneError):
                await served.volume.owner.look()  # it was taken over, and nobody here has noticed
        here = len(served.clients) if served is not None and served.volume is not None and not served.going else None
        return VolumeRow(
            name, head.size, policy, usage.bytes, head.epoch, here, head.window_us, head.holder, head.since_us
        )

    async def take_over(self, name: str) -> Holder:
        """Open a volume here, whoever has it open: who had it. It is closed again when nobody uses it here. Raises
        NotFoundError."""
        found = await self._holder_of(name)
        async with self.open_volume(name):
            return found

    async def cut_off(self, name: str) -> None:
        """Have nobody any more read or write a volume that had it open until now, on any node: a new epoch fences them.
        Raises NotFoundError."""
        volume = (await self._catalogue.find(name)).name
        for cut_off in list(self._standing.get(volume, ())):
            cut_off()
        served = self._served.get(volume)
        if served is not None:
            served.go()
            await served.gone.wait()
        await self.take_over(name)

    async def _holder_of(self, name: str) -> Holder:
        head = await self._catalogue.head(name)
        return Holder(head.holder, head.since_us)

    async def _check_holder(self, name: str, *, take_over: bool) -> None:
        """Raises ConflictError where another node has a volume open, for all that is known, and it is not to be taken
        over."""
        node, since_us = await self._holder_of(name)
        if take_over or node in ("", self._holder) or self._is_away(node):
            return
        raise ConflictError(
            f"volume {name} is open on node {node} since {show_time(since_us)}; take it over with --take-over, its "
            "clients there are cut off"
        )

    async def resize(self, name: str, size: int) -> None:
        """Have a volume larger, while it is served, too. Raises NotFoundError, InvalidError where it were smaller."""
        served = self._served.get((await self._catalogue.find(name)).name)
        if served is not None and served.volume is not None and not served.going:
            with suppress(OwnerReplacedError):
                await served.volume.head.change(lambda head: grown(head, size))
                return
        await self._catalogue.resize(name, size)

    async def rename(self, name: str, new: str) -> None:
        """Give a volume another name, while it is served, too. Raises NotFoundError, InvalidError, and ConflictError
        where there is one of the new name."""
        check_name(new)
        await self._catalogue.rename(name, new)
        served = self._served.get((await self._catalogue.find(new)).name)
        if served is not None:
            served.name = new

    async def snapshots(self, name: str) -> list[SnapshotRow]:
        """Of the snapshots of a volume, in the order of their names. Raises NotFoundError."""
        found = await self._catalogue.snapshots(name)
        return [SnapshotRow(key, each.size, each.created_us, len(each.clones)) for key, each in sorted(found.items())]

    async def snapshot(self, name: str, snapshot: str, time_us: int | None = None, *, take_over: bool = False) -> None:
        """Keep what a volume is now, or was at a time of its window. It is opened for that where it is not open here.
        Raises NotFoundError, InvalidError, and ConflictError where there is one of this name, or another node has the
        volume, unless it is to be taken over."""
        check_name(snapshot)
        await self._check_holder(name, take_over=take_over)
        async with self.open_volume(name) as volume:
            if time_us is None:
                await volume.snapshot(snapshot)
            else:
                await volume.snapshot_at(snapshot, time_us)

    async def rewind(self, name: str, time_us: int, *, take_over: bool = False) -> tuple[str, str]:
        """Have a volume be what it was at a time of its window: a clone of that takes its name. (The snapshot, what the
        volume is called from now on that it was until now.) Raises NotFoundError, InvalidError, and ConflictError where
        it is in use here, or another node has it, unless it is to be taken over."""
        served = self._served.get((await self._catalogue.find(name)).name)
        if served is not None and served.clients:
            raise ConflictError(f"volume {name} is in use: {len(served.clients)} connections here")
        stamp = f"{self._clock.wall_us() // 1_000_000}"
        snapshot, before, new = f"rewind-{stamp}", f"{name}-before-{stamp}", f"{name}-rewound-{stamp}"
        await self.snapshot(name, snapshot, time_us, take_over=take_over)
        await self._catalogue.clone(name, snapshot, new)
        await self.rename(name, before)
        await self.rename(new, name)
        return snapshot, before

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """Delete a snapshot. Raises NotFoundError."""
        await self._catalogue.delete_snapshot(name, snapshot)
        served = self._served.get((await self._catalogue.find(name)).name)
        if served is not None and served.volume is not None:
            served.volume.checkpointer.want()

    async def changed(
        self, name: str, since: str, snapshot: str, offset: int, length: int, limit: int
    ) -> list[Changed]:
        """See VolumeStore."""
        container = await self._catalogue.find(name)
        return await snapshot_changes(self._store, container, since, snapshot, offset, length, limit)

    async def clone(self, name: str, snapshot: str, new: str, size: int | None, window_us: int | None = None) -> None:
        """A volume that begins as a snapshot, with a window of its own or that of the volume. Raises NotFoundError,
        InvalidError where it were smaller, ConflictError where there is one of this name."""
        check_name(new)
        await self._catalogue.clone(name, snapshot, new, size, window_us)

    async def flatten(self, name: str, *, take_over: bool = False) -> None:
        """Have a clone need nothing any more of what it was made of. It is opened for that where it is not open here.
        Raises NotFoundError, and ConflictError where it has snapshots, or another node has it, unless it is to be
        taken over."""
        await self._check_holder(name, take_over=take_over)
        async with self.open_volume(name) as volume:
            await volume.flatten()

    async def flush(self, name: str) -> int:
        """Have durable all that a volume's writes were answered. The epoch that it is open under: where that is still
        the one that they were written under, nobody has had the volume since. Raises NotFoundError."""
        async with self.open_volume(name) as volume:
            await volume.flush()
            return volume.head.epoch

    async def delete(self, name: str, *, force: bool, take_over: bool = False, keep_us: int = 0) -> bytes:
        """Delete a volume and all that is in it; or move it to the trash, to be kept for so long. Its id. Raises
        NotFoundError; ConflictError where clients have it open here, unless by `force`, or another node has it, unless
        it is to be taken over: then they are cut off."""
        await self._check_holder(name, take_over=take_over)
        volume = (await self._catalogue.find(name)).name
        served = self._served.get(volume)
        if volume in self._deleting:
            raise ConflictError(f"volume {name} is being deleted already")
        if served is not None and served.clients and not force:
            raise ConflictError(f"volume {name} is in use: {len(served.clients)} connections here")
        self._deleting.add(volume)
        try:
            if served is not None:
                served.go()
                await served.gone.wait()
            if keep_us:
                await self._catalogue.move_to_trash(name, self._clock.wall_us(), keep_us)
            else:
                await self._catalogue.delete(name)
        finally:
            self._deleting.discard(volume)
        return bytes.fromhex(volume)

    async def trash(self) -> list[TrashRow]:
        """Of the volumes in the trash, those that were deleted last first."""
        rows: list[TrashRow] = []
        for volume, kept in (await self._catalogue.in_trash()).items():
            with suppress(NotFoundError):  # it was removed meanwhile
                table = await volume_table(self._store, volume)
                head = await load_head(table)
                usage = await self._store.container_usage(table.container)
                rows.append(TrashRow(volume.hex(), *kept, head.size, usage.bytes))
        return sorted(rows, key=lambda row: row.deleted_us, reverse=True)

    async def restore(self, volume: bytes, name: str = "") -> str:
        """Bring a volume back from the trash, under another name or its own: which. Raises as `Catalogue.restore`."""
        if name:
            check_name(name)
        return await self._catalogue.restore(volume, name)

    async def purge(self, volume: bytes) -> None:
        """Remove a volume that is in the trash for good. Raises NotFoundError."""
        await self._catalogue.purge(volume)

    # -- as long as the process serves ---------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Have volumes open until `stop`; then close them, out of reach of a cancellation, within STOP_SECONDS."""
        with self._cut:
            async with trio.open_nursery() as self._tasks:
                task_status.started()
                async with beside(self._reap):
                    await self._stopping.wait()
        if self._cut.cancelled_caught:
            log.warning("volumes were not closed in good order", volumes=sorted(self._served))
        self._stopped.set()

    async def _reap(self) -> None:
        """Remove what was made or deleted in part, and what was long enough in the trash, once in a while, for ever."""
        while True:
            await trio.sleep(REAP_SECONDS)
            try:
                reaped = await self._catalogue.reap(self._clock.wall_us() - REAP_AGE_US)
            except DrystoneError as error:
                log.info("volumes that have no name are not looked for now", why=str(error))
            else:
                if reaped:
                    log.info("volumes that have no name were removed", volumes=reaped)
            try:
                purged = await self._catalogue.purge_due(self._clock.wall_us())
            except DrystoneError as error:
                log.info("not all volumes in the trash whose time has come can be removed now", why=str(error))
            else:
                if purged:
                    log.info("volumes in the trash whose time had come were removed", volumes=purged)

    async def close(self) -> None:
        """Close all volumes, and open none any more."""
        self.stop()
        await self._stopped.wait()

    def stop(self) -> None:
        """Begin to."""
        self._cut.deadline = trio.current_time() + STOP_SECONDS
        self._stopping.set()
        for served in list(self._served.values()):
            served.go()


@asynccontextmanager
async def serving_volumes(
    store: DeviceStore,
    clock: Clock,
    random: Random,
    holder: str,
    is_away: Callable[[str], bool] = lambda _: False,
) -> AsyncIterator[Volumes]:
    """The volumes of a store, served by this node as long as this lasts; closed before it ends."""
    volumes = Volumes(store, clock, random, holder, is_away)
    async with trio.open_nursery() as nursery:
        await nursery.start(volumes.run)
        try:
            yield volumes
        finally:
            volumes.stop()
