"""Volumes: lists, one, its change and its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.volumes.call import Call, of
from gateway.volumes.listing import Filters, Listed, Row, page, wants_all
from gateway.volumes.reading import flag, metadata, named
from gateway.volumes.records import Doing, Volume, overtaken
from gateway.volumes.standing import begin, change_volume, find_volume, require, standing
from gateway.volumes.status import attach_status
from gateway.volumes.volume_view import VolumeViews, summary
from gateway.volumes.work import deleting
from store.core.errors import InvalidError, NotFoundError
from store.registry import Compare, Put

FILTERS: Final = Filters(
    exact=frozenset(
        {"name", "status", "migration_status", "availability_zone", "group_id", "size", "snapshot_id", "source_volid"}
        | {"id", "project_id", "user_id", "volume_type_id", "description", "multiattach", "attach_status"}
    ),
    like=frozenset({"name", "description"}),
    dicts=frozenset({"metadata", "glance_metadata"}),
    times=frozenset({"created_at", "updated_at"}),
    flags=frozenset({"bootable", "consumes_quota"}),
    sorts=frozenset(
        {"id", "name", "display_name", "status", "size", "availability_zone", "created_at", "updated_at", "bootable"}
        | {"volume_type_id", "user_id", "project_id", "attach_status", "migration_status"}
    ),
)
SUMMARY_METADATA: Final = 36
FORCE: Final = 23
SNAPSHOTS_AT_ONCE: Final = 100
"""That go with their volume: all are marked in one transaction."""
DELETABLE: Final = ("available", "error", "error_restoring", "error_extending", "error_managing", "error_deleting")


async def list_volumes(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("volumes", [summary(call, row["_"].volume) for row in found.rows]))


async def list_volumes_detail(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("volumes", [row["_shown"] for row in found.rows]))


async def summarize(call: Call) -> Response:
    """How many volumes there are, of what size, and what their metadata have."""
    volumes = await _visible(call)
    found: dict[str, Any] = {"total_count": len(volumes), "total_size": sum(one.size for one in volumes)}
    if call.since(SUMMARY_METADATA):
        values: dict[str, set[str]] = {}
        for volume in volumes:
            for key, value in volume.metadata.items():
                values.setdefault(key, set()).add(value)
        found["metadata"] = {key: sorted(held) for key, held in values.items()}
    return answer({"volume-summary": found})


async def show_volume(call: Call) -> Response:
    found = await find_volume(call, "volume:get")
    views = await VolumeViews.of(call)
    return answer({"volume": views.detail(await standing(call.service, found.record))})


async def update_volume(call: Call) -> Response:
    """Another name, description or metadata."""
    found = await find_volume(call, "volume:update")
    asked = (await call.body()).object("volume")
    asked.refuse_others({"name", "description", "display_name", "display_description", "metadata"})
    if not asked.names() and call.since(53):
        raise InvalidError("Invalid input: one of name, description and metadata is needed.")
    name, description = named(asked)

    def step(volume: Volume, status: str) -> Volume:
        if status == "maintenance":
            raise InvalidError("Invalid volume: it cannot be updated during maintenance.")
        names = asked.names()
        return replace(
            volume,
            name=name if "name" in names or "display_name" in names else volume.name,
            description=description if {"description", "display_description"} & {*names} else volume.description,
            metadata=metadata("metadata", asked.value("metadata")) if "metadata" in names else volume.metadata,
            updated_us=call.service.clock.wall_us(),
        )

    return await changed(call, await change_volume(call.service, found.record.id, step))


async def delete_volume(call: Call) -> Response:
    """It goes; with `cascade` its snapshots, too, with `force` whatever its status is."""
    force = call.since(FORCE) and flag("force", call.query.get("force", "false"))
    cascade = flag("cascade", call.query.get("cascade", "false"))
    found = await find_volume(call, "volume:delete")
    if force:
        await call.allow("volume:force_delete", of(found.record.project_id))
    await begin_delete(call, found.record, cascade=cascade, force=force)
    return accepted()


async def begin_delete(
    call: Call, volume: Volume, *, cascade: bool = False, force: bool = False, leave: bool = False
) -> None:
    """Start to; with `leave` the store keeps it. Raises InvalidError where it is not in a state to be deleted."""
    service = call.service
    snapshots = [await service.snapshots.find(one.id) for one in await service.snapshots.of_volume(volume.id)]
    if len(snapshots) > SNAPSHOTS_AT_ONCE:
        raise InvalidError(
            f"Invalid volume: it has more than {SNAPSHOTS_AT_ONCE} snapshots; delete some of them first."
        )

    def check(now: Volume, status: str) -> None:
        if snapshots and not cascade:
            raise InvalidError("Invalid volume: it has snapshots, and must have none to be deleted.")
        if attach_status(now) == "attached":
            raise InvalidError("Invalid volume: it is attached, and must not be to be deleted.")
        if now.group_id is not None:
            raise InvalidError("Invalid volume: it belongs to a group.")
        if not force:
            require(status, DELETABLE, "be deleted")

    def along(doing: Doing) -> tuple[Sequence[Put], Sequence[Compare]]:
        puts: list[Put] = []
        for one in snapshots:
            marked = replace(one.record, doing=overtaken(one.record.doing, "deleting", doing.task))
            puts.append(service.snapshots.put(marked))
        return puts, [one.same for one in snapshots]

    what = "unmanaging" if leave else "deleting"
    await begin(service, volume.id, check, what, deleting.DELETE, {"leave": leave}, along=along)


async def changed(call: Call, volume: Volume, status: int = 200) -> Response:
    """A volume that was made or changed, as it is now."""
    views = await VolumeViews.of(call)
    return answer({"volume": views.changed(await standing(call.service, volume))}, status)


async def _visible(call: Call) -> list[Volume]:
    """Of the caller's project, or of all to an administrator who asks for that."""
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("volume:get_all", of(mine))
    if everywhere:
        return await call.service.volumes.every()
    return await call.service.volumes.of_project(mine)


async def _listed(call: Call) -> Listed:
    views, rows = await VolumeViews.of(call), list[Row]()
    for volume in await _visible(call):
        with suppress(NotFoundError):
            rows.append(views.row(await standing(call.service, volume)))
    return page(call, rows, FILTERS)
