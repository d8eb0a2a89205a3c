"""Snapshots of groups: of all volumes of a group at one moment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.quota_records import Reservation
from gateway.rest.reserving import not_started
from gateway.rest.times import shown_us
from gateway.volumes import amounts
from gateway.volumes.actions import Action, acting
from gateway.volumes.call import Call, from_minor, of
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
from gateway.volumes.groups import refuse_reserved
from gateway.volumes.listing import Filters, Listed, Row, page, wants_all
from gateway.volumes.reading import id_of, text_or_none
from gateway.volumes.records import Doing, Snapshot, Volume, overtaken, volume_name
from gateway.volumes.resetting import reset
from gateway.volumes.standing import ATTEMPTS, require, standing
from gateway.volumes.table import Found
from gateway.volumes.work import groups as work
from store.core.errors import ConflictError, InvalidError

SNAPSHOTS: Final = 14
RESET: Final = 19
PROJECT: Final = 58
FILTERS: Final = Filters(
    exact=frozenset({"id", "name", "status", "group_id", "project_id", "user_id"}),
    like=frozenset({"name", "description"}),
    sorts=frozenset({"id", "name", "status", "group_id", "created_at", "updated_at"}),
)
DELETABLE: Final = ("available", "error", "error_deleting")


async def list_group_snapshots(call: Call) -> Response:
    found = await _listed(call)
    shown = [{"id": row["id"], "name": row["name"]} for row in found.rows]
    return answer(found.document("group_snapshots", shown, "group_snapshot_links"))


async def list_group_snapshots_detail(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("group_snapshots", [row["detail"] for row in found.rows], "group_snapshot_links"))


async def show_group_snapshot(call: Call) -> Response:
    found = await find_group_snapshot(call, "group:get_group_snapshot")
    return answer({"group_snapshot": await _detail(call, *await group_snapshot_standing(call.service, found.record))})


async def create_group_snapshot(call: Call) -> Response:
    """The moment is that of the request."""
    asked = (await call.body()).object("group_snapshot")
    asked.refuse_others({"group_id", "name", "description"})
    group = (await find_group(call, "group:create_group_snapshot", id_of("group_id", asked.value("group_id")))).record
    await refuse_reserved(call, group.type_id)
    service, now = call.service, call.service.clock.wall_us()
    snapshot = GroupSnapshot(
        id=service.new_id(),
        project_id=group.project_id,
        user_id=await call.user(),
        group_id=group.id,
        type_id=group.type_id,
        name=text_or_none(asked, "name"),
        description=text_or_none(asked, "description"),
        created_us=now,
        updated_us=now,
    )
    for _ in range(ATTEMPTS):
        found = await service.groups.find(group.id)
        status = (await group_standing(service, found.record))[1]
        if status != "available":
            raise InvalidError(f"Invalid group: Group status must be available, not {status}.")
        with suppress(ConflictError):
            await _start(call, snapshot, found)
            shown = {"id": snapshot.id, "name": snapshot.name, "group_type_id": snapshot.type_id}
            return answer({"group_snapshot": shown}, 202)
    raise ConflictError("Others keep changing the group; try again.")


async def _start(call: Call, snapshot: GroupSnapshot, group: Found[Group]) -> None:
    """The group and its volumes are written as they are: who deletes them at the same time notices. Raises
    ConflictError where one of them has changed meanwhile."""
    service, task, reserved = call.service, call.service.tasks.new_id(), list[Reservation]()
    volumes = [await service.volumes.find(one.id) for one in await volumes_of(service, group.record)]
    await _check(call, group.record, [one.record for one in volumes])
    ids: list[str] = []
    puts = [
        service.groups.put(group.record),
        *service.group_snapshots.puts(replace(snapshot, doing=Doing("creating", task))),
    ]
    try:
        for one in volumes:
            puts.append(service.volumes.put(one.record))
            counted = amounts.of_snapshot(one.record.size, one.record.type_id)
            reserved.append(await service.quotas.reserve(snapshot.project_id, counted, task=task))
            doing = Doing("creating", task, reserved[-1].id, counted=False)
            member = replace(_member(call, snapshot, one.record), doing=doing)
            puts += service.snapshots.puts(member)
            ids.append(member.id)
        said = {"group_snapshot": snapshot.id, "snapshots": ids, "time_us": snapshot.created_us}
        compares = [group.same, *(one.same for one in volumes)]
        await service.runner.start(work.SNAPSHOT, said, puts, compares, task)
    except Exception as error:
        for reservation in reserved:
            await not_started(service.quotas, reservation, error)
        raise


async def _check(call: Call, group: Group, volumes: list[Volume]) -> None:
    """Raises InvalidError where there is no one moment that all of them can be had of."""
    service = call.service
    consistent = (await service.group_types.find(group.type_id)).record.consistent
    for volume in volumes:
        status = (await standing(service, volume)).status
        require(status, ("available", "in-use"), "have a snapshot made of it")
        if consistent and status == "in-use" and not (await service.store.row(volume_name(volume.id))).window_us:
            raise InvalidError(
                f"Invalid volume: volume {volume.id} is in use and remembers no past: it cannot be had of the same"
                " moment as the others of its group."
            )


def _member(call: Call, snapshot: GroupSnapshot, volume: Volume) -> Snapshot:
    return Snapshot(
        id=call.service.new_id(),
        project_id=snapshot.project_id,
        user_id=snapshot.user_id,
        volume_id=volume.id,
        name=snapshot.name,
        description=snapshot.description,
        size=volume.size,
        type_id=volume.type_id,
        created_us=snapshot.created_us,
        updated_us=snapshot.created_us,
        group_snapshot_id=snapshot.id,
    )


async def delete_group_snapshot(call: Call) -> Response:
    """With the snapshots that it consists of."""
    service = call.service
    id_ = (await find_group_snapshot(call, "group:delete_group_snapshot")).record.id
    for _ in range(ATTEMPTS):
        found = await service.group_snapshots.find(id_)
        now, status = await group_snapshot_standing(service, found.record)
        if now != found.record:
            continue
        if status not in DELETABLE:
            raise InvalidError(f"Invalid group snapshot: its status must be available or error, not {status}.")
        if await _is_source(call, now):
            raise InvalidError("Invalid group snapshot: a group is being made of it.")
        members = [await service.snapshots.find(one.id) for one in await snapshots_of(service, now)]
        task = service.tasks.new_id()
        after = replace(now, doing=overtaken(now.doing, "deleting", task), error="", declared="")
        puts = [
            service.group_snapshots.put(after),
            *(
                service.snapshots.put(replace(one.record, doing=overtaken(one.record.doing, "deleting", task)))
                for one in members
            ),
        ]
        said = {"group_snapshot": id_, "snapshots": [one.record.id for one in members]}
        with suppress(ConflictError):
            compares = [found.same, *(one.same for one in members)]
            await service.runner.start(work.DELETE_SNAPSHOT, said, puts, compares, task)
            return accepted()
    raise ConflictError("Others keep changing the group snapshot; try again.")


async def _is_source(call: Call, snapshot: GroupSnapshot) -> bool:
    for one in await call.service.groups.of_project(snapshot.project_id):
        if one.group_snapshot_id == snapshot.id and (await group_standing(call.service, one))[1] == "creating":
            return True
    return False


async def reset_status(call: Call, asked: Fields) -> Response:
    """As of a group."""
    found = await find_group_snapshot(call, "group:reset_group_snapshot_status")
    asked.refuse_others({"status"})
    status = asked.text("status").lower()
    if status not in STATUSES:
        raise InvalidError(f"Group snapshot status: {status[:64]} is invalid, valid are: {', '.join(STATUSES)}.")
    now, _ = await group_snapshot_standing(call.service, found.record)
    await reset(call.service, call.service.group_snapshots, now, status)
    return accepted()


async def _detail(call: Call, snapshot: GroupSnapshot, status: str) -> Row:
    shown: Row = {
        "id": snapshot.id,
        "group_id": snapshot.group_id,
        "group_type_id": snapshot.type_id,
        "status": status,
        "created_at": shown_us(snapshot.created_us),
        "name": snapshot.name,
        "description": snapshot.description,
    }
    if call.since(PROJECT) and call.policy.decide(
        "group:group_snapshot_project_attribute", await call.credentials(), of(snapshot.project_id)
    ):
        shown["project_id"] = snapshot.project_id
    return shown


async def _listed(call: Call) -> Listed:
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("group:get_all_group_snapshots", of(mine))
    table, rows = call.service.group_snapshots, list[Row]()
    for one in await (table.every() if everywhere else table.of_project(mine)):
        now, status = await group_snapshot_standing(call.service, one)
        shown = await _detail(call, now, status)
        more = {"project_id": now.project_id, "user_id": now.user_id, "updated_at": now.updated_us}
        rows.append({**shown, **more, "detail": shown})
    return page(call, rows, FILTERS)


ROUTES: Final[Routes[Call]] = {
    "/group_snapshots": {
        "GET": from_minor(SNAPSHOTS, list_group_snapshots),
        "POST": from_minor(SNAPSHOTS, create_group_snapshot),
    },
    "/group_snapshots/detail": {"GET": from_minor(SNAPSHOTS, list_group_snapshots_detail)},
    "/group_snapshots/{group_snapshot_id}": {
        "GET": from_minor(SNAPSHOTS, show_group_snapshot),
        "DELETE": from_minor(SNAPSHOTS, delete_group_snapshot),
    },
    "/group_snapshots/{group_snapshot_id}/action": {"POST": acting({"reset_status": Action(reset_status, RESET)})},
}
