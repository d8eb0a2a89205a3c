"""Actions of servers' side, as they were before attachments had paths of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.fields import Fields
from gateway.volumes.actions import Action
from gateway.volumes.attaching import attached, chosen, detached
from gateway.volumes.attachments import connection_info, require_unused
from gateway.volumes.call import Call
from gateway.volumes.reading import id_of, id_or_none, text
from gateway.volumes.records import Attachment, Volume, volume_name
from gateway.volumes.standing import change_volume, find_volume, require, standing
from gateway.volumes.tables import attachment_key
from store.core.errors import InvalidError
from store.registry import Delete, Put

ACTIONS: Final = "volume_extension:volume_actions:"


async def reserve(call: Call, _: Fields) -> Response:
    """Somebody is about to attach it. That lapses."""

    def step(volume: Volume, status: str) -> Volume:
        require(status, ("available", "in-use") if volume.multiattach else ("available",), "be reserved")
        return replace(volume, mark="attaching", marked_us=call.service.clock.wall_us())

    return await _changed(call, "reserve", step)


async def unreserve(call: Call, _: Fields) -> Response:
    return await _changed(call, "unreserve", lambda volume, _: _unmarked(volume, "attaching"))


async def begin_detaching(call: Call, _: Fields) -> Response:
    """Somebody is about to detach it. That lapses."""

    def step(volume: Volume, status: str) -> Volume:
        require(status, ("in-use",), "be detached")
        return replace(volume, mark="detaching", marked_us=call.service.clock.wall_us())

    return await _changed(call, "begin_detaching", step)


async def roll_detaching(call: Call, _: Fields) -> Response:
    return await _changed(call, "roll_detaching", lambda volume, _: _unmarked(volume, "detaching"))


async def attach(call: Call, asked: Fields) -> Response:
    """A server or a host has it now."""
    asked.refuse_others({"instance_uuid", "host_name", "mountpoint", "mode"})
    server = id_of("instance_uuid", asked.value("instance_uuid")) if "instance_uuid" in asked else None
    host = text(asked, "host_name") if asked.value("host_name") is not None else None
    if server is None and host is None:
        raise InvalidError("os-attach: 'instance_uuid' or 'host_name' is a required property")
    mode = asked.one_of("mode", ("rw", "ro")) if "mode" in asked else "rw"
    service = call.service
    made = Attachment(
        service.new_id(), "attached", server, host, text(asked, "mountpoint"), mode, service.clock.wall_us(), "",
        await call.project(),
    )  # fmt: skip
    found = await find_volume(call, f"{ACTIONS}attach")

    def along(after: Volume) -> list[Put]:
        there = any(one.id == made.id for one in after.attachments)
        return [Put(attachment_key(made.id), after.id.encode())] if there else []

    await change_volume(service, found.record.id, lambda volume, status: attached(volume, status, made), along)
    return accepted()


async def detach(call: Call, asked: Fields) -> Response:
    """Nobody has it any more by that attachment."""
    found = await find_volume(call, f"{ACTIONS}detach")
    asked.refuse_others({"attachment_id"})
    await _detach(call, found.record, id_or_none(asked, "attachment_id"))
    return accepted()


async def force_detach(call: Call, asked: Fields) -> Response:
    """Whoever has the volume open is cut off first: so nothing is written any more by who is told of no longer. A
    server is not cut off: its disk would stay with it."""
    found = await find_volume(call, "volume_extension:volume_admin_actions:force_detach")
    id_ = id_or_none(asked, "attachment_id")
    one = chosen(found.record, id_)
    if one is not None:
        await require_unused(call, found.record, one)
    await call.service.exports.cut_off(volume_name(found.record.id))
    await _remove(call, found.record.id, id_, forced=True)
    return accepted()


async def initialize_connection(call: Call, asked: Fields) -> Response:
    """Where the volume is reached."""
    found = await find_volume(call, f"{ACTIONS}initialize_connection")
    if (await standing(call.service, found.record)).status == "maintenance":
        raise InvalidError("Invalid volume: it has no connections during maintenance.")
    connector = asked.value("connector")
    if not isinstance(connector, dict):
        raise InvalidError("os-initialize_connection: 'connector' is a required property")
    info: dict[str, Any] = connection_info(
        call, found.record, "ro" if found.record.readonly else "rw", volume_name(found.record.id)
    )
    return answer({"connection_info": info | {"enforce_multipath": bool(connector.get("enforce_multipath"))}})


async def terminate_connection(call: Call, asked: Fields) -> Response:
    """There is nothing to end: connections of NBD end with the client. Who believes that one of a server's has ended
    would be wrong."""
    volume = (await find_volume(call, f"{ACTIONS}terminate_connection")).record
    if "connector" not in asked:
        raise InvalidError("os-terminate_connection: 'connector' is a required property")
    if len(volume.attachments) == 1:
        await require_unused(call, volume, volume.attachments[0])
    return accepted()


async def _detach(call: Call, volume: Volume, id_: str | None) -> None:
    if (await standing(call.service, volume)).status == "maintenance":
        raise InvalidError("Invalid volume: it cannot be detached during maintenance.")
    one = chosen(volume, id_)
    if one is not None:
        await require_unused(call, volume, one)
    await _remove(call, volume.id, id_, forced=False)


async def _remove(call: Call, volume_id: str, id_: str | None, *, forced: bool) -> None:
    gone: list[str] = []

    def step(volume: Volume, _: str) -> Volume:
        one = chosen(volume, id_)
        gone[:] = [] if one is None else [one.id]
        after = volume if one is None else detached(volume, one.id)
        return replace(after, mark="", declared="" if forced else after.declared)

    await change_volume(call.service, volume_id, step, lambda _: [Delete(attachment_key(one)) for one in gone])


async def _changed(call: Call, operation: str, step: Callable[[Volume, str], Volume]) -> Response:
    found = await find_volume(call, f"{ACTIONS}{operation}")
    await change_volume(call.service, found.record.id, step)
    return accepted()


def _unmarked(volume: Volume, mark: str) -> Volume:
    return replace(volume, mark="") if volume.mark == mark else volume


TABLE: Final = {
    "os-reserve": Action(reserve),
    "os-unreserve": Action(unreserve),
    "os-begin_detaching": Action(begin_detaching),
    "os-roll_detaching": Action(roll_detaching),
    "os-attach": Action(attach),
    "os-detach": Action(detach),
    "os-force_detach": Action(force_detach),
    "os-initialize_connection": Action(initialize_connection),
    "os-terminate_connection": Action(terminate_connection),
}
