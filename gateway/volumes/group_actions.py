"""Groups go with their volumes, and are set right by administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.volumes.actions import Action, acting
from gateway.volumes.call import Call
from gateway.volumes.group_create import create_from_source
from gateway.volumes.group_find import (
    STATUSES,
    find_group,
    group_standing,
    volumes_of,
)
from gateway.volumes.group_records import Group
from gateway.volumes.groups import refuse_reserved
from gateway.volumes.reading import flag_in
from gateway.volumes.records import Volume, overtaken
from gateway.volumes.resetting import reset
from gateway.volumes.standing import ATTEMPTS
from gateway.volumes.status import attach_status
from gateway.volumes.work import groups as work
from store.core.errors import ConflictError, InvalidError

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


async def reset_status(call: Call, asked: Fields) -> Response:
    """An administrator's word: `available` takes back what was declared and an error, any other is declared."""
    found = await find_group(call, "group:reset_status")
    asked.refuse_others({"status"})
    status = asked.text("status").lower()
    if status not in STATUSES:
        raise InvalidError(f"Group status: {status[:64]} is invalid, valid status are: {', '.join(STATUSES)}.")
    now, _ = await group_standing(call.service, found.record)
    await reset(call.service, call.service.groups, now, status)
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
