"""A volume is what it was: at a snapshot, or at any time of its window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted
from gateway.rest.fields import Fields
from gateway.rest.times import read_us
from gateway.volumes.actions import Action
from gateway.volumes.call import Call, of
from gateway.volumes.reading import text, text_or_none
from gateway.volumes.records import Doing, Volume, volume_name
from gateway.volumes.standing import begin, find_volume, require, snapshot_standing, standing
from gateway.volumes.volume_create import start_volume
from gateway.volumes.volumes import changed
from gateway.volumes.work import replacing
from store.core.errors import ConflictError, InvalidError
from store.registry import Compare, Put

REVERT: Final = 40


async def revert(call: Call, asked: Fields) -> Response:
    """To the snapshot that was made of it last."""
    service = call.service
    volume = (await find_volume(call, "volume:get")).record
    snapshots = await service.snapshots.of_volume(volume.id)
    if not snapshots:
        raise InvalidError(f"Volume {volume.id} doesn't have any snapshots.")
    latest = snapshots[-1]
    if asked.value("snapshot_id") != latest.id:
        raise InvalidError(f"The snapshot is not the latest one of volume {volume.id}.")
    if volume.size != latest.size:
        raise InvalidError("A volume that was extended since the snapshot cannot be reverted to it.")
    await call.allow("volume:revert_to_snapshot", of(volume.project_id))
    found = await service.snapshots.find(latest.id)
    _, status = await snapshot_standing(service, found.record)
    if status != "available":
        raise ConflictError(f"Invalid snapshot: a volume is reverted to one that is available, not {status}.")

    def along(doing: Doing) -> tuple[Sequence[Put], Sequence[Compare]]:
        after = replace(found.record, doing=Doing("restoring", doing.task))
        return [service.snapshots.put(after)], [found.same]

    await begin(
        service, volume.id, _unused_conflict, "reverting", replacing.REVERT, {"snapshot": latest.id}, along=along
    )
    return accepted()


async def rewind(call: Call, asked: Fields) -> Response:
    """To a time of its window."""
    asked.refuse_others({"time"})
    volume = (await find_volume(call, "volume:revert_to_snapshot")).record
    time_us = await _time(call, volume, asked)
    await begin(call.service, volume.id, _unused, "reverting", replacing.REWIND, {"time_us": time_us})
    return accepted()


async def clone_at(call: Call, asked: Fields) -> Response:
    """A new volume that is what this one was."""
    asked.refuse_others({"time", "name"})
    volume = (await find_volume(call, "volume:get")).record
    project = await call.project()
    await call.allow("volume:create", of(project))
    time_us, name = await _time(call, volume, asked), text_or_none(asked, "name")
    require((await standing(call.service, volume)).status, ("available", "in-use"), "be cloned")
    now = call.service.clock.wall_us()
    made = Volume(
        id=call.service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=name,
        description=None,
        size=volume.size,
        type_id=volume.type_id,
        zone=volume.zone,
        created_us=now,
        updated_us=now,
        image=volume.image,
        bootable=volume.bootable,
        multiattach=volume.multiattach,
        source_id=volume.id,
    )
    made = await start_volume(call, made, {"source": volume.id, "time_us": time_us})
    return await changed(call, made, 202)


async def _time(call: Call, volume: Volume, asked: Fields) -> int:
    """Microseconds since the epoch. Raises InvalidError for one that is not in the window."""
    time_us = read_us("time", text(asked, "time"))
    now, window_us = call.service.clock.wall_us(), (await call.service.store.row(volume_name(volume.id))).window_us
    if not now - window_us <= time_us <= now:
        raise InvalidError(f"time: the volume can be taken back by {window_us // 1_000_000} seconds")
    return time_us


def _unused(_: Volume, status: str) -> None:
    require(status, ("available",), "be taken back")


def _unused_conflict(_: Volume, status: str) -> None:
    if status != "available":
        raise ConflictError(f"Invalid volume: to be reverted its status must be available, not {status}.")


TABLE: Final = {
    "revert": Action(revert, REVERT),
    "drystone-rewind": Action(rewind),
    "drystone-clone-at": Action(clone_at),
}
