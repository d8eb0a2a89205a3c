"""Groups of volumes: made, listed, shown and changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.reserving import reserving
from gateway.rest.times import shown_us
from gateway.volumes.call import Call, from_minor, of
from gateway.volumes.group_find import VOLUMES_MAX, find_group, group_standing, is_reserved, volumes_of
from gateway.volumes.group_records import RESERVED, Group
from gateway.volumes.listing import Filters, Listed, Row, page, wants_all
from gateway.volumes.reading import flag, text, text_or_none
from gateway.volumes.records import Volume
from gateway.volumes.standing import ATTEMPTS, find_volume, standing
from gateway.volumes.table import Found
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Put

GROUPS: Final = 13
SNAPSHOTS: Final = 14
VOLUMES: Final = 25
REPLICATION: Final = 38
PROJECT: Final = 58
LIST_VOLUMES: Final = "list_volume"
FILTERS: Final = Filters(
    exact=frozenset({"id", "name", "status", "group_type", "availability_zone", "project_id", "user_id"}),
    like=frozenset({"name", "description"}),
    sorts=frozenset({"id", "name", "status", "created_at", "updated_at", "group_type"}),
)
ADDED: Final = ("available", "in-use")
REMOVED: Final = ("available", "in-use", "error", "error_deleting")


async def list_groups(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("groups", [summary(row["_"]) for row in found.rows], "group_links"))


async def list_groups_detail(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("groups", [row["detail"] for row in found.rows], "group_links"))


async def show_group(call: Call) -> Response:
    found = await find_group(call, "group:get")
    await refuse_reserved(call, found.record.type_id)
    return answer({"group": await _detail(call, *await group_standing(call.service, found.record))})


async def create_group(call: Call) -> Response:
    """It is there at once, and empty."""
    project = await call.project()
    await call.allow("group:create", of(project))
    asked = (await call.body()).object("group")
    asked.refuse_others({"name", "description", "group_type", "volume_types", "availability_zone"})
    service = call.service
    type_ = await service.group_types.named(text(asked, "group_type"))
    if not type_.is_public and not await call.is_admin():
        raise NotFoundError(f"Group type {type_.id} could not be found.")
    await refuse_reserved(call, type_.id)
    zone = text_or_none(asked, "availability_zone")
    if zone and zone != service.zone:
        raise InvalidError(f"Availability zone '{zone}' is invalid.")
    now = service.clock.wall_us()
    group = Group(
        id=service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=text_or_none(asked, "name"),
        description=text_or_none(asked, "description"),
        type_id=type_.id,
        volume_types=await _types(call, asked),
        zone=service.zone,
        created_us=now,
        updated_us=now,
    )
    # Whoever deletes the type at the same time notices.
    found = await service.group_types.find(type_.id)
    puts = [*service.groups.puts(group), service.group_types.table.put(found.record)]
    async with reserving(service.quotas, project, {"groups": 1}) as reservation:
        await service.quotas.commit(reservation, puts, [found.same])
    return answer({"group": summary(group)}, 202)


async def _types(call: Call, asked: Fields) -> tuple[str, ...]:
    """The ids of the volume types that the body names."""
    names = asked.texts("volume_types")
    if not names or len(set(names)) < len(names):
        raise InvalidError("Invalid input for field/attribute volume_types: one or more, and none twice.")
    project, found = await call.project(), []
    for name in names:
        type_ = await call.service.types.named(name)
        if not type_.open_to(project) and not await call.is_admin():
            raise NotFoundError(f"Volume type {name} could not be found.")
        found.append(type_.id)
    return tuple(dict.fromkeys(found))


async def update_group(call: Call) -> Response:
    """Another name or description; and volumes that are in it from now on, or no more."""
    found = await find_group(call, "group:update")
    await refuse_reserved(call, found.record.type_id)
    asked = (await call.body()).object("group")
    asked.refuse_others({"name", "description", "add_volumes", "remove_volumes"})
    added, removed = _ids(asked, "add_volumes"), _ids(asked, "remove_volumes")
    if added & removed:
        raise InvalidError(f"Invalid volume: {', '.join(sorted(added & removed))[:255]} are to be added and removed.")
    names = [name for name in ("name", "description") if asked.value(name) is not None]
    if not names and not added and not removed:
        raise InvalidError("Invalid group: it needs a name, a description, volumes to add or to remove.")
    for _ in range(ATTEMPTS):
        if await _update(call, found.record.id, asked, added, removed):
            return accepted()
    raise ConflictError("Others keep changing the same; try again.")


async def _update(call: Call, id_: str, asked: Fields, added: set[str], removed: set[str]) -> bool:
    """Whether nothing of it has changed meanwhile."""
    service = call.service
    found = await service.groups.find(id_)
    group, status = await group_standing(service, found.record)
    if group != found.record:
        return False
    if (added or removed) and status != "available":
        raise InvalidError("Invalid group: Group status must be available.")
    puts, compares = list[Put](), [found.same]
    members = {one.id for one in await volumes_of(service, group)}
    if len(members | added) > VOLUMES_MAX:
        raise InvalidError(f"Invalid group: it has at most {VOLUMES_MAX} volumes.")
    for volume_id in sorted(removed):
        if volume_id not in members:
            raise InvalidError(f"Invalid volume: volume {volume_id[:64]} is not in the group.")
        await _move(call, volume_id, REMOVED, None, puts, compares)
    for volume_id in sorted(added - members):
        before = await _addable(call, group, volume_id)
        await _move(call, before.id, ADDED, group.id, puts, compares)
    after = replace(
        group,
        name=group.name if asked.value("name") is None else text_or_none(asked, "name"),
        description=group.description if asked.value("description") is None else text_or_none(asked, "description"),
        updated_us=service.clock.wall_us(),
    )
    return (await service.registry.transact(compares, [service.groups.put(after), *puts])).succeeded


async def _addable(call: Call, group: Group, id_: str) -> Volume:
    try:
        volume = (await find_volume(call, "volume:get", id_)).record
    except NotFoundError as error:
        raise InvalidError(f"Invalid volume: volume {id_[:64]} cannot be found.") from error
    if volume.project_id != group.project_id:
        raise InvalidError(f"Invalid volume: volume {id_} is of another project.")
    if volume.group_id is not None:
        raise InvalidError(f"Invalid volume: volume {id_} is in group {volume.group_id} already.")
    if volume.type_id not in group.volume_types:
        raise InvalidError(f"Invalid volume: volume type {volume.type_id} is not supported by the group.")
    return volume


async def _move(
    call: Call, id_: str, allowed: tuple[str, ...], group_id: str | None, puts: list[Put], compares: list[Compare]
) -> None:
    found = await call.service.volumes.find(id_)
    status = (await standing(call.service, found.record)).status
    if status not in allowed:
        raise InvalidError(f"Invalid volume: volume {id_} is {status}; it must be {' or '.join(allowed)}.")
    puts.append(call.service.volumes.put(replace(found.record, group_id=group_id)))
    compares.append(found.same)


def _ids(asked: Fields, name: str) -> set[str]:
    said = text_or_none(asked, name, VOLUMES_MAX * 37) or ""
    return {one.strip() for one in said.split(",") if one.strip()}


async def refuse_reserved(call: Call, type_id: str) -> None:
    """Raises InvalidError for the group type that nothing is made of."""
    if await is_reserved(call.service, type_id):
        raise InvalidError(f"Group_type {type_id} ({RESERVED}) is reserved for what were consistency groups.")


async def group_for_volume(call: Call, id_: str, type_id: str) -> Found[Group]:
    """The group that a new volume is to be in. Raises NotFoundError, InvalidError."""
    found = await find_group(call, "group:get", id_)
    if found.record.project_id != await call.project():
        raise NotFoundError(f"Group {id_} could not be found.")
    if type_id not in found.record.volume_types:
        raise InvalidError(f"Invalid volume_type {type_id}: it must be supported by the group {id_}.")
    if (status := (await group_standing(call.service, found.record))[1]) != "available":
        raise InvalidError(f"Invalid group: Group status must be available, not {status}.")
    return found


def summary(group: Group) -> Row:
    """What short lists say of it."""
    return {"id": group.id, "name": group.name}


async def _detail(call: Call, group: Group, status: str) -> Row:
    shown: Row = {
        "id": group.id,
        "status": status,
        "availability_zone": group.zone,
        "created_at": shown_us(group.created_us),
        "name": group.name,
        "description": group.description,
        "group_type": group.type_id,
        "volume_types": list(group.volume_types),
    }
    if call.since(SNAPSHOTS):
        shown |= {"group_snapshot_id": group.group_snapshot_id, "source_group_id": group.source_group_id}
    if call.since(VOLUMES) and flag(LIST_VOLUMES, call.query.get(LIST_VOLUMES, "false")):
        shown["volumes"] = [one.id for one in await volumes_of(call.service, group)]
    if call.since(REPLICATION):
        shown["replication_status"] = "disabled"
    if call.since(PROJECT) and call.policy.decide(
        "group:group_project_attribute", await call.credentials(), of(group.project_id)
    ):
        shown["project_id"] = group.project_id
    return shown


async def _listed(call: Call) -> Listed:
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("group:get_all", of(mine))
    table, rows = call.service.groups, list[Row]()
    for one in await (table.every() if everywhere else table.of_project(mine)):
        now, status = await group_standing(call.service, one)
        shown = await _detail(call, now, status)
        more = {"project_id": now.project_id, "user_id": now.user_id, "updated_at": now.updated_us}
        rows.append({**shown, **more, "detail": shown, "_": now})
    return page(call, rows, FILTERS, lambda name: name == LIST_VOLUMES)


ROUTES: Final[Routes[Call]] = {
    "/groups": {"GET": from_minor(GROUPS, list_groups), "POST": from_minor(GROUPS, create_group)},
    "/groups/detail": {"GET": from_minor(GROUPS, list_groups_detail)},
    "/groups/{group_id}": {"GET": from_minor(GROUPS, show_group), "PUT": from_minor(GROUPS, update_group)},
}
