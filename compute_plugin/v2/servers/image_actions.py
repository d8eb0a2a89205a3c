"""Actions that make images of servers."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.lifecycle.changes import require_state
from compute_plugin.lifecycle.table import LINES
from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, metadata, name_of, text, whole
from compute_plugin.v2.servers.actions import Action
from compute_plugin.v2.servers.beginning import begin, require_unlocked
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import accepted, answer
from gateway.rest.errors import OverLimitError
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

A: Final = "os_compute_api:"
ID_IN_BODY: Final = 45
NOT_INHERITED: Final = frozenset(
    {"cache_in_nova", "bittorrent", "img_signature_hash_method", "img_signature", "img_signature_key_type",
     "img_signature_certificate_uuid", "block_device_mapping", "bdm_v2", "root_device_name", "image_id", "image_name",
     "checksum", "size", "min_ram", "min_disk", "container_format", "disk_format"}
)  # fmt: skip


async def create_image(call: Call, body: Fields) -> Response:
    asked = checked(body.object("createImage"), ("name",), ("metadata",))
    name = name_of("name", asked.value("name"))
    said = metadata("metadata", asked.value("metadata")) if "metadata" in asked else {}
    server = await find_server(call, f"{A}servers:create_image")
    if _is_of_volume(server):
        await call.allow(f"{A}servers:create_image:allow_volume_backed", {"project_id": server.project_id})
    image = await _begin(call, server, name, {key: value or "" for key, value in said.items()}, {})
    if call.since(ID_IN_BODY):
        return answer({"image_id": image}, 202)
    response = accepted()
    response.headers["Location"] = f"{call.origin}/image/v2/images/{image}"
    return response


async def create_backup(call: Call, body: Fields) -> Response:
    """An image of a kind, of which so many are kept."""
    asked = checked(body.object("createBackup"), ("name", "backup_type", "rotation"), ("metadata",))
    name, type_ = name_of("name", asked.value("name")), text(asked, "backup_type", least=0)
    rotation = whole("rotation", asked.value("rotation"), 0)
    said = metadata("metadata", asked.value("metadata")) if "metadata" in asked else {}
    server = await find_server(call, f"{A}os-create-backup")
    if _is_of_volume(server):
        raise InvalidError("Backup is not supported for volume-backed instances.")
    properties = {key: value or "" for key, value in said.items()}
    properties |= {"backup_type": type_, "image_type": "backup"}
    image = await _begin(call, server, name, properties, {"rotation": rotation, "backup_type": type_})
    if call.since(ID_IN_BODY):
        return answer({"image_id": image}, 202)
    response = accepted()
    if rotation > 0:
        response.headers["Location"] = f"{call.origin}/image/v2/images/{image}"
    return response


async def _begin(call: Call, server: Server, name: str, said: dict[str, str], arguments: dict[str, Any]) -> str:
    """The id of the image that will be."""
    items = call.service.settings.limits_of(await call.records(), server.project_id)["metadata_items"]
    if items != -1 and len(said) > items:
        raise OverLimitError("Image metadata limit exceeded")
    # Before an image is made that nobody would fill.
    require_unlocked(call, server, await call.is_admin())
    require_state(server, LINES["create-image"])
    inherited = {key: value for key, value in server.image_properties.items() if key not in NOT_INHERITED}
    properties: dict[str, Any] = {
        "image_type": "snapshot",
        "instance_uuid": server.id,
        "user_id": server.user_id,
        "base_image_ref": server.image_id,
        **inherited,
        **said,
        "disk_format": "raw",
    }
    if not _is_of_volume(server):
        properties["min_disk"] = max((disk.size for disk in server.disks if disk.boot_index == 0), default=0)
    caller, records = await call.credentials(), call.service.clients.image_records
    image = await records.create(caller, name, properties)
    try:
        await begin(call, server, "create-image", {"image": image, "name": name, **arguments})
    except Exception:
        await records.delete(caller, image)
        raise
    return image


def _is_of_volume(server: Server) -> bool:
    root = next((disk for disk in server.disks if disk.boot_index == 0), None)
    return root is None or root.destination == "volume"


ACTIONS: Final = {"createImage": Action(create_image), "createBackup": Action(create_backup)}
