"""`VolumeService`: the volume API as one thing, made once a process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
import trio

from authn.service import IdentityService
from gateway.rest.images import Images
from gateway.rest.policy import Policy
from gateway.rest.quotas import Quotas
from gateway.rest.reserving import keep_swept
from gateway.rest.task_runner import TaskRunner
from gateway.rest.tasks import Tasks
from gateway.volumes import amounts
from gateway.volumes.backup_records import BackupTable
from gateway.volumes.exports import Exports
from gateway.volumes.group_records import (
    GROUP_CODEC,
    GROUP_SNAPSHOT_CODEC,
    Group,
    GroupSnapshot,
    GroupTypes,
)
from gateway.volumes.message_records import MessageTable
from gateway.volumes.places import Places
from gateway.volumes.policy import volume_policy
from gateway.volumes.qos_records import QosTable
from gateway.volumes.records import Doing
from gateway.volumes.server_check import NoServers, Servers
from gateway.volumes.table import Table
from gateway.volumes.tables import SnapshotTable, VolumeTable
from gateway.volumes.transfer_records import TransferTable
from gateway.volumes.types_store import StoragePolicy, Types
from gateway.volumes.work import kinds
from gateway.volumes.work.worker import Worker
from store.blocks.interface import VolumeStore
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import RetryableError
from store.objects.interface import ObjectStore
from store.registry import Registry

FORGET_S: Final = 3600
NAME: Final = "volume"
"""In the keys of quotas and tasks."""


_log = structlog.get_logger(__name__)


class VolumeService:
    """Start `run` and wait until it has started; then everything here works."""

    def __init__(
        self,
        registry: Registry,
        identity: IdentityService,
        store: VolumeStore,
        exports: Exports,
        images: Images,
        policies: Sequence[StoragePolicy],
        clock: Clock,
        random: Random,
        *,
        objects: ObjectStore,
        policy: Policy | None = None,
        host: str = "drystone",
        zone: str = "nova",
        servers: Servers | None = None,
    ) -> None:
        """`objects`: where backups are written to. `policies`: those storage policies that volumes can be under.
        `host`: the name of what serves volumes, to administrators. `servers`: the compute service, where there is
        one."""
        self.registry = registry
        self.identity = identity
        self.store = store
        self.exports = exports
        self.servers: Servers = servers or NoServers()
        self.images = images
        self.clock = clock
        self.random = random
        self.policy = policy or volume_policy()
        self.zone = zone
        self.volumes = VolumeTable(registry)
        self.snapshots = SnapshotTable(registry)
        self.backups = BackupTable(registry)
        self.group_types = GroupTypes(registry, clock)
        self.groups: Table[Group] = Table(registry, "group", GROUP_CODEC)
        self.group_snapshots: Table[GroupSnapshot] = Table(registry, "group_snapshot", GROUP_SNAPSHOT_CODEC)
        self.types = Types(registry, policies, clock)
        self.quotas = Quotas(registry, NAME, amounts.DEFAULTS, clock, random, also=amounts.is_by_type)
        self.tasks = Tasks(registry, NAME, clock, random)
        self.messages = MessageTable(registry)
        self.qos = QosTable(registry)
        self.transfers = TransferTable(registry)
        self.places = Places(registry, host, self.types.policies)
        worker = Worker(
            registry, self.volumes, self.snapshots, self.types, self.quotas, store, exports, images, clock,
            self.messages, self.places, self.transfers, self.tasks, self.backups, objects, self.groups,
            self.group_snapshots, self.servers,
        )  # fmt: skip
        self.runner = TaskRunner(self.tasks, kinds(worker))

    def new_id(self) -> str:
        """Of anything, as stock cinder's."""
        return str(UUID(bytes=self.random.bytes(16), version=4))

    async def is_lost(self, doing: Doing | None) -> bool:
        """Whether nobody does any more what a record says is being done."""
        return doing is not None and not await self.tasks.goes_on(doing.task)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled: tasks, and the sweep of what the dead reserved."""
        await self.types.seed()
        await self.group_types.seed()
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.runner.run(task_status=task_status))
            await nursery.start(
                lambda task_status: keep_swept(self.quotas, self.tasks.goes_on, task_status=task_status)
            )
            nursery.start_soon(self._keep_forgetting)
            task_status.started()

    async def _keep_forgetting(self) -> None:
        """Messages whose time has come."""
        while True:
            try:
                await self.messages.forget_expired(self.clock.wall_us())
            except RetryableError as error:
                _log.warning("messages cannot be looked through now", error=str(error))
            await trio.sleep(FORGET_S)
