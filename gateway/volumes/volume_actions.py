"""Actions of volumes: size, flags, type, status, end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted
from gateway.rest.fields import Fields
from gateway.rest.quota_records import Amounts
from gateway.rest.reserving import reserving
from gateway.volumes import amounts
from gateway.volumes.actions import Action
from gateway.volumes.call import Call, of
from gateway.volumes.reading import SIZE_MAX, flag, text, whole
from gateway.volumes.records import Volume, volume_name
from gateway.volumes.standing import begin, change_volume, find_volume, require, standing
from gateway.volumes.tables import attachment_key, with_attachments
from gateway.volumes.type_records import VolumeType, type_use_key
from gateway.volumes.volume_create import check_size
from gateway.volumes.volumes import begin_delete
from gateway.volumes.work import deleting, replacing
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Delete, Put

ONLINE: Final = 42
"""From this microversion on a volume in use may be extended."""
ADMIN: Final = "volume_extension:volume_admin_actions:"
STATUSES: Final = (
    "creating", "available", "error", "error_deleting", "error_managing", "managing", "attaching", "detaching",
    "in-use", "maintenance", "deleting", "awaiting-transfer", "reserved", "error_extending", "error_restoring",
)  # fmt: skip
Check = Callable[[Volume, str], None]
ATTEMPTS: Final = 8
TRUE_STATUSES: Final = ("available", "in-use")
"""What a volume is where nothing else is so: these are not declared."""


async def extend(call: Call, asked: Fields) -> Response:
    """More GiB, while it is in use, too."""
    asked.refuse_others({"new_size"})
    size = whole("new_size", asked.value("new_size"), 1)
    volume = (await find_volume(call, "volume:get")).record
    online = call.since(ONLINE) and (await standing(call.service, volume)).status == "in-use"
    await call.allow("volume:extend_attached_volume" if online else "volume:extend", of(volume.project_id))
    await check_size(call, volume.project_id, size)

    def check(now: Volume, status: str) -> None:
        if size <= now.size:
            raise InvalidError(f"Invalid input received: the new size must be greater than the current {now.size}GB.")
        if size > SIZE_MAX:
            raise InvalidError(f"Invalid input received: a volume has at most {SIZE_MAX} GiB.")
        require(status, ("in-use",) if online else ("available",), "be extended")

    def more(now: Volume) -> Amounts:
        return amounts.of_growth(size - now.size, now.type_id)

    await begin(call.service, volume.id, check, "extending", deleting.EXTEND, {"size": size}, amounts=more)
    return accepted()


async def set_bootable(call: Call, asked: Fields) -> Response:
    asked.refuse_others({"bootable"})
    bootable = flag("bootable", asked.value("bootable"))
    found = await find_volume(call, "volume:update")

    def step(volume: Volume, status: str) -> Volume:
        if status == "maintenance":
            raise InvalidError("Invalid volume: it cannot be updated during maintenance.")
        return replace(volume, bootable=bootable)

    await change_volume(call.service, found.record.id, step)
    return Response(status_code=200)


async def set_readonly(call: Call, asked: Fields) -> Response:
    asked.refuse_others({"readonly"})
    readonly = flag("readonly", asked.value("readonly"))
    found = await find_volume(call, "volume:update_readonly_flag")

    def step(volume: Volume, status: str) -> Volume:
        require(status, ("available",), "be made read-only or not")
        return replace(volume, readonly=readonly)

    await change_volume(call.service, found.record.id, step)
    return accepted()


async def reset_status(call: Call, asked: Fields) -> Response:
    """An administrator's word. `available` and `in-use` take back what was declared, an error, and a task that nobody
    does any more: what is so is told then. Any other status is declared, and told until then, or until something is
    done with the volume. What a task does is told before all. `attach_status` detached cuts off whoever has it."""
    found = await find_volume(call, f"{ADMIN}reset_status")
    asked.refuse_others({"status", "attach_status", "migration_status"})
    if not any(asked.value(name) for name in ("status", "attach_status", "migration_status")):
        raise InvalidError("os-reset_status: one of status, attach_status and migration_status is needed")
    status = _lower(asked, "status", STATUSES)
    detached = _lower(asked, "attach_status", ("attached", "detached")) == "detached"
    if status == "deleting" or (status == "in-use" and not found.record.attachments):
        raise InvalidError(f"Cannot reset-state to {status}: the volume is not.")
    if detached:
        await call.service.exports.cut_off(volume_name(found.record.id))
    await _declare(call, found.record.id, status, detached=detached)
    return accepted()


async def _declare(call: Call, id_: str, status: str, *, detached: bool) -> None:
    volume = (await call.service.volumes.find(id_)).record
    lost = volume.doing if await call.service.is_lost(volume.doing) else None
    gone: list[str] = []

    def step(now: Volume, _: str) -> Volume:
        gone[:] = [one.id for one in now.attachments] if detached else []
        after = with_attachments(now, ()) if detached else now
        if not status:
            return after
        declared = "" if status in TRUE_STATUSES else status
        doing = None if lost is not None and now.doing == lost else now.doing
        return replace(after, declared=declared, error="", mark="", doing=doing)

    await change_volume(call.service, id_, step, lambda _: [Delete(attachment_key(one)) for one in gone])


async def force_delete(call: Call, _: Fields) -> Response:
    found = await find_volume(call, f"{ADMIN}force_delete")
    await begin_delete(call, found.record, cascade=False, force=True)
    return accepted()


async def unmanage(call: Call, _: Fields) -> Response:
    """It is forgotten here; the store keeps it."""
    found = await find_volume(call, "volume_extension:volume_unmanage")
    await begin_delete(call, found.record, leave=True)
    return accepted()


async def retype(call: Call, asked: Fields) -> Response:
    """To a type of the same storage policy at once; to one of another by a copy, where that is allowed."""
    found = await find_volume(call, "volume:retype")
    asked.refuse_others({"new_type", "migration_policy"})
    policy = asked.one_of("migration_policy", ("on-demand", "never")) if asked.value("migration_policy") else "never"
    service, volume = call.service, found.record
    target = await _target(call, text(asked, "new_type"), volume)
    copies = service.types.policy_of(target) != (await service.store.row(volume_name(volume.id))).policy

    def check(now: Volume, status: str) -> None:
        require(status, ("available", "in-use"), "be retyped")
        if now.type_id == target.id:
            raise InvalidError("Invalid volume: the requested type has to be another than the one it has.")
        if now.multiattach != target.multiattach:
            require(status, ("available",), "become or cease to be a multiattach volume")
        if copies:
            require(status, ("available",), "be copied to another storage policy")

    if not copies:
        await _retype_now(call, volume.id, target, check)
        return accepted()
    if policy == "never":
        raise InvalidError("Invalid volume: the type has another storage policy; that takes the policy on-demand.")
    if await service.snapshots.of_volume(volume.id):
        raise InvalidError("Invalid volume: one with snapshots cannot be copied to another storage policy.")
    await begin(
        service, volume.id, check, "retyping", replacing.RETYPE, {"type": target.id},
        amounts=lambda now: amounts.of_type(now.size, target.id),
    )  # fmt: skip
    return accepted()


async def _target(call: Call, said: str, volume: Volume) -> VolumeType:
    try:
        target = await call.service.types.named(said)
    except NotFoundError as error:
        raise InvalidError(f"Invalid input received: Invalid volume_type passed: {said[:64]}.") from error
    if not target.open_to(volume.project_id) and not await call.is_admin():
        raise InvalidError(f"Invalid input received: Invalid volume_type passed: {said[:64]}.")
    if target.encryption:
        raise InvalidError(f"Invalid volume type {target.name}: encrypted volumes are not served here.")
    if target.multiattach and not volume.multiattach:
        await call.allow("volume:multiattach", of(volume.project_id))
    return target


async def _retype_now(call: Call, id_: str, target: VolumeType, check: Check) -> None:
    """Nothing is copied: the record and what is counted change in one moment."""
    service = call.service
    there = Compare.exists(service.types.table.key(target.project_id, target.id))
    for _ in range(ATTEMPTS):
        found = await service.volumes.find(id_)
        volume = found.record
        check(volume, (await standing(service, volume)).status)
        counted = amounts.of_type(volume.size, target.id)
        after = replace(volume, type_id=target.id, multiattach=target.multiattach, updated_us=service.clock.wall_us())
        operations = [service.volumes.put(after), Put(type_use_key(target.id), b"")]
        frees = amounts.of_type(volume.size, volume.type_id)
        try:
            async with reserving(service.quotas, volume.project_id, counted) as reservation:
                await service.quotas.commit(reservation, operations, [found.same, there], frees)
        except ConflictError:
            continue
        return
    raise ConflictError("Others keep changing the volume; try again.")


def _lower(asked: Fields, name: str, known: tuple[str, ...]) -> str:
    value = asked.value(name)
    if not value:
        return ""
    if not isinstance(value, str) or value.lower() not in known:
        raise InvalidError(f"os-reset_status.{name}: one of {', '.join(known)}")
    return value.lower()


TABLE: Final = {
    "os-extend": Action(extend),
    "os-set_bootable": Action(set_bootable),
    "os-update_readonly_flag": Action(set_readonly),
    "os-reset_status": Action(reset_status),
    "os-force_delete": Action(force_delete),
    "os-unmanage": Action(unmanage),
    "os-retype": Action(retype),
}
