"""Backups are restored, handed from cloud to cloud, and set right by administrators."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.reserving import reserving
from gateway.rest.times import read_us
from gateway.volumes import amounts
from gateway.volumes.actions import Action, acting
from gateway.volumes.backup_find import backup_standing, find_backup, require_backup
from gateway.volumes.backup_records import Backup
from gateway.volumes.backup_view import DRIVER, exported, summary
from gateway.volumes.backups import begin_delete
from gateway.volumes.call import Call, of
from gateway.volumes.reading import SIZE_MAX, id_of, id_or_none, metadata, text, text_or_none, whole
from gateway.volumes.records import Doing, Volume
from gateway.volumes.resetting import reset
from gateway.volumes.standing import begin, find_volume, require
from gateway.volumes.volume_create import start_restored
from gateway.volumes.work import restoring
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Put

ADMIN: Final = "volume_extension:backup_admin_actions:"
STATUSES: Final = ("available", "error")
RECORD_MAX: Final = 64 * 1024
"""Characters of a record that is imported."""
REQUIRED: Final = ("display_name", "display_description", "container", "size", "service_metadata", "object_count", "id")
PREFIX: Final = re.compile(r"volume_[0-9A-Za-z_-]{1,64}/[0-9]{14}/az_[^/]{1,255}_backup_[0-9A-Za-z-]{1,64}")
NO_VOLUME: Final = "00000000-0000-0000-0000-000000000000"
"""What a backup is of whose record does not say."""


async def restore(call: Call) -> Response:
    """To a volume that is made for it, or to one that is there and is not used."""
    backup = (await find_backup(call, "backup:restore")).record
    body = await call.body()
    asked = Fields({}, "restore") if body.value("restore") is None and "restore" in body else body.object("restore")
    asked.refuse_others({"name", "volume_id"})
    volume_id, name = id_or_none(asked, "volume_id"), text_or_none(asked, "name")
    require_backup((await backup_standing(call.service, backup))[1], ("available",))
    if volume_id is None:
        volume = await start_restored(call, await _new_volume(call, backup, name), backup, "restoring-backup")
    else:
        volume = await _begin(call, backup, volume_id)
    return answer({"restore": {"backup_id": backup.id, "volume_id": volume.id, "volume_name": volume.name}}, 202)


async def _new_volume(call: Call, backup: Backup, name: str | None) -> Volume:
    project = await call.project()
    await call.allow("volume:create", of(project))
    type_ = await call.service.types.of_project(project)
    now = call.service.clock.wall_us()
    return Volume(
        id=call.service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=f"{restoring.NAMED}{backup.id}" if name is None else name,
        description="auto-created_from_restore_from_backup",
        size=backup.size,
        type_id=type_.id,
        zone=call.service.zone,
        created_us=now,
        updated_us=now,
        multiattach=type_.multiattach,
    )


async def _begin(call: Call, backup: Backup, volume_id: str) -> Volume:
    service = call.service
    volume = (await find_volume(call, "volume:get", volume_id)).record
    found = await service.backups.find(backup.id)
    require_backup((await backup_standing(service, found.record))[1], ("available",))

    def check(now: Volume, status: str) -> None:
        require(status, ("available",), "be restored to")
        if backup.size > now.size:
            raise InvalidError(
                f"Invalid volume: volume size {now.size} is too small to restore backup of size {backup.size}."
            )

    def along(doing: Doing) -> tuple[Sequence[Put], Sequence[Compare]]:
        after = replace(found.record, doing=Doing("restoring", doing.task), error="", restored_to=volume.id)
        return [service.backups.put(after)], [found.same]

    said = {"backup": backup.id}
    return await begin(service, volume.id, check, "restoring-backup", restoring.RESTORE, said, along=along)


async def export_record(call: Call) -> Response:
    """All that another cloud has to know to restore it from the same objects."""
    found = await find_backup(call, "backup:export-import")
    now, status = await backup_standing(call.service, found.record)
    require_backup(status, ("available",))
    return answer({"backup-record": exported(now, status)})


async def import_record(call: Call) -> Response:
    """A backup whose objects are in the account of the caller's project."""
    project = await call.project()
    await call.allow("backup:backup-import", of(project))
    asked = (await call.body()).object("backup-record")
    asked.refuse_others({"backup_service", "backup_url"})
    if asked.text("backup_service") != DRIVER:
        raise InvalidError(f"Invalid backup: only those of the service {DRIVER} are imported.")
    backup = _read(call, asked.text("backup_url"), project, await call.user())
    service = call.service
    await _refuse_known(call, backup.id)
    puts = service.backups.puts(backup)
    try:
        async with reserving(service.quotas, project, amounts.of_backup(backup.size)) as reservation:
            await service.quotas.commit(reservation, puts, [Compare.absent(put.key) for put in puts])
    except ConflictError:
        await _refuse_known(call, backup.id)
        raise
    return answer({"backup": summary(call, backup)}, 201)


async def _refuse_known(call: Call, id_: str) -> None:
    """Raises InvalidError where there is such a backup."""
    with suppress(NotFoundError):
        await call.service.backups.find(id_)
        raise InvalidError("Invalid backup: Backup already exists in database.")


def _read(call: Call, url: str, project: str, user: str) -> Backup:
    """The record of a backup that was exported here or from a stock cinder. Raises InvalidError."""
    try:
        if len(url) > RECORD_MAX:
            raise ValueError
        record: Any = json.loads(base64.b64decode(url, validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidError("Invalid input received: Can't parse backup record.") from error
    if not isinstance(record, dict):
        raise InvalidError("Invalid input received: Can't parse backup record.")
    missing = [name for name in REQUIRED if name not in record]
    if missing:
        raise InvalidError(f"Invalid backup: the record has no {', '.join(missing)}.")
    said = Fields(record, "backup_url")
    prefix, container = text(said, "service_metadata", 512), text(said, "container")
    if not PREFIX.fullmatch(prefix) or "/" in container:
        raise InvalidError("Invalid backup: service_metadata and container are not those of objects of a backup.")
    now = call.service.clock.wall_us()
    return Backup(
        id=id_of("id", said.value("id")),
        project_id=project,
        user_id=user,
        volume_id=id_or_none(said, "volume_id") or NO_VOLUME,
        name=text_or_none(said, "display_name"),
        description=text_or_none(said, "display_description"),
        size=whole("size", said.value("size"), 1, SIZE_MAX),
        container=container,
        prefix=prefix,
        zone=call.service.zone,
        created_us=now,
        updated_us=now,
        data_us=read_us("data_timestamp", text(said, "data_timestamp")) if said.value("data_timestamp") else now,
        metadata=metadata("metadata", said.value("metadata")),
        snapshot_id=id_or_none(said, "snapshot_id"),
        parent_id=id_or_none(said, "parent_id"),
        object_count=whole("object_count", said.value("object_count") or 0, 0),
    )


async def reset_status(call: Call, asked: Fields) -> Response:
    """An administrator's word: `available` takes back what was declared and an error."""
    found = await find_backup(call, f"{ADMIN}reset_status")
    asked.refuse_others({"status"})
    status = asked.text("status").lower()
    if status not in STATUSES:
        raise InvalidError(f"Backup status: {status[:64]} is invalid, valid statuses are: {', '.join(STATUSES)}.")
    now, _ = await backup_standing(call.service, found.record)
    await reset(call.service, call.service.backups, now, status)
    return accepted()


async def force_delete(call: Call, _: Fields) -> Response:
    found = await find_backup(call, f"{ADMIN}force_delete")
    await begin_delete(call, found.record.id, None)
    return accepted()


ROUTES: Final[Routes[Call]] = {
    "/backups/import_record": {"POST": import_record},
    "/backups/{backup_id}/restore": {"POST": restore},
    "/backups/{backup_id}/export_record": {"GET": export_record},
    "/backups/{backup_id}/action": {
        "POST": acting({"os-reset_status": Action(reset_status), "os-force_delete": Action(force_delete)})
    },
}
