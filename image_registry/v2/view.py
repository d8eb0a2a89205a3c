"""An image as clients see it."""

from __future__ import annotations

from typing import Any

from gateway.rest.times import shown
from image_registry.protection import READ, Allowed
from image_registry.records import Image, Member, Status

Row = dict[str, Any]


def image_view(image: Image, status: str, allowed: Allowed) -> Row:
    """`status` is what is told of it: see `Uploads.status`; `allowed`: what the caller may do with properties."""
    staged = image.staged if image.status in (Status.UPLOADING, Status.IMPORTING) else None
    bits = image.bits
    sized = bits or staged
    path = f"/v2/images/{image.id}"
    view: Row = {
        **{name: value for name, value in image.properties.items() if allowed(name, READ)},
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": str(image.visibility),
        "size": None if sized is None else sized.size,
        "virtual_size": image.virtual_size,
        "status": status,
        "checksum": None if bits is None else bits.md5,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner or None,
        "os_hidden": image.hidden,
        "os_hash_algo": None if bits is None else image.hash_algorithm,
        "os_hash_value": None if bits is None else image.hash_value or bits.sha512,
        "id": image.id,
        "created_at": time_view(image.created_us),
        "updated_at": time_view(image.updated_us),
        "tags": list(image.tags),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }
    if image.task:
        view["os_glance_import_task"] = image.task
    if image.importing_to is not None:
        view["os_glance_importing_to_stores"] = image.importing_to
        view["os_glance_failed_import"] = image.failed_import or ""
    if image.copies:
        view["stores"] = ",".join(copy.store for copy in image.copies)
    return view


def member_view(image: Image, member: Member) -> Row:
    return {
        "member_id": member.project_id,
        "image_id": image.id,
        "status": str(member.status),
        "created_at": time_view(member.created_us),
        "updated_at": time_view(member.updated_us),
        "schema": "/v2/schemas/member",
    }


def time_view(us: int) -> str:
    """Whole seconds, as Glance tells them."""
    return shown(us // 1_000_000).replace(".000000Z", "Z")
