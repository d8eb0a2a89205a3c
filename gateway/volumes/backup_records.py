"""Backups as the registry keeps them, and how they are found.

volumes/backup/<project>/<id>                   a backup
volumes/backup-of/<id>                          the project of a backup
volumes/backups-of/<volume>/<id>                the project of a backup, by its volume
volumes/backups-on/<project>/<parent>/<id>      an incremental backup, by the one that it goes on from
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from gateway.volumes.records import Doing, Metadata, pack_doing, read_doing
from gateway.volumes.table import Table
from store.core.codec import Codec
from store.core.errors import NotFoundError
from store.registry import Delete, Put, Registry, Span


@dataclass(frozen=True, slots=True)
class Backup:
    """What is known of the objects that a volume, or a snapshot of it, was written to. Sizes and times as of volumes.

    All that is written for it is in `container` of the project's account, under names that begin with `prefix`.
    """

    id: str
    project_id: str
    user_id: str
    volume_id: str
    name: str | None
    description: str | None
    size: int
    container: str
    prefix: str
    zone: str
    created_us: int
    updated_us: int
    data_us: int
    """When the volume was what is in it."""
    metadata: Metadata = field(default_factory=dict)
    snapshot_id: str | None = None
    """Of the API's snapshot that it was made of, if it was made of one."""
    parent_id: str | None = None
    """The backup that this one has the changes since."""
    object_count: int = 0
    fail_reason: str | None = None
    restored_to: str | None = None
    """The volume that it was last restored to."""
    held_volume: str = ""
    held_snapshot: str = ""
    """The store's snapshot, and its volume, that has what this backup has; "" where that is not there any more."""
    doing: Doing | None = None
    error: str = ""
    declared: str = ""

    @property
    def account(self) -> str:
        """In the object store."""
        return f"AUTH_{self.project_id}"

    @property
    def holds_own(self) -> bool:
        """Whether the store's snapshot is there for this backup alone."""
        return self.held_snapshot == held_name(self.id)


def held_name(id_: str) -> str:
    """Of the store's snapshot that is made for a backup."""
    return f"backup-{id_}"


class BackupTable(Table[Backup]):
    """Backups, those of a volume, and those that go on from another."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "backup", BACKUP_CODEC)

    def puts(self, record: Backup) -> list[Put]:
        more = [Put(_of_volume(record.volume_id, record.id), record.project_id.encode())]
        if record.parent_id:
            more.append(Put(_on_parent(record.project_id, record.parent_id, record.id), b""))
        return [*super().puts(record), *more]

    def deletes(self, record: Backup) -> list[Delete]:
        more = [Delete(_of_volume(record.volume_id, record.id))]
        if record.parent_id:
            more.append(Delete(_on_parent(record.project_id, record.parent_id, record.id)))
        return [*super().deletes(record), *more]

    async def of_volume(self, volume_id: str, project: str) -> list[Backup]:
        """Those that a project has of a volume, the oldest data first."""
        found: list[Backup] = []
        for item in await self._registry.range(Span.prefix(_of_volume(volume_id, ""))):
            if item.value.decode() != project:
                continue
            try:
                found.append((await self.find(item.key.rpartition(b"/")[2].decode(), project)).record)
            except NotFoundError:
                continue  # it was deleted meanwhile
        return sorted(found, key=lambda one: (one.data_us, one.created_us, one.id))

    async def parents(self, project: str) -> set[str]:
        """The ids of a project's backups that others go on from."""
        items = await self._registry.range(Span.prefix(_on_parent(project, "", "").rstrip(b"/") + b"/"))
        return {item.key.split(b"/")[-2].decode() for item in items}

    async def has_dependents(self, backup: Backup) -> bool:
        return bool(await self._registry.range(Span.prefix(_on_parent(backup.project_id, backup.id, ""))))


def _of_volume(volume_id: str, id_: str) -> bytes:
    return f"volumes/backups-of/{quote(volume_id, safe='')}/{id_}".encode()


def _on_parent(project: str, parent: str, id_: str) -> bytes:
    return f"volumes/backups-on/{quote(project, safe='')}/{quote(parent, safe='')}/{id_}".encode()


def _fields(one: Backup) -> list[Any]:
    return [
        one.id, one.project_id, one.user_id, one.volume_id, one.name, one.description, one.size, one.container,
        one.prefix, one.zone, one.created_us, one.updated_us, one.data_us, json.dumps(one.metadata), one.snapshot_id,
        one.parent_id, one.object_count, one.fail_reason, one.restored_to, one.held_volume, one.held_snapshot,
        pack_doing(one.doing), one.error, one.declared,
    ]  # fmt: skip


def _read(f: Sequence[Any]) -> Backup:
    fields = [*f[:13], json.loads(f[13]), *f[14:21], read_doing(f[21]), *f[22:]]
    return Backup(*fields)


BACKUP_CODEC: Final = Codec("backup of the API", 1, _fields, {1: _read})
