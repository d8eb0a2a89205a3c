"""Backups as they are now: found for whoever may see them, and with their status."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from gateway.volumes.backup_records import Backup
from gateway.volumes.call import Call
from gateway.volumes.service import VolumeService
from gateway.volumes.status import status_of
from gateway.volumes.table import Found
from store.core.errors import InvalidError, NotFoundError


async def find_backup(call: Call, operation: str, id_: str | None = None) -> Found[Backup]:
    """The backup in the path, or of an id. Raises NotFoundError, also to those who may not see it, and ForbiddenError
    to those who may."""
    id_ = call.path("backup_id") if id_ is None else id_
    mine = str((await call.credentials()).get("project_id") or "")
    found = await call.service.backups.find(id_, mine)
    await call.allow_found(operation, found.record.project_id, NotFoundError(f"Backup {id_} could not be found."))
    return found


async def backup_standing(service: VolumeService, backup: Backup) -> tuple[Backup, str]:
    """With the status. A backup whose task has ended since it was read is read again."""
    lost = await service.is_lost(backup.doing)
    if lost:
        with suppress(NotFoundError):
            now = (await service.backups.find(backup.id, backup.project_id)).record
            lost, backup = now.doing == backup.doing, now
    return backup, status_of(backup, lost=lost)


def require_backup(status: str, expected: Sequence[str]) -> None:
    """Raises InvalidError unless the status is one of those."""
    if status not in expected:
        raise InvalidError(f"Invalid backup: Backup status must be {' or '.join(expected)}, not {status}.")
