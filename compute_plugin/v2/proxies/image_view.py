"""Images as old clients see them. Pure but for the links."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.v2.frame.call import Call

STATUSES: Final = {
    "active": "ACTIVE",
    "queued": "SAVING",
    "saving": "SAVING",
    "importing": "SAVING",
    "uploading": "SAVING",
    "deleted": "DELETED",
    "pending_delete": "DELETED",
    "killed": "ERROR",
}
PROGRESS: Final = {"queued": 25, "saving": 50, "active": 100}
OWN: Final = frozenset(
    {
        "id", "name", "status", "visibility", "size", "virtual_size", "created_at", "updated_at", "min_ram", "min_disk",
        "owner", "protected", "checksum", "disk_format", "container_format", "tags", "file", "schema", "self",
        "locations", "direct_url", "stores", "os_hidden", "os_hash_algo", "os_hash_value",
    }
)  # fmt: skip
"""What the image service itself says of each image; the rest are properties."""

Row = dict[str, Any]


def properties(image: Row) -> dict[str, str]:
    """What clients keep with an image."""
    return {name: value for name, value in image.items() if name not in OWN}


def brief(call: Call, image: Row) -> Row:
    """As in a plain list."""
    id_ = image["id"]
    alternate = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{call.origin}/image/images/{id_}",
    }
    return {"id": id_, "name": image["name"], "links": [*call.links(f"images/{id_}"), alternate]}


def whole(call: Call, image: Row) -> Row:
    """All of it."""
    metadata = properties(image)
    shown = brief(call, image) | {
        "minRam": image["min_ram"],
        "minDisk": image["min_disk"],
        "metadata": metadata,
        "created": image["created_at"],
        "updated": image["updated_at"],
        "status": STATUSES.get(image["status"], "UNKNOWN"),
        "progress": PROGRESS.get(image["status"], 0),
        "OS-EXT-IMG-SIZE:size": image["size"],
    }
    server = metadata.get("instance_uuid")
    if server is not None:
        shown["server"] = {"id": server, "links": call.links(f"servers/{server}")}
    automatic = metadata.get("auto_disk_config")
    if automatic is not None:
        shown["OS-DCF:diskConfig"] = "AUTO" if automatic.lower() in ("1", "t", "true", "on", "y", "yes") else "MANUAL"
    return shown
