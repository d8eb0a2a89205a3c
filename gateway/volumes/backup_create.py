"""Backups are asked for: of a volume or a snapshot, full or of what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.fields import Fields
from gateway.rest.reserving import not_started
from gateway.volumes import amounts
from gateway.volumes.backup_find import backup_standing
from gateway.volumes.backup_records import Backup
from gateway.volumes.backup_view import METADATA, summary
from gateway.volumes.call import Call, of
from gateway.volumes.reading import flag_in, id_of, id_or_none, metadata, text_or_none
from gateway.volumes.records import Doing, Snapshot, Volume, overtaken
from gateway.volumes.standing import ATTEMPTS, find_snapshot, find_volume, require, snapshot_standing, standing
from gateway.volumes.table import Found
from gateway.volumes.work import backups as work
from store.core.errors import ConflictError, InvalidError
from store.registry import Compare, Put

ZONE: Final = 51
CONTAINER: Final = "volumebackups"
"""Where clients name none: stock cinder's default."""


async def create_backup(call: Call) -> Response:
    """Of a volume; of one in use with `force`; or of a snapshot. `incremental`: of what changed since the last one."""
    project = await call.project()
    asked = (await call.body()).object("backup")
    known = {"volume_id", "container", "description", "incremental", "force", "name", "snapshot_id"}
    known |= {"metadata"} if call.since(METADATA) else set()
    asked.refuse_others(known | ({"availability_zone"} if call.since(ZONE) else set()))
    volume = (await find_volume(call, "volume:get", id_of("volume_id", asked.value("volume_id")))).record
    await call.allow("backup:create", of(project))
    snapshot_id, incremental, force = (
        id_or_none(asked, "snapshot_id"),
        flag_in(asked, "incremental"),
        flag_in(asked, "force"),
    )
    if snapshot_id is not None:
        snapshot = (await find_snapshot(call, "volume:get_snapshot", snapshot_id)).record
        if snapshot.volume_id != volume.id:
            raise InvalidError(f"Invalid volume: Volume {volume.id} does not match with snapshot {snapshot_id}.")
    id_, now = call.service.new_id(), call.service.clock.wall_us()
    stamp = datetime.fromtimestamp(now // 1_000_000, UTC).strftime("%Y%m%d%H%M%S")
    backup = Backup(
        id=id_,
        project_id=project,
        user_id=await call.user(),
        volume_id=volume.id,
        name=text_or_none(asked, "name"),
        description=text_or_none(asked, "description"),
        size=volume.size,
        container=_container(asked),
        prefix=f"volume_{volume.id}/{stamp}/az_{call.service.zone}_backup_{id_}",
        zone=_zone(call, asked),
        created_us=now,
        updated_us=now,
        data_us=now,
        metadata=metadata("metadata", asked.value("metadata")),
        snapshot_id=snapshot_id,
    )
    return answer({"backup": summary(call, await _start(call, backup, incremental=incremental, force=force))}, 202)


async def _start(call: Call, backup: Backup, *, incremental: bool, force: bool) -> Backup:
    """Have it begin. What it goes on from is written as it is: who deletes that at the same time notices."""
    service = call.service
    for _ in range(ATTEMPTS):
        source = await _source(call, backup, force=force)
        wanted = replace(backup, size=source.record.size)
        if isinstance(source.record, Snapshot):
            wanted = replace(wanted, data_us=source.record.created_us)
        parent = await _parent(call, wanted) if incremental else None
        task = service.tasks.new_id()
        reservation = await service.quotas.reserve(wanted.project_id, amounts.of_backup(wanted.size), task=task)
        made = replace(
            wanted,
            parent_id=None if parent is None else parent.record.id,
            doing=Doing("creating", task, reservation.id, counted=False),
        )
        operations, compares = _along(call, source, parent, task)
        said = {
            "backup": made.id,
            "volume": made.volume_id,
            "snapshot": made.snapshot_id or "",
            "account": made.account,
            "container": made.container,
            "prefix": made.prefix,
        }
        try:
            await service.runner.start(work.CREATE, said, [*service.backups.puts(made), *operations], compares, task)
        except Exception as error:
            await not_started(service.quotas, reservation, error)
            if not isinstance(error, ConflictError):
                raise
        else:
            return made
    raise ConflictError("Others keep changing the volume; try again.")


async def _source(call: Call, backup: Backup, *, force: bool) -> Found[Volume] | Found[Snapshot]:
    """The volume or the snapshot, in a state to be backed up."""
    service = call.service
    if backup.snapshot_id is not None:
        snapshot = await service.snapshots.find(backup.snapshot_id)
        now, status = await snapshot_standing(service, snapshot.record)
        if status != "available" or now != snapshot.record:
            raise InvalidError(f"Invalid snapshot: one that is backed up must be available, not {status}.")
        return snapshot
    volume = await service.volumes.find(backup.volume_id)
    status = (await standing(service, volume.record)).status
    require(status, ("available", "in-use"), "be backed up")
    if status == "in-use" and not force:
        raise InvalidError("Invalid volume: Backing up an in-use volume must use the force flag.")
    return volume


async def _parent(call: Call, backup: Backup) -> Found[Backup]:
    """The one with the newest data that are older than what is backed up. Raises InvalidError."""
    for one in reversed(await call.service.backups.of_volume(backup.volume_id, backup.project_id)):
        if one.data_us < backup.data_us and (await backup_standing(call.service, one))[1] == "available":
            return await call.service.backups.find(one.id, one.project_id)
    raise InvalidError("Invalid backup: No backups available to do an incremental backup.")


def _along(
    call: Call, source: Found[Volume] | Found[Snapshot], parent: Found[Backup] | None, task: str
) -> tuple[list[Put], list[Compare]]:
    service, record = call.service, source.record
    doing = overtaken(record.doing, "backing-up", task)
    if isinstance(record, Volume):
        puts = [service.volumes.put(replace(record, doing=doing))]
    else:
        puts = [service.snapshots.put(replace(record, doing=doing))]
    if parent is None:
        return puts, [source.same]
    return [*puts, service.backups.put(parent.record)], [source.same, parent.same]


def _container(asked: Fields) -> str:
    said = text_or_none(asked, "container")
    if said and "/" in said:
        raise InvalidError("Invalid input for field/attribute container: a container's name has no slash.")
    return said or CONTAINER


def _zone(call: Call, asked: Fields) -> str:
    said = text_or_none(asked, "availability_zone")
    if said and said != call.service.zone:
        raise InvalidError(f"Availability zone '{said}' is invalid.")
    return call.service.zone
