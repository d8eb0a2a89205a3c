"""Groups and their snapshots as they are now: found for whoever may see them, with their status and what is in them."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from gateway.volumes.call import Call
from gateway.volumes.group_records import RESERVED, Group, GroupSnapshot
from gateway.volumes.records import Snapshot, Volume
from gateway.volumes.service import VolumeService
from gateway.volumes.status import status_of
from gateway.volumes.table import Found
from store.core.errors import InvalidError, NotFoundError

VOLUMES_MAX: Final = 100
"""Volumes of a group that something is done with at one time: all are changed in one transaction."""
STATUSES: Final = ("error", "available", "creating", "deleting", "deleted", "updating", "error_deleting")
"""What an administrator may say that a group is, or a snapshot of one."""


async def find_group(call: Call, operation: str, id_: str | None = None) -> Found[Group]:
    """The group in the path, or of an id. Raises NotFoundError, also to those who may not see it, and ForbiddenError to
    those who may."""
    id_ = call.path("group_id") if id_ is None else id_
    found = await call.service.groups.find(id_, await _mine(call))
    missing = NotFoundError(f"Group {id_} could not be found.")
    await call.allow_found(operation, found.record.project_id, missing)
    return found


async def find_group_snapshot(call: Call, operation: str, id_: str | None = None) -> Found[GroupSnapshot]:
    """The same of a snapshot of one."""
    id_ = call.path("group_snapshot_id") if id_ is None else id_
    found = await call.service.group_snapshots.find(id_, await _mine(call))
    missing = NotFoundError(f"Group_snapshot {id_} could not be found.")
    await call.allow_found(operation, found.record.project_id, missing)
    return found


async def group_standing(service: VolumeService, group: Group) -> tuple[Group, str]:
    """With the status. A group whose task has ended since it was read is read again."""
    lost = await service.is_lost(group.doing)
    if lost:
        with suppress(NotFoundError):
            now = (await service.groups.find(group.id, group.project_id)).record
            lost, group = now.doing == group.doing, now
    return group, status_of(group, lost=lost)


async def group_snapshot_standing(service: VolumeService, snapshot: GroupSnapshot) -> tuple[GroupSnapshot, str]:
    """The same of a snapshot of one."""
    lost = await service.is_lost(snapshot.doing)
    if lost:
        with suppress(NotFoundError):
            now = (await service.group_snapshots.find(snapshot.id, snapshot.project_id)).record
            lost, snapshot = now.doing == snapshot.doing, now
    return snapshot, status_of(snapshot, lost=lost)


async def volumes_of(service: VolumeService, group: Group) -> list[Volume]:
    """Those that are in it. Raises InvalidError where they are more than can be changed at once."""
    found = [one for one in await service.volumes.of_project(group.project_id) if one.group_id == group.id]
    if len(found) > VOLUMES_MAX:
        raise InvalidError(f"Invalid group: it has more than {VOLUMES_MAX} volumes.")
    return sorted(found, key=lambda one: (one.created_us, one.id))


async def snapshots_of(service: VolumeService, snapshot: GroupSnapshot) -> list[Snapshot]:
    """Those that it consists of."""
    found = await service.snapshots.of_project(snapshot.project_id)
    return sorted((one for one in found if one.group_snapshot_id == snapshot.id), key=lambda one: one.id)


async def is_reserved(service: VolumeService, type_id: str) -> bool:
    """Whether a group type is the one that nothing is made of here."""
    with suppress(NotFoundError):
        return (await service.group_types.find(type_id)).record.name == RESERVED
    return False


async def _mine(call: Call) -> str:
    return str((await call.credentials()).get("project_id") or "")
