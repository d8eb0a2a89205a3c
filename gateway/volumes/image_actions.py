"""Actions between volumes and images: upload, what is known of the image that is in a volume, another image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.fields import Fields
from gateway.rest.images import WantedImage
from gateway.rest.times import shown_us
from gateway.volumes.actions import Action
from gateway.volumes.call import Call, of
from gateway.volumes.image_find import find_image
from gateway.volumes.reading import bounded, flag_in, id_of, metadata, text, text_or_none
from gateway.volumes.records import Volume
from gateway.volumes.standing import begin, change_volume, find_volume, require, standing
from gateway.volumes.types import TypeViews
from gateway.volumes.work import images as work
from gateway.volumes.work import replacing
from gateway.volumes.work.creating import check_fits
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError

VISIBILITY: Final = 1
REIMAGE: Final = 68
DISK_FORMATS: Final = ("raw", "vmdk", "vdi", "qcow2", "vhd", "vhdx", "ploop")
CONTAINER_FORMATS: Final = ("bare", "ovf", "aki", "ari", "ami", "ova", "docker", "compressed")
FACTS: Final = frozenset(
    {"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"}
)
"""What an image has besides its properties."""

WRITTEN: Final = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx")
"""Disk formats that a volume is made an image of."""


async def upload(call: Call, asked: Fields) -> Response:
    """A new image, which a task fills with what the volume is now."""
    newer = {"visibility", "protected"} if call.since(VISIBILITY) else set[str]()
    asked.refuse_others({"image_name", "force", "disk_format", "container_format"} | newer)
    volume = (await find_volume(call, "volume:get")).record
    await call.allow("volume_extension:volume_actions:upload_image", of(volume.project_id))
    wanted = await _wanted(call, asked, volume)
    allowed = ("available", "in-use") if flag_in(asked, "force") else ("available",)

    def check(_: Volume, status: str) -> None:
        require(status, allowed, "be uploaded")

    check(volume, (await standing(call.service, volume)).status)
    image = await call.service.images.begin(wanted, await call.credentials())
    try:
        volume = await begin(call.service, volume.id, check, "uploading", work.UPLOAD, {"image": image})
    except DrystoneError:
        await call.service.images.abandon(image, "the volume changed meanwhile")
        raise
    type_ = (await call.service.types.find(volume.type_id)).record
    told: dict[str, Any] = {
        "id": volume.id,
        "updated_at": shown_us(volume.updated_us),
        "status": "uploading",
        "display_description": volume.description,
        "size": volume.size,
        "volume_type": (await TypeViews.of(call)).shown(type_),
        "image_id": image,
        "container_format": wanted.container_format,
        "disk_format": wanted.disk_format,
        "image_name": wanted.name,
    }
    if call.since(VISIBILITY):
        told |= {"protected": wanted.protected, "visibility": wanted.visibility}
    return answer({"os-volume_upload_image": told}, 202)


async def _wanted(call: Call, asked: Fields, volume: Volume) -> WantedImage:
    visibility = "private"
    if "visibility" in asked:
        visibility = asked.one_of("visibility", ("community", "public", "private", "shared"))
    if visibility == "public":
        await call.allow("volume_extension:volume_actions:upload_public", of(volume.project_id))
    disk_format = asked.one_of("disk_format", DISK_FORMATS) if "disk_format" in asked else "raw"
    if disk_format not in WRITTEN:
        raise InvalidError(
            f"Invalid input received: volumes are uploaded as {', '.join(WRITTEN)}, not converted to {disk_format}."
        )
    container = text_or_none(asked, "container_format") or "bare"
    if container not in CONTAINER_FORMATS or container == "compressed":
        raise InvalidError("Invalid input received: container_format is none that is written here.")
    properties = {name: value for name, value in volume.image.items() if name not in FACTS}
    return WantedImage(
        text(asked, "image_name"), disk_format, container, visibility, flag_in(asked, "protected"), properties,
        volume.size,
    )  # fmt: skip


async def set_metadata(call: Call, asked: Fields) -> Response:
    found = await find_volume(call, "volume_extension:volume_image_metadata:set")
    asked.refuse_others({"metadata"})
    more = metadata("metadata", asked.object("metadata").others(frozenset()))
    after = await change_volume(call.service, found.record.id, _changes(lambda held: held | more))
    return answer({"metadata": after.image})


async def unset_metadata(call: Call, asked: Fields) -> Response:
    found = await find_volume(call, "volume_extension:volume_image_metadata:remove")
    asked.refuse_others({"key"})
    key = text(asked, "key")

    def without(held: dict[str, str]) -> dict[str, str]:
        if key not in held:
            raise NotFoundError(f"Glance metadata for volume {found.record.id} has no key {key}.")
        return {name: value for name, value in held.items() if name != key}

    await change_volume(call.service, found.record.id, _changes(without))
    return Response(status_code=200)


async def show_metadata(call: Call, _: Fields) -> Response:
    found = await find_volume(call, "volume_extension:volume_image_metadata:show")
    return answer({"metadata": found.record.image})


def _changes(change: Callable[[dict[str, str]], dict[str, str]]) -> Callable[[Volume, str], Volume]:
    def step(volume: Volume, status: str) -> Volume:
        if status in ("maintenance", "uploading"):
            raise InvalidError(f"Invalid volume: its metadata cannot change while it is in {status}.")
        return replace(volume, image=bounded(change(volume.image)))

    return step


async def reimage(call: Call, asked: Fields) -> Response:
    """What is in the volume is an image from now on."""
    asked.refuse_others({"image_id", "reimage_reserved"})
    image = id_of("image_id", asked.value("image_id"))
    reserved = flag_in(asked, "reimage_reserved")
    volume = (await find_volume(call, "volume:get")).record
    status = (await standing(call.service, volume)).status
    operation = "volume:reimage_reserved" if status == "reserved" else "volume:reimage"
    await call.allow(operation, of(volume.project_id))
    if len(volume.attachments) > 1:
        raise ConflictError("Cannot re-image a volume which is attached to more than one server.")

    def check(_: Volume, status: str) -> None:
        require(status, ("available", "error", *(("reserved",) if reserved else ())), "be re-imaged")

    check(volume, status)
    facts = await find_image(call, image)
    if facts.mapping():
        raise InvalidError(
            f"Image {image} is of a server whose disks are volumes, and has no bytes of its own: make a volume of it."
        )
    check_fits(facts, volume.size)
    await begin(call.service, volume.id, check, "downloading", replacing.REIMAGE, {"image": facts.id})
    return accepted()


TABLE: Final = {
    "os-volume_upload_image": Action(upload),
    "os-set_image_metadata": Action(set_metadata),
    "os-unset_image_metadata": Action(unset_metadata),
    "os-show_image_metadata": Action(show_metadata),
    "os-reimage": Action(reimage, REIMAGE),
}
