"""/servers/{server_id}/os-volume_attachments: volumes of a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, ServerDisk, VmState
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import cut
from compute_plugin.v2.frame.reading import body_of, flag_in, uuid_of
from compute_plugin.v2.servers.beginning import begin, change_server, require_unlocked
from compute_plugin.v2.servers.disk_choice import MULTIATTACH, free_target
from compute_plugin.v2.servers.finding import find_server
from compute_plugin.v2.servers.wanted import check_tag
from compute_plugin.v2.servers.wanted_disks import target_of
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError, NotFoundError

A: Final = "os_compute_api:os-volumes-attachments:"
TAGGED: Final = 49
SHOWN_TAG: Final = 70
TERMINATION: Final = 79
CHANGED: Final = 85
SHORT: Final = 89


async def list_attachments(call: Call) -> Response:
    server = await find_server(call, f"{A}index")
    rows = [disk for disk in server.disks if disk.volume_id]
    return answer({"volumeAttachments": [_shown(call, server, one) for one in cut(call, rows)]})


async def show_attachment(call: Call) -> Response:
    server = await find_server(call, f"{A}show")
    return answer({"volumeAttachment": _shown(call, server, _disk(call, server))})


async def attach(call: Call) -> Response:
    known = ["device", *(("tag",) if call.since(TAGGED) else ())]
    known += ["delete_on_termination"] if call.since(TERMINATION) else []
    asked = await body_of(call, "volumeAttachment", ("volumeId",), known)
    volume = uuid_of("volumeId", asked.value("volumeId"))
    device = target_of("device", asked.value("device"))
    tag = asked.value("tag")
    if tag is not None:
        check_tag(tag)
    terminates = flag_in(asked, "delete_on_termination")
    server = await find_server(call, f"{A}create")
    require_unlocked(call, server, await call.is_admin())
    clients, caller = call.service.clients, await call.credentials()
    _require_other(server, volume)
    row = await clients.volumes.volume(caller, volume)
    shared = bool(row.get("multiattach"))
    if shared and not call.since(MULTIATTACH):
        raise InvalidError(f"Volume {volume} has 'multiattach' set, which is not supported for this request.")
    if row["status"] not in (("available", "in-use") if shared else ("available",)):
        raise InvalidError(f"Invalid volume: volume {volume} status must be available, not {row['status']}.")
    attachment = await clients.volumes.reserve(caller, volume, server.id)
    bus = server.image_properties.get("hw_disk_bus", "virtio")

    def along(_: Records, server: Server) -> Server:
        _require_other(server, volume)
        used = {disk.target for disk in server.disks}
        disk = ServerDisk(
            source="volume",
            source_id=volume,
            destination="volume",
            volume_id=volume,
            attachment_id=attachment,
            size=int(row["size"]),
            bus=bus,
            target=device if device and device not in used else free_target(bus, used),
            delete_on_termination=terminates,
            tag=tag,
            shareable=shared,
        )
        return replace(server, disks=(*server.disks, disk))

    host = None if server.host else ""
    try:
        after = await begin(call, server, "attach-volume", {"volume": volume}, before=along, host=host)
    except Exception:
        await clients.volumes.release(attachment)
        raise
    disk = next(disk for disk in after.disks if disk.volume_id == volume)
    return answer({"volumeAttachment": _shown(call, after, disk, made=True)})


def _require_other(server: Server, volume: str) -> None:
    if any(disk.volume_id == volume for disk in server.disks):
        raise InvalidError(f"Volume {volume} is already attached to instance {server.id}")


async def change_attachment(call: Call) -> Response:
    """Whether the volume goes with its server. Another volume in its place is for the volume service alone, which
    migrates none here."""
    known = ["id", "device", "serverId", "tag", "delete_on_termination"] if call.since(CHANGED) else []
    asked = await body_of(call, "volumeAttachment", ("volumeId",), known)
    volume = uuid_of("volumeId", asked.value("volumeId"))
    server = await find_server(call, f"{A}update")
    disk = _disk(call, server)
    if volume != disk.volume_id:
        await call.allow(f"{A}swap", {"project_id": server.project_id})
        raise InvalidError("Volumes of servers are not swapped here.")
    if "delete_on_termination" not in asked:
        raise InvalidError("The volume is attached already.")
    require_unlocked(call, server, await call.is_admin())
    said = {"id": volume, "serverId": server.id, "device": f"/dev/{disk.target}", "tag": disk.tag}
    for name, held in said.items():
        if name in asked and asked.value(name) != held:
            raise InvalidError(f"The {name} field of an attachment cannot be changed.")
    terminates = flag_in(asked, "delete_on_termination")

    def changed(_: Records, server: Server) -> Server:
        disks = tuple(
            replace(one, delete_on_termination=terminates) if one.volume_id == volume else one for one in server.disks
        )
        return replace(server, disks=disks)

    await change_server(call, server, changed)
    return accepted()


async def detach(call: Call) -> Response:
    server = await find_server(call, f"{A}delete")
    disk = _disk(call, server)
    require_unlocked(call, server, await call.is_admin())
    if disk.boot_index == 0 and server.state is not VmState.OFFLOADED:
        raise InvalidError("Cannot detach a root device volume")
    clients, caller = call.service.clients, await call.credentials()
    row = await clients.volumes.volume(caller, disk.volume_id)
    if row["status"] not in ("in-use", "detaching", "reserved"):
        raise InvalidError(f"Invalid volume: volume {disk.volume_id} status must be in-use, not {row['status']}.")
    host = None if server.host else ""
    await begin(call, server, "detach-volume", {"volume": disk.volume_id}, host=host)
    if row["status"] == "in-use":
        await clients.volumes.show_detaching(caller, disk.volume_id)
    return accepted()


def _disk(call: Call, server: Server) -> ServerDisk:
    id_ = call.path("volume_id")
    found = next((disk for disk in server.disks if disk.volume_id == id_), None)
    if found is None:
        raise NotFoundError(f"Instance {server.id} is not attached to volume {id_[:64]}")
    return found


def _shown(call: Call, server: Server, disk: ServerDisk, *, made: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "volumeId": disk.volume_id,
        "serverId": server.id,
        "device": f"/dev/{disk.target}",
    }
    if not call.since(SHORT) or made:
        shown["id"] = disk.volume_id
    if call.since(SHORT) and made:
        del shown["id"]
    if call.since(SHOWN_TAG):
        shown["tag"] = disk.tag
    if call.since(TERMINATION):
        shown["delete_on_termination"] = disk.delete_on_termination
    if call.since(SHORT):
        shown |= {"attachment_id": disk.attachment_id or None, "bdm_uuid": disk.attachment_id or disk.volume_id}
    return shown


ROUTES: Final[Routes[Call]] = {
    "/servers/{server_id}/os-volume_attachments": {"GET": list_attachments, "POST": attach},
    "/servers/{server_id}/os-volume_attachments/{volume_id}": {
        "GET": show_attachment,
        "PUT": change_attachment,
        "DELETE": detach,
    },
}
