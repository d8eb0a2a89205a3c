"""`Worker`: what the kinds of tasks share."""

from __future__ import annotations

from contextlib import suppress

from gateway.rest.images import Images
from gateway.rest.quotas import Quotas
from gateway.rest.tasks import Tasks
from gateway.volumes.backup_records import Backup, BackupTable
from gateway.volumes.exports import Exports
from gateway.volumes.group_records import Group, GroupSnapshot
from gateway.volumes.message_records import MessageTable
from gateway.volumes.places import PROTOCOL, VENDOR, Places
from gateway.volumes.records import GIB, Snapshot, Volume, volume_name
from gateway.volumes.server_check import Servers
from gateway.volumes.table import Table
from gateway.volumes.tables import SnapshotTable, VolumeTable
from gateway.volumes.transfer_records import TransferTable
from gateway.volumes.types_store import Types
from gateway.volumes.work.copying import copy
from gateway.volumes.work.progress import Progress
from store.blocks.interface import VolumeStore
from store.core.clock import Clock
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.objects.interface import ObjectStore
from store.registry import Registry


class Worker:
    """What tasks need, and the steps of the store that may be done twice."""

    def __init__(
        self,
        registry: Registry,
        volumes: VolumeTable,
        snapshots: SnapshotTable,
        types: Types,
        quotas: Quotas,
        store: VolumeStore,
        exports: Exports,
        images: Images,
        clock: Clock,
        messages: MessageTable,
        places: Places,
        transfers: TransferTable,
        tasks: Tasks,
        backups: BackupTable,
        objects: ObjectStore,
        groups: Table[Group],
        group_snapshots: Table[GroupSnapshot],
        servers: Servers,
    ) -> None:
        self.tasks = tasks
        self.servers = servers
        self.volumes = volumes
        self.snapshots = snapshots
        self.types = types
        self.store = store
        self.exports = exports
        self.images = images
        self.places = places
        self.transfers = transfers
        self.volume_progress: Progress[Volume] = Progress(registry, volumes, quotas, clock, messages, "VOLUME")
        self.snapshot_progress: Progress[Snapshot] = Progress(
            registry, snapshots, quotas, clock, messages, "VOLUME_SNAPSHOT"
        )
        self.backups = backups
        self.objects = objects
        self.group_progress: Progress[Group] = Progress(registry, groups, quotas, clock, messages, "VOLUME_GROUP")
        self.group_snapshot_progress: Progress[GroupSnapshot] = Progress(
            registry, group_snapshots, quotas, clock, messages, "VOLUME_GROUP_SNAPSHOT"
        )
        self.backup_progress: Progress[Backup] = Progress(registry, backups, quotas, clock, messages, "VOLUME_BACKUP")

    async def exists(self, name: str) -> bool:
        try:
            await self.store.row(name)
        except NotFoundError:
            return False
        return True

    async def delete(self, name: str) -> None:
        """A volume of the store, whoever has it open, if it is there."""
        with suppress(NotFoundError):
            await self.store.delete(name, force=True, take_over=True)

    async def delete_if_forgotten(self, id_: str) -> None:
        """The store's volume, where the API's was deleted while something was made of it."""
        try:
            await self.volumes.find(id_)
        except NotFoundError:
            await self.delete(volume_name(id_))

    async def snapshot(self, volume_id: str, snapshot: str, time_us: int | None = None) -> None:
        """Have one of a volume. One that nobody is attached to is taken over from a node that had it open a moment ago;
        who is attached is not cut off. Raises ConflictError where another node serves it, and as the store does."""
        volume, name = (await self.volumes.find(volume_id)).record, volume_name(volume_id)
        if snapshot not in {row.name for row in await self.store.snapshots(name)}:
            await self.store.snapshot(name, snapshot, time_us, take_over=not volume.attachments)

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """If it is there."""
        with suppress(NotFoundError):
            await self.store.delete_snapshot(name, snapshot)

    async def require_place(self, volume: Volume) -> None:
        """Raises InvalidError where nothing that is here can have volumes of the type: where what the type says of a
        back end is of none here, or the back end takes no new ones."""
        type_ = (await self.types.find(volume.type_id)).record
        policy = self.types.policy_of(type_)
        offered = {"vendor_name": VENDOR, "storage_protocol": PROTOCOL, "volume_backend_name": policy}
        wrong = any(type_.extra_specs.get(name, value) != value for name, value in offered.items())
        if wrong or not await self.places.takes_volumes(policy):
            raise InvalidError("No storage could be found for the volume's type.")

    async def create(self, volume: Volume, name: str) -> None:
        """An empty volume of a volume's type and size, under a name. Raises InvalidError."""
        type_ = (await self.types.find(volume.type_id)).record
        with suppress(ConflictError):  # made before a death
            await self.store.create(name, volume.size * GIB, self.types.policy_of(type_), type_.window_us)

    async def fill(self, volume: Volume, name: str, parent: str, snapshot: str) -> None:
        """The same, which begins as a snapshot of `parent`: a clone where the storage policy is the same, a copy where
        it is another."""
        type_ = (await self.types.find(volume.type_id)).record
        if self.types.policy_of(type_) == (await self.store.row(parent)).policy:
            with suppress(ConflictError):
                await self.store.clone(parent, snapshot, name, volume.size * GIB, type_.window_us)
            return
        await self.create(volume, name)
        async with self.store.open(f"{parent}@{snapshot}") as source, self.store.open(name) as target:
            await copy(source, target)

    async def swap(self, name: str, new: str, former: str) -> None:
        """Have `new` be called `name`, and what was called that `former`. A death in a rename may leave a volume under
        both names; so this goes by whether `new` is still there."""
        if await self.exists(new):
            with suppress(NotFoundError, ConflictError):  # done before a death
                await self.store.rename(name, former)
            await self.store.rename(new, name)
