"""Snapshots: made, listed, shown, changed and deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.reserving import not_started
from gateway.volumes import amounts
from gateway.volumes.call import Call, of
from gateway.volumes.listing import Filters, Listed, page, wants_all
from gateway.volumes.reading import flag, id_or_none, metadata, named
from gateway.volumes.records import Doing, Snapshot, overtaken
from gateway.volumes.snapshot_view import changed, detail, summary
from gateway.volumes.standing import ATTEMPTS, find_snapshot, find_volume, require, snapshot_standing, standing
from gateway.volumes.work import snapshots as work
from store.core.errors import ConflictError, InvalidError

IN_USE: Final = 66
"""From this microversion on a volume that is in use may have snapshots made of it without `force`."""
FILTERS: Final = Filters(
    exact=frozenset({"id", "name", "status", "volume_id", "availability_zone", "project_id", "user_id", "size"}),
    like=frozenset({"name", "description"}),
    dicts=frozenset({"metadata"}),
    flags=frozenset({"consumes_quota"}),
    sorts=frozenset({"id", "name", "display_name", "status", "size", "volume_id", "created_at", "updated_at"}),
)
FORCED: Final = (
    "available", "in-use", "reserved", "attaching", "detaching", "uploading", "backing-up", "awaiting-transfer",
)  # fmt: skip
DELETABLE: Final = ("available", "error", "error_deleting")


async def list_snapshots(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("snapshots", [summary(*row["_"]) for row in found.rows]))


async def list_snapshots_detail(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("snapshots", [detail(call, *row["_"]) for row in found.rows]))


async def show_snapshot(call: Call) -> Response:
    found = await find_snapshot(call, "volume:get_snapshot")
    return answer({"snapshot": detail(call, *await snapshot_standing(call.service, found.record))})


async def create_snapshot(call: Call) -> Response:
    """Of a volume that is not in use; or of one that is, with `force`."""
    project = await call.project()
    asked = (await call.body()).object("snapshot")
    asked.refuse_others({"name", "display_name", "description", "volume_id", "force", "metadata"})
    if "volume_id" not in asked:
        raise InvalidError("snapshot: 'volume_id' is a required property")
    volume = (await find_volume(call, "volume:get", id_or_none(asked, "volume_id") or "None")).record
    await call.allow("volume:create_snapshot", of(project))
    force = asked.value("force") is not None and flag("force", asked.value("force"))
    if call.since(IN_USE) and asked.value("force") is not None and not force:
        raise InvalidError("force is no more: volumes in use may have snapshots made of them since 3.66.")
    name, description = named(asked)
    kept = metadata("metadata", asked.value("metadata"))
    allowed = FORCED if force else (("available", "in-use") if call.since(IN_USE) else ("available",))
    now = call.service.clock.wall_us()
    snapshot = Snapshot(
        id=call.service.new_id(),
        project_id=project,
        user_id=await call.user(),
        volume_id=volume.id,
        name=name,
        description=description,
        size=volume.size,
        type_id=volume.type_id,
        created_us=now,
        updated_us=now,
        metadata=kept,
    )
    return await changed_snapshot(call, await start_snapshot(call, snapshot, allowed), 202)


async def start_snapshot(call: Call, snapshot: Snapshot, allowed: tuple[str, ...]) -> Snapshot:
    """Have the task begin. The volume is written as it is: who deletes it at the same time notices. Raises
    InvalidError, OverQuotaError."""
    service = call.service
    for _ in range(ATTEMPTS):
        found = await service.volumes.find(snapshot.volume_id)
        now = await standing(service, found.record)
        if now.volume != found.record:
            continue
        require(now.status, allowed, "have a snapshot made of it")
        size, type_id = found.record.size, found.record.type_id
        task = service.tasks.new_id()
        reservation = await service.quotas.reserve(snapshot.project_id, amounts.of_snapshot(size, type_id), task=task)
        made = replace(
            snapshot, size=size, type_id=type_id, doing=Doing("creating", task, reservation.id, counted=False)
        )
        operations = [*service.snapshots.puts(made), service.volumes.put(found.record)]
        try:
            await service.runner.start(work.CREATE, {"snapshot": made.id}, operations, [found.same], task)
        except Exception as error:
            await not_started(service.quotas, reservation, error)
            if not isinstance(error, ConflictError):
                raise
        else:
            return made
    raise ConflictError("Others keep changing the volume; try again.")


async def update_snapshot(call: Call) -> Response:
    """Another name or description."""
    found = await find_snapshot(call, "volume:update_snapshot")
    asked = (await call.body()).object("snapshot")
    asked.refuse_others({"name", "description", "display_name", "display_description"})
    names = {*asked.names()}
    if not names:
        raise InvalidError("Invalid input: a name or a description is needed.")
    name, description = named(asked)
    now_us = call.service.clock.wall_us()
    after = await call.service.snapshots.change(
        found.record.id,
        lambda one: replace(
            one,
            name=name if names & {"name", "display_name"} else one.name,
            description=description if names & {"description", "display_description"} else one.description,
            updated_us=now_us,
        ),
    )
    return await changed_snapshot(call, after)


async def delete_snapshot(call: Call) -> Response:
    found = await find_snapshot(call, "volume:delete_snapshot")
    await begin_delete(call, found.record.id, DELETABLE)
    return accepted()


async def begin_delete(call: Call, id_: str, allowed: tuple[str, ...] | None, *, leave: bool = False) -> None:
    """Start to delete one that is in a status that is allowed; None is any. With `leave` the store keeps it. Raises
    InvalidError."""
    service = call.service
    for _ in range(ATTEMPTS):
        found = await service.snapshots.find(id_)
        now, status = await snapshot_standing(service, found.record)
        if now != found.record:
            continue
        if status == "deleting" and now.doing is not None:
            raise InvalidError("Invalid snapshot: it is being deleted.")
        if allowed is not None and status not in allowed:
            raise InvalidError(f"Invalid snapshot: to be deleted its status must be {' or '.join(allowed)}.")
        if now.group_snapshot_id is not None:
            raise InvalidError("Invalid snapshot: it belongs to a snapshot of a group.")
        task = service.tasks.new_id()
        after = replace(now, doing=overtaken(now.doing, "deleting", task), error="", declared="")
        try:
            await service.runner.start(
                work.DELETE, {"snapshot": id_, "leave": leave}, [service.snapshots.put(after)], [found.same], task
            )
        except ConflictError:
            continue
        return
    raise ConflictError("Others keep changing the snapshot; try again.")


async def changed_snapshot(call: Call, snapshot: Snapshot, status: int = 200) -> Response:
    """One that was made or changed, as it is now."""
    return answer({"snapshot": changed(call, *await snapshot_standing(call.service, snapshot))}, status)


async def _listed(call: Call) -> Listed:
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("volume:get_all_snapshots", of(mine))
    table = call.service.snapshots
    rows = []
    for one in await (table.every() if everywhere else table.of_project(mine)):
        now, status = await snapshot_standing(call.service, one)
        row = summary(now, status)
        more = {"project_id": now.project_id, "user_id": now.user_id, "consumes_quota": True, "display_name": now.name}
        rows.append(row | more | {"availability_zone": call.service.zone, "_": (now, status)})
    return page(call, rows, FILTERS)


ROUTES: Final[Routes[Call]] = {
    "/snapshots": {"GET": list_snapshots, "POST": create_snapshot},
    "/snapshots/detail": {"GET": list_snapshots_detail},
    "/snapshots/{snapshot_id}": {"GET": show_snapshot, "PUT": update_snapshot, "DELETE": delete_snapshot},
}
