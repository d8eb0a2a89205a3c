"""Groups are made of others, go with their volumes, and are set right by administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.quota_records import Reservation
from gateway.volumes import amounts
from gateway.volumes.actions import Action, acting
from gateway.volumes.answers import accepted, answer
from gateway.volumes.call import Call, of
from gateway.volumes.group_find import (
    STATUSES,
    find_group,
    find_group_snapshot,
    group_snapshot_standing,
    group_standing,
    snapshots_of,
    volumes_of,
)
from gateway.volumes.group_records import Group, GroupSnapshot
from gateway.volumes.groups import refuse_reserved, summary
from gateway.volumes.reading import flag_in, id_or_none, text_or_none
from gateway.volumes.records import Doing, Snapshot, Volume, overtaken, volume_name
from gateway.volumes.standing import ATTEMPTS, require, standing
from gateway.volumes.status import attach_status
from gateway.volumes.table import Found
from gateway.volumes.type_records import SHARED, type_use_key
from gateway.volumes.work import groups as work
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Put

GROUPS: Final = 13
FROM_SOURCE: Final = 14
RESET: Final = 20
REPLICATION: Final = 38
DELETABLE: Final = ("available", "error", "error_deleting")


async def delete_group(call: Call, asked: Fields) -> Response:
    """It goes; with `delete-volumes` what is in it, too, whatever its status is."""
    found = await find_group(call, "group:delete")
    await refuse_reserved(call, found.record.type_id)
    asked.refuse_others({"delete-volumes"})
    with_volumes, service = flag_in(asked, "delete-volumes"), call.service
    for _ in range(ATTEMPTS):
        found = await service.groups.find(found.record.id)
        group, status = await group_standing(service, found.record)
        if group != found.record:
            continue
        if not with_volumes and status not in DELETABLE:
            raise InvalidError(f"Invalid group: Group status must be available or error, not {status}.")
        if any(one.group_id == group.id for one in await service.group_snapshots.of_project(group.project_id)):
            raise InvalidError("Invalid group: Group has existing snapshots.")
        if await _is_source(call, group):
            raise InvalidError("Invalid group: a group is being made of it.")
        volumes = [await service.volumes.find(one.id) for one in await volumes_of(service, group)]
        if volumes and not with_volumes:
            raise InvalidError(f"Invalid group: Group {group.id} still contains volumes; delete-volumes is needed.")
        task = service.tasks.new_id()
        puts = [service.groups.put(_deleting(group, task))]
        for one in volumes:
            await _check_deletable(call, one.record)
            puts.append(
                service.volumes.put(replace(one.record, doing=overtaken(one.record.doing, "deleting", task), error=""))
            )
        said = {"group": group.id, "volumes": [one.record.id for one in volumes]}
        compares = [found.same, *(one.same for one in volumes)]
        with suppress(ConflictError):
            await service.runner.start(work.DELETE, said, puts, compares, task)
            return accepted()
    raise ConflictError("Others keep changing the group; try again.")


async def _is_source(call: Call, group: Group) -> bool:
    for one in await call.service.groups.of_project(group.project_id):
        if one.source_group_id == group.id and (await group_standing(call.service, one))[1] == "creating":
            return True
    return False


def _deleting(group: Group, task: str) -> Group:
    return replace(group, doing=overtaken(group.doing, "deleting", task), error="", declared="")


async def _check_deletable(call: Call, volume: Volume) -> None:
    if attach_status(volume) == "attached":
        raise InvalidError("Invalid group: a volume in it is attached, and has to be detached first.")
    if await call.service.snapshots.of_volume(volume.id):
        raise InvalidError("Invalid group: a volume in it still has dependent snapshots.")


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
    except Exception:
        for one in reserved:
            with suppress(NotFoundError):
                await service.quotas.take_back(one)
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


async def reset_status(call: Call, asked: Fields) -> Response:
    """An administrator's word: `available` takes back what was declared and an error, any other is declared."""
    found = await find_group(call, "group:reset_status")
    asked.refuse_others({"status"})
    status = asked.text("status").lower()
    if status not in STATUSES:
        raise InvalidError(f"Group status: {status[:64]} is invalid, valid status are: {', '.join(STATUSES)}.")
    now, _ = await group_standing(call.service, found.record)
    lost = await call.service.is_lost(now.doing)
    await call.service.groups.change(
        now.id,
        lambda one: replace(
            one,
            declared="" if status == "available" else status,
            error="",
            doing=None if lost and one.doing == now.doing else one.doing,
        ),
    )
    return accepted()


def _replication(name: str) -> Callable[[Call, Fields], Awaitable[Response]]:
    """Volumes are kept in copies, and groups of them are not copied elsewhere."""

    async def refuse(call: Call, _: Fields) -> Response:
        found = await find_group(call, f"group:{name}")
        raise InvalidError(f"Invalid group type: Group {found.record.id} is not a replication group type.")

    return refuse


ROUTES: Final[Routes[Call]] = {
    "/groups/action": {"POST": acting({"create-from-src": Action(create_from_source, FROM_SOURCE)})},
    "/groups/{group_id}/action": {
        "POST": acting(
            {
                "delete": Action(delete_group, GROUPS),
                "reset_status": Action(reset_status, RESET),
                **{
                    name: Action(_replication(name), REPLICATION)
                    for name in (
                        "enable_replication",
                        "disable_replication",
                        "failover_replication",
                        "list_replication_targets",
                    )
                },
            }
        )
    },
}
