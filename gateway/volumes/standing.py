"""Volumes and snapshots as they are now: found for whoever may see them, and with their status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.rest.quota_records import Amounts
from gateway.rest.reserving import not_started
from gateway.volumes.call import Call
from gateway.volumes.records import Doing, Snapshot, Volume, overtaken
from gateway.volumes.service import VolumeService
from gateway.volumes.status import status_of, volume_status
from gateway.volumes.table import Found
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Delete, Put

ATTEMPTS: Final = 32


@dataclass(frozen=True, slots=True)
class Standing:
    """A volume, and what its status is."""

    volume: Volume
    status: str


async def find_volume(call: Call, operation: str, id_: str | None = None, near: str | None = None) -> Found[Volume]:
    """The volume in the path, or of an id. Raises NotFoundError, also to those who may not see it, and ForbiddenError
    to those who may."""
    id_ = call.path("volume_id") if id_ is None else id_
    mine = str((await call.credentials()).get("project_id") or "")
    found = await call.service.volumes.find(id_, near or mine)
    missing = NotFoundError(f"Volume {id_} could not be found.")
    await call.allow_found(operation, found.record.project_id, missing)
    return found


async def find_snapshot(call: Call, operation: str, id_: str | None = None) -> Found[Snapshot]:
    """The same of a snapshot."""
    id_ = call.path("snapshot_id") if id_ is None else id_
    mine = str((await call.credentials()).get("project_id") or "")
    found = await call.service.snapshots.find(id_, mine)
    missing = NotFoundError(f"Snapshot {id_} could not be found.")
    await call.allow_found(operation, found.record.project_id, missing)
    return found


async def standing(service: VolumeService, volume: Volume) -> Standing:
    """With the status. A volume whose task has ended since it was read is read again."""
    lost = await service.is_lost(volume.doing)
    if lost:
        with suppress(NotFoundError):
            now = (await service.volumes.find(volume.id, volume.project_id)).record
            lost, volume = now.doing == volume.doing, now
    return Standing(volume, volume_status(volume, service.clock.wall_us(), lost=lost))


async def snapshot_standing(service: VolumeService, snapshot: Snapshot) -> tuple[Snapshot, str]:
    """The same of a snapshot."""
    lost = await service.is_lost(snapshot.doing)
    if lost:
        with suppress(NotFoundError):
            now = (await service.snapshots.find(snapshot.id, snapshot.project_id)).record
            lost, snapshot = now.doing == snapshot.doing, now
    return snapshot, status_of(snapshot, lost=lost)


def require(status: str, expected: Sequence[str], doing: str) -> None:
    """Raises InvalidError unless the status is one of those in which that may be done."""
    if status not in expected:
        raise InvalidError(f"Invalid volume: to {doing} its status must be {' or '.join(expected)}, not {status}.")


async def change_volume(
    service: VolumeService,
    id_: str,
    step: Callable[[Volume, str], Volume],
    along: Callable[[Volume], Sequence[Put | Delete]] = lambda _: (),
) -> Volume:
    """Have a volume be what `step` makes of it and its status, which may raise, and do what goes `along`. Raises
    NotFoundError, and ConflictError where others keep changing it."""
    for _ in range(ATTEMPTS):
        found = await service.volumes.find(id_)
        now = await standing(service, found.record)
        if now.volume != found.record:
            continue
        after = step(found.record, now.status)
        operations = [service.volumes.put(after), *along(after)]
        if after == found.record or (await service.registry.transact([found.same], operations)).succeeded:
            return after
    raise ConflictError("Others keep changing the same; try again.")


async def begin(
    service: VolumeService,
    id_: str,
    check: Callable[[Volume, str], None],
    what: str,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    amounts: Callable[[Volume], Amounts] | None = None,
    along: Callable[[Doing], tuple[Sequence[Put], Sequence[Compare]]] = lambda _: ((), ()),
) -> Volume:
    """Start a task that does something with a volume, which is `what` from now on, where `check` of it and its status
    raises nothing. `amounts` are reserved for it. Raises OverQuotaError, ConflictError, BusyError."""
    for _ in range(ATTEMPTS):
        found = await service.volumes.find(id_)
        now = await standing(service, found.record)
        if now.volume != found.record:
            continue
        check(found.record, now.status)
        task = service.tasks.new_id()
        doing, reservation = overtaken(found.record.doing, what, task), None
        if amounts is not None:
            reservation = await service.quotas.reserve(found.record.project_id, amounts(found.record), task=task)
            doing = replace(doing, reservation=reservation.id)
        after = replace(found.record, doing=doing, error="", declared="", mark="")
        puts, compares = along(doing)
        try:
            await service.runner.start(
                kind, {"volume": id_, **arguments}, [service.volumes.put(after), *puts], [found.same, *compares], task
            )
        except Exception as error:
            if reservation is not None:
                await not_started(service.quotas, reservation, error)
            if not isinstance(error, ConflictError):
                raise
        else:
            return after
    raise ConflictError("Others keep changing the same; try again.")
