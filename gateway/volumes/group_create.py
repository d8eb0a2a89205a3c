"""Groups are made of others: of a snapshot of a group, or of a group as it is at this moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.fields import Fields
from gateway.rest.quota_records import Reservation
from gateway.rest.reserving import not_started
from gateway.volumes import amounts
from gateway.volumes.call import Call, of
from gateway.volumes.group_find import (
    find_group,
    find_group_snapshot,
    group_snapshot_standing,
    snapshots_of,
    volumes_of,
)
from gateway.volumes.group_records import Group, GroupSnapshot
from gateway.volumes.groups import refuse_reserved, summary
from gateway.volumes.reading import id_or_none, text_or_none
from gateway.volumes.records import Doing, Snapshot, Volume, volume_name
from gateway.volumes.standing import require, standing
from gateway.volumes.table import Found
from gateway.volumes.type_records import SHARED, type_use_key
from gateway.volumes.work import groups as work
from store.core.errors import InvalidError
from store.registry import Compare, Put


async def create_from_source(call: Call, asked: Fields) -> Response:
    """Of a snapshot of a group, or of a group as it is at this moment."""
    project = await call.project()
    await call.allow("group:create", of(project))
    asked.refuse_others({"name", "description", "group_snapshot_id", "source_group_id"})
    snapshot_id, source_id = id_or_none(asked, "group_snapshot_id"), id_or_none(asked, "source_group_id")
    if (snapshot_id is None) == (source_id is None):
        raise InvalidError("Invalid input: either group_snapshot_id or source_group_id is needed.")
    service = call.service
    snapshot: Found[GroupSnapshot] | None = None
    if snapshot_id is not None:
        snapshot = await find_group_snapshot(call, "group:get_group_snapshot", snapshot_id)
        source = await find_group(call, "group:get", snapshot.record.group_id)
    else:
        assert source_id is not None
        source = await find_group(call, "group:get", source_id)
    await refuse_reserved(call, source.record.type_id)
    now = service.clock.wall_us()
    group = replace(
        source.record,
        id=service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=text_or_none(asked, "name"),
        description=text_or_none(asked, "description"),
        created_us=now,
        updated_us=now,
        group_snapshot_id=snapshot_id,
        source_group_id=source_id,
        doing=None,
        error="",
        declared="",
    )
    wanted, compares, puts = await (
        _of_group(call, source, now) if snapshot is None else _of_snapshot(call, source.record, snapshot)
    )
    return answer({"group": summary(await _start(call, group, wanted, puts, compares))}, 202)


Wanted = list[tuple[Volume | Snapshot, dict[str, Any]]]
"""What each volume is made of, and what the task is told."""


async def _of_group(call: Call, source: Found[Group], now_us: int) -> tuple[Wanted, list[Compare], list[Put]]:
    service, found = call.service, list[tuple[Volume | Snapshot, dict[str, Any]]]()
    for volume in await volumes_of(service, source.record):
        require((await standing(service, volume)).status, ("available", "in-use"), "be made a group of")
        remembers = (await service.store.row(volume_name(volume.id))).window_us > 0
        found.append((volume, {"source": volume.id, "time_us": now_us if remembers else None}))
    if not found:
        raise InvalidError("Invalid group: Source group is empty. No group will be created.")
    return found, [source.same], [service.groups.put(source.record)]


async def _of_snapshot(
    call: Call, source: Group, snapshot: Found[GroupSnapshot]
) -> tuple[Wanted, list[Compare], list[Put]]:
    service = call.service
    now, status = await group_snapshot_standing(service, snapshot.record)
    if status != "available" or now != snapshot.record:
        raise InvalidError(f"Invalid group snapshot: it must be available, not {status}.")
    found: Wanted = [(one, {"snapshot": one.id}) for one in await snapshots_of(service, now)]
    if not found:
        raise InvalidError("Invalid group: Group snapshot is empty. No group will be created.")
    return found, [snapshot.same], [service.group_snapshots.put(now)]


async def _start(call: Call, group: Group, wanted: Wanted, puts: list[Put], compares: list[Compare]) -> Group:
    """All volumes are there at once, and made by one task."""
    service, task, reserved = call.service, call.service.tasks.new_id(), list[Reservation]()
    said: dict[str, dict[str, Any]] = {}
    try:
        reserved.append(await service.quotas.reserve(group.project_id, {"groups": 1}, task=task))
        made = replace(group, doing=Doing("creating", task, reserved[0].id, counted=False))
        puts = [*puts, *service.groups.puts(made)]
        for of_what, arguments in wanted:
            counted = amounts.of_volume(of_what.size, of_what.type_id)
            reserved.append(await service.quotas.reserve(group.project_id, counted, task=task))
            volume = await _volume(call, group, of_what)
            doing = Doing("creating", task, reserved[-1].id, counted=False)
            puts += service.volumes.puts(replace(volume, doing=doing))
            said[volume.id] = arguments
        for type_id in {of_what.type_id for of_what, _ in wanted}:
            puts.append(Put(type_use_key(type_id), b""))
            compares = [*compares, Compare.exists(service.types.table.key(SHARED, type_id))]
        await service.runner.start(work.CREATE, {"group": group.id, "volumes": said}, puts, compares, task)
    except Exception as error:
        for one in reserved:
            await not_started(service.quotas, one, error)
        raise
    return made


async def _volume(call: Call, group: Group, source: Volume | Snapshot) -> Volume:
    """A volume that is made of another or of a snapshot, in a group."""
    parent = source if isinstance(source, Volume) else (await call.service.volumes.find(source.volume_id)).record
    return Volume(
        id=call.service.new_id(),
        project_id=group.project_id,
        user_id=group.user_id,
        name=None,
        description=None,
        size=source.size,
        type_id=source.type_id,
        zone=group.zone,
        created_us=group.created_us,
        updated_us=group.created_us,
        image=parent.image,
        bootable=parent.bootable,
        multiattach=parent.multiattach,
        snapshot_id=source.id if isinstance(source, Snapshot) else None,
        source_id=source.id if isinstance(source, Volume) else None,
        group_id=group.id,
    )
