"""Attachments: a volume is reserved for a server, connected to a host, and in use once the server says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.times import shown_us
from gateway.volumes.actions import Action, acting
from gateway.volumes.attaching import changed, detached, reserved
from gateway.volumes.call import Call, from_minor, of
from gateway.volumes.listing import Filters, Listed, Row, page, wants_all
from gateway.volumes.reading import id_of, id_or_none
from gateway.volumes.records import Attachment, Volume, export_name
from gateway.volumes.standing import change_volume, find_volume, require
from gateway.volumes.tables import attachment_key
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Delete, Put

SINCE: Final = 27
COMPLETES: Final = 44
MODE: Final = 54
CONNECTOR_MAX: Final = 16 * 1024
FILTERS: Final = Filters(
    exact=frozenset({"volume_id", "status", "instance_id", "attach_status", "project_id"}),
    sorts=frozenset({"id", "created_at", "volume_id", "status", "attach_status", "instance_id"}),
)


async def list_attachments(call: Call) -> Response:
    return answer({"attachments": [summary(*row["_"]) for row in (await _listed(call)).rows]})


async def list_attachments_detail(call: Call) -> Response:
    return answer({"attachments": [detail(call, *row["_"]) for row in (await _listed(call)).rows]})


async def show_attachment(call: Call) -> Response:
    volume, one = await _find(call, "volume:get")
    return answer({"attachment": detail(call, volume, one)})


async def create_attachment(call: Call) -> Response:
    """The volume is reserved; with a connector it is connected, too."""
    asked = (await call.body()).object("attachment")
    asked.refuse_others({"instance_uuid", "connector", "volume_uuid", *(("mode",) if call.since(MODE) else ())})
    volume_id = id_of("volume_uuid", asked.value("volume_uuid"))
    mode = asked.one_of("mode", ("rw", "ro")) if asked.value("mode") is not None else None
    connector = _connector(asked) if asked.value("connector") else None
    found = (await find_volume(call, "volume:attachment_create", volume_id)).record
    if found.multiattach and found.bootable and found.attachments:
        await call.allow("volume:multiattach_bootable_volume", of(found.project_id))
    server = id_or_none(asked, "instance_uuid")
    made = Attachment(call.service.new_id(), "reserved", server, mode=mode, project_id=await call.project())
    if found.readonly:
        made = replace(made, mode="ro")
    if connector is not None:
        made = _connected(made, connector)
    volume = await change_volume(
        call.service,
        volume_id,
        lambda volume, status: reserved(volume, status, made),
        lambda after: [Put(attachment_key(made.id), after.id.encode())],
    )
    return answer({"attachment": detail(call, volume, made)})


async def update_attachment(call: Call) -> Response:
    """The host that it is connected to."""
    volume, one = await _find(call, "volume:attachment_update")
    asked = (await call.body()).object("attachment")
    asked.refuse_others({"connector"})
    connector = _connector(asked)

    def step(now: Volume, status: str) -> Volume:
        if "error" in status:
            raise ConflictError(f"A volume in status {status} cannot be connected.")
        return changed(now, one.id, _connected(_of(now, one), connector))

    volume = await change_volume(call.service, volume.id, step)
    return answer({"attachment": detail(call, volume, _of(volume, one))})


async def complete_attachment(call: Call, _: Fields) -> Response:
    """The server has it."""
    volume, one = await _find(call, "volume:attachment_complete")
    now_us = call.service.clock.wall_us()

    def step(now: Volume, status: str) -> Volume:
        require(status, ("reserved", "attaching", "in-use", "detaching"), "be in use")
        mine = _of(now, one)
        after = replace(mine, state="attached", attached_us=mine.attached_us or now_us)
        return changed(now, one.id, after)

    await change_volume(call.service, volume.id, step)
    return nothing()


async def delete_attachment(call: Call) -> Response:
    """The others that the volume has are told."""
    volume, one = await _find(call, "volume:attachment_delete")
    await require_unused(call, volume, one)
    after = await change_volume(
        call.service,
        volume.id,
        lambda now, _: detached(now, one.id),
        lambda _: [Delete(attachment_key(one.id))],
    )
    return answer({"attachments": [summary(after, each) for each in after.attachments]})


async def require_unused(call: Call, volume: Volume, one: Attachment) -> None:
    """Raises ConflictError where a server has the volume by that attachment, unless it is a service that asks: to end
    it behind the server's back would leave it with a disk that is another's tomorrow."""
    if one.server_id is None or not one.connector or await call.is_service():
        return
    if await call.service.servers.uses(one.server_id, volume.id, one.id):
        raise ConflictError(f"Detach volume from instance {one.server_id} using the Compute API.")


def connection_info(call: Call, volume: Volume, mode: str, export: str) -> dict[str, Any]:
    """What a host needs to reach the volume."""
    return {
        "driver_volume_type": "nbd",
        "data": {
            **call.service.exports.place(),
            "export": export,
            "volume_id": volume.id,
            "access_mode": mode,
            "encrypted": False,
            "discard": True,
            "qos_specs": None,
        },
    }


def summary(volume: Volume, one: Attachment) -> Row:
    """What short lists say of it."""
    return {"id": one.id, "status": one.state, "instance": one.server_id, "volume_id": volume.id}


def detail(call: Call, volume: Volume, one: Attachment) -> Row:
    """All of it; where the volume is reached, once it is connected."""
    info: dict[str, Any] = {}
    if one.connector:
        made = connection_info(call, volume, one.mode or "rw", export_name(one.id))
        info = {"driver_volume_type": made["driver_volume_type"], **made["data"], "attachment_id": one.id}
    return summary(volume, one) | {
        "attached_at": shown_us(one.attached_us) if one.attached_us else "",
        "detached_at": "",
        "attach_mode": one.mode or "null",
        "connection_info": info,
    }


def _connector(asked: Fields) -> dict[str, Any]:
    found = asked.object("connector").others(frozenset())
    if not found:
        raise InvalidError("attachment.connector: it has one property at least")
    if len(json.dumps(found)) > CONNECTOR_MAX:
        raise InvalidError(f"attachment.connector: {CONNECTOR_MAX} bytes at most")
    return found


def _connected(one: Attachment, connector: dict[str, Any]) -> Attachment:
    mode, mountpoint, host = connector.get("mode"), connector.get("mountpoint"), connector.get("host")
    if mode not in (None, "null", "rw", "ro"):
        raise InvalidError("attachment.connector.mode: rw or ro")
    for name, value in (("mountpoint", mountpoint), ("host", host)):
        if value is not None and (not isinstance(value, str) or len(value) > 255):
            raise InvalidError(f"attachment.connector.{name}: a text of 255 characters at most")
    return replace(
        one,
        state="attached" if one.state == "attached" else "attaching",
        connector=json.dumps(connector),
        host=host or one.host,
        mountpoint=mountpoint or one.mountpoint,
        mode=(mode if mode in ("rw", "ro") else None) or one.mode or "rw",
    )


def _of(now: Volume, one: Attachment) -> Attachment:
    """The attachment as the volume has it now; as it was where it is gone."""
    return next((each for each in now.attachments if each.id == one.id), one)


async def _find(call: Call, operation: str) -> tuple[Volume, Attachment]:
    """Raises NotFoundError, also to those who may not see it."""
    id_ = call.path("attachment_id")
    volume, one = await call.service.volumes.with_attachment(id_)
    missing = NotFoundError(f"Attachment {id_} could not be found.")
    await call.allow_found(operation, volume.project_id, missing)
    return volume, one


async def _listed(call: Call) -> Listed:
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("volume:get_all", of(mine))
    table = call.service.volumes
    rows = [
        summary(volume, one)
        | {
            "attach_status": one.state,
            "instance_id": one.server_id,
            "project_id": volume.project_id,
            "created_at": volume.created_us,
            "_": (volume, one),
        }
        for volume in await (table.every() if everywhere else table.of_project(mine))
        for one in volume.attachments
    ]
    return page(call, rows, FILTERS)


ROUTES: Final[Routes[Call]] = {
    "/attachments": {
        "GET": from_minor(SINCE, list_attachments),
        "POST": from_minor(SINCE, create_attachment),
    },
    "/attachments/detail": {"GET": from_minor(SINCE, list_attachments_detail)},
    "/attachments/{attachment_id}": {
        "GET": from_minor(SINCE, show_attachment),
        "PUT": from_minor(SINCE, update_attachment),
        "DELETE": from_minor(SINCE, delete_attachment),
    },
    "/attachments/{attachment_id}/action": {"POST": acting({"os-complete": Action(complete_attachment, COMPLETES)})},
}
