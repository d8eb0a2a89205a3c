"""Volumes are asked for: of what, how large, of which type."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.fields import Fields
from gateway.rest.quota_records import NO_LIMIT, OverQuotaError
from gateway.rest.reserving import not_started
from gateway.volumes import amounts
from gateway.volumes.call import Call, of
from gateway.volumes.image_find import find_image
from gateway.volumes.reading import DB_INT_MAX, SIZE_MAX, flag_in, id_or_none, metadata, named, text_or_none, whole
from gateway.volumes.records import Doing, Volume
from gateway.volumes.standing import find_snapshot, find_volume, snapshot_standing, standing
from gateway.volumes.type_records import VolumeType, type_use_key
from gateway.volumes.volumes import changed
from gateway.volumes.work import creating
from store.core.errors import InvalidError, NotFoundError
from store.registry import Compare, Put

KNOWN: Final = frozenset(
    {"name", "description", "display_name", "display_description", "volume_type", "metadata", "snapshot_id"}
    | {"source_volid", "consistencygroup_id", "size", "availability_zone", "multiattach", "image_id", "imageRef"}
    | {"group_id", "backup_id", "scheduler_hints", "OS-SCH-HNT:scheduler_hints"}
)
GROUPS: Final = 13
BACKUPS: Final = 47
STRICT: Final = 53
HINTS: Final = "OS-SCH-HNT:scheduler_hints"


@dataclass(frozen=True, slots=True)
class Source:
    """What a volume is made of: what the task is told, and what the volume has of it."""

    arguments: dict[str, Any] = field(default_factory=dict)
    least: int = 0
    """GiB."""
    size: int | None = None
    """GiB, where none are asked for."""
    type_id: str = ""
    zone: str = ""
    bootable: bool = False
    image: dict[str, str] = field(default_factory=dict)
    snapshot_id: str | None = None
    source_id: str | None = None
    image_id: str | None = None


async def create_volume(call: Call) -> Response:
    """It is there at once, and made by a task."""
    project = await call.project()
    body = await call.body()
    body.refuse_others({"volume", HINTS})
    asked = body.object("volume")
    if call.since(STRICT):
        asked.refuse_others(KNOWN)
    await call.allow("volume:create_from_image" if _image_ref(asked) else "volume:create", of(project))
    volume, arguments = await _wanted(call, asked, project)
    return await changed(call, await start_volume(call, volume, arguments), 202)


async def start_volume(call: Call, volume: Volume, arguments: dict[str, Any], kind: str = creating.CREATE) -> Volume:
    """Reserve what it takes, and have the task begin. Raises OverQuotaError."""
    service = call.service
    await check_size(call, volume.project_id, volume.size)
    task = service.tasks.new_id()
    counted = amounts.of_volume(volume.size, volume.type_id)
    reservation = await service.quotas.reserve(volume.project_id, counted, task=task)
    made = replace(volume, doing=Doing("creating", task, reservation.id, counted=False))
    operations = [*service.volumes.puts(made), Put(type_use_key(made.type_id), b"")]
    there = Compare.exists(service.types.table.key("-", made.type_id))
    try:
        await service.runner.start(kind, {"volume": made.id, **arguments}, operations, [there], task)
    except Exception as error:
        await not_started(service.quotas, reservation, error)
        raise
    return made


async def _wanted(call: Call, asked: Fields, project: str) -> tuple[Volume, dict[str, Any]]:
    service = call.service
    name, description = named(asked)
    kept = metadata("metadata", asked.value("metadata"))
    if flag_in(asked, "multiattach"):
        raise InvalidError("The multiattach parameter is no more: use a volume type that has it.")
    size = None if asked.value("size") is None else whole("size", asked.value("size"), 1, DB_INT_MAX)
    type_ = await find_type(call, asked)
    source = await _source(call, asked)
    type_ = type_ or await _type_of(call, source, project)
    if type_.encryption:
        raise InvalidError(f"Invalid volume type {type_.name}: encrypted volumes are not served here.")
    size = source.size if size is None else size
    if size is None:
        raise InvalidError("Invalid input received: size is needed, a whole number of GiB.")
    if size > SIZE_MAX:
        raise InvalidError(f"Invalid input received: a volume has at most {SIZE_MAX} GiB.")
    if size < source.least:
        raise InvalidError(
            f"Invalid input received: size {size}GB is smaller than what it is made of: {source.least}GB."
        )
    now = service.clock.wall_us()
    volume = Volume(
        id=service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=name,
        description=description,
        size=size,
        type_id=type_.id,
        zone=_zone(call, asked, source),
        created_us=now,
        updated_us=now,
        metadata=kept,
        image=source.image,
        bootable=source.bootable,
        multiattach=type_.multiattach,
        snapshot_id=source.snapshot_id,
        source_id=source.source_id,
        image_id=source.image_id,
    )
    return volume, source.arguments


async def find_type(call: Call, asked: Fields) -> VolumeType | None:
    """That the body names. Raises NotFoundError, also where the caller may not use it."""
    said = text_or_none(asked, "volume_type")
    if not said:
        return None
    type_ = await call.service.types.named(said)
    if not type_.open_to(await call.project()) and not await call.is_admin():
        raise NotFoundError(f"Volume type {said} could not be found.")
    return type_


async def _type_of(call: Call, source: Source, project: str) -> VolumeType:
    types = call.service.types
    if source.type_id:
        with suppress(NotFoundError):
            return (await types.find(source.type_id)).record
    return await types.of_project(project)


async def _source(call: Call, asked: Fields) -> Source:
    """What the body names, of which there may be one. Backups and groups are looked for here."""
    snapshot, source, image = id_or_none(asked, "snapshot_id"), id_or_none(asked, "source_volid"), _image_ref(asked)
    backup = id_or_none(asked, "backup_id") if call.since(BACKUPS) else None
    if sum(one is not None for one in (snapshot, source, image, backup)) > 1:
        raise InvalidError("Invalid input received: only one of snapshot, source volume, backup and image is taken.")
    for name in ("consistencygroup_id", *(("group_id",) if call.since(GROUPS) else ())):
        if asked.value(name):
            raise NotFoundError(f"Group {text_or_none(asked, name)} could not be found.")
    if backup is not None:
        raise NotFoundError(f"Backup {backup} could not be found.")
    if snapshot is not None:
        return await _of_snapshot(call, snapshot)
    if source is not None:
        return await _of_volume(call, source)
    return await _of_image(call, image) if image is not None else Source()


async def _of_snapshot(call: Call, id_: str) -> Source:
    found = (await find_snapshot(call, "volume:get_snapshot", id_)).record
    snapshot, status = await snapshot_standing(call.service, found)
    if status != "available":
        raise InvalidError(f"Invalid snapshot: a volume is made of one that is available, not {status}.")
    parent = (await call.service.volumes.find(snapshot.volume_id)).record
    return Source(
        {"snapshot": id_}, snapshot.size, snapshot.size, snapshot.type_id, parent.zone, parent.bootable,
        parent.image, id_,
    )  # fmt: skip


async def _of_volume(call: Call, id_: str) -> Source:
    found = (await find_volume(call, "volume:get", id_)).record
    now = await standing(call.service, found)
    if now.status not in ("available", "in-use"):
        raise InvalidError(f"Invalid volume: one is made of one that is available or in-use, not {now.status}.")
    volume = now.volume
    return Source(
        {"source": id_}, volume.size, volume.size, volume.type_id, volume.zone, volume.bootable, volume.image,
        source_id=id_,
    )  # fmt: skip


async def _of_image(call: Call, said: str) -> Source:
    facts = await find_image(call, said)
    least = max(facts.min_disk, -(-max(facts.size, facts.virtual_size) // 2**30))
    return Source({"image": facts.id}, least, bootable=True, image_id=facts.id)


def _image_ref(asked: Fields) -> str | None:
    """An id or a name; older clients send a URL that ends with the id."""
    said = text_or_none(asked, "imageRef") or text_or_none(asked, "image_id")
    return said or None


def _zone(call: Call, asked: Fields, source: Source) -> str:
    said = text_or_none(asked, "availability_zone")
    if said and said != call.service.zone:
        raise InvalidError(f"Availability zone '{said}' is invalid.")
    return said or source.zone or call.service.zone


async def check_size(call: Call, project: str, size: int) -> None:
    """Raises OverQuotaError where a volume is larger than one may be."""
    limit = (await call.service.quotas.show(project))["per_volume_gigabytes"].limit
    if limit != NO_LIMIT and size > limit:
        raise OverQuotaError("per_volume_gigabytes", limit, 0, 0, size)
