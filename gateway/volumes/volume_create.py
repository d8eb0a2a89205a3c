"""Volumes are asked for: of what, how large, of which type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.fields import Fields
from gateway.rest.images import ImageFacts
from gateway.rest.quota_records import NO_LIMIT, OverQuotaError
from gateway.rest.reserving import not_started
from gateway.volumes import amounts
from gateway.volumes.backup_find import backup_standing, find_backup, require_backup
from gateway.volumes.backup_records import Backup
from gateway.volumes.call import Call, of
from gateway.volumes.groups import group_for_volume
from gateway.volumes.image_find import find_image
from gateway.volumes.reading import DB_INT_MAX, SIZE_MAX, flag_in, id_or_none, metadata, named, text_or_none, whole
from gateway.volumes.records import Doing, Volume
from gateway.volumes.standing import find_snapshot, find_volume, snapshot_standing, standing
from gateway.volumes.type_records import VolumeType, type_use_key
from gateway.volumes.volumes import changed
from gateway.volumes.work import creating, restoring
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


TYPE_PROPERTY: Final = "cinder_img_volume_type"
"""Of an image: the type of volumes that are made of it, where none is asked for."""


async def create_volume(call: Call) -> Response:
    """It is there at once, and made by a task."""
    project = await call.project()
    body = await call.body()
    body.refuse_others({"volume", HINTS})
    asked = body.object("volume")
    if call.since(STRICT):
        asked.refuse_others(KNOWN)
    await call.allow("volume:create_from_image" if _image_ref(asked) else "volume:create", of(project))
    backup = id_or_none(asked, "backup_id") if call.since(BACKUPS) else None
    found = None if backup is None else await find_backup(call, "backup:get", backup)
    volume, arguments = await _wanted(call, asked, project, None if found is None else found.record)
    if (group_id := id_or_none(asked, "group_id") if call.since(GROUPS) else None) is not None:
        group = await group_for_volume(call, group_id, volume.type_id)
        if found is not None or asked.value("volume_type") is None:
            raise InvalidError("Invalid input received: a volume in a group has a volume type, and is of no backup.")
        made = await start_volume(
            call,
            replace(volume, group_id=group_id),
            arguments,
            along=lambda _: ([call.service.groups.put(group.record)], [group.same]),
        )
        return await changed(call, made, 202)
    if found is None:
        return await changed(call, await start_volume(call, volume, arguments), 202)
    return await changed(call, await start_restored(call, volume, found.record, "creating"), 202)


async def start_volume(
    call: Call,
    volume: Volume,
    arguments: dict[str, Any],
    kind: str = creating.CREATE,
    what: str = "creating",
    along: Callable[[Doing], tuple[Sequence[Put], Sequence[Compare]]] = lambda _: ((), ()),
) -> Volume:
    """Reserve what it takes, and have the task begin that makes it, with what goes `along`. Raises OverQuotaError,
    ConflictError where that has changed."""
    service = call.service
    await check_size(call, volume.project_id, volume.size)
    task = service.tasks.new_id()
    counted = amounts.of_volume(volume.size, volume.type_id)
    reservation = await service.quotas.reserve(volume.project_id, counted, task=task)
    made = replace(volume, doing=Doing(what, task, reservation.id, counted=False))
    puts, compares = along(Doing(what, task))
    operations = [*service.volumes.puts(made), Put(type_use_key(made.type_id), b""), *puts]
    there = Compare.exists(service.types.table.key("-", made.type_id))
    try:
        await service.runner.start(kind, {"volume": made.id, **arguments}, operations, [there, *compares], task)
    except Exception as error:
        await not_started(service.quotas, reservation, error)
        raise
    return made


async def start_restored(call: Call, volume: Volume, backup: Backup, what: str) -> Volume:
    """The same of one that a backup is restored to, `what` it is meanwhile. Raises InvalidError where the backup is not
    available."""
    service = call.service
    found = await service.backups.find(backup.id)
    require_backup((await backup_standing(service, found.record))[1], ("available",))

    def along(doing: Doing) -> tuple[Sequence[Put], Sequence[Compare]]:
        after = replace(found.record, doing=Doing("restoring", doing.task), error="", restored_to=volume.id)
        return [service.backups.put(after)], [found.same]

    return await start_volume(call, volume, {"backup": backup.id}, restoring.RESTORE, what, along)


async def _wanted(call: Call, asked: Fields, project: str, backup: Backup | None) -> tuple[Volume, dict[str, Any]]:
    service = call.service
    name, description = named(asked)
    kept = metadata("metadata", asked.value("metadata"))
    if flag_in(asked, "multiattach"):
        raise InvalidError("The multiattach parameter is no more: use a volume type that has it.")
    size = None if asked.value("size") is None else whole("size", asked.value("size"), 1, DB_INT_MAX)
    type_ = await find_type(call, asked)
    source = await _source(call, asked, backup)
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
    return await _open_type(call, said)


async def _open_type(call: Call, said: str) -> VolumeType:
    """Of this name or id. Raises NotFoundError, also where the caller may not use it."""
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


async def _source(call: Call, asked: Fields, backup: Backup | None) -> Source:
    """What the body names, of which there may be one."""
    snapshot, source, image = id_or_none(asked, "snapshot_id"), id_or_none(asked, "source_volid"), _image_ref(asked)
    if sum(one is not None for one in (snapshot, source, image, backup)) > 1:
        raise InvalidError("Invalid input received: only one of snapshot, source volume, backup and image is taken.")
    if asked.value("consistencygroup_id"):
        raise NotFoundError(f"Group {text_or_none(asked, 'consistencygroup_id')} could not be found.")
    if backup is not None:
        return Source(least=backup.size, size=backup.size)
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
    for disk in facts.mapping():
        if disk.get("source_type") == "snapshot" and disk.get("boot_index") == 0:
            return await _of_server_image(call, facts, disk)
    least = max(facts.min_disk, -(-max(facts.size, facts.virtual_size) // 2**30))
    wanted = facts.properties.get(TYPE_PROPERTY)
    type_id = (await _open_type(call, wanted)).id if wanted else ""
    return Source({"image": facts.id}, least, type_id=type_id, bootable=True, image_id=facts.id)


async def _of_server_image(call: Call, facts: ImageFacts, disk: Mapping[str, Any]) -> Source:
    """The image is of a server whose root is a volume, and has no bytes: they are in a snapshot. Stock Cinder goes
    there from 3.46 on; before, it makes a volume of nothing, which nobody wants."""
    try:
        return await _of_snapshot(call, str(disk.get("snapshot_id")))
    except NotFoundError:
        raise NotFoundError(
            f"Nova specific image is found, but boot volume snapshot id:{disk.get('snapshot_id')} not found."
        ) from None


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
