"""The JSON schemas of images, members and tasks: clients read them, and bodies are held against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from image_registry.attributes import CONTAINER_FORMATS, DISK_FORMATS, NAME_CHARACTERS_MAX, NUMBER_MAX
from store.core.errors import InvalidError

Schema = dict[str, Any]

_UUID: Final = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

IMAGE_PROPERTIES: Final[Schema] = {
    "id": {"type": "string", "description": "An identifier for the image", "pattern": _UUID},
    "name": {
        "type": ["null", "string"],
        "description": "Descriptive name for the image",
        "maxLength": NAME_CHARACTERS_MAX,
    },
    "status": {
        "type": "string",
        "readOnly": True,
        "description": "Status of the image",
        "enum": [
            "queued",
            "saving",
            "active",
            "killed",
            "deleted",
            "uploading",
            "importing",
            "pending_delete",
            "deactivated",
        ],
    },
    "visibility": {
        "type": "string",
        "description": "Scope of image accessibility",
        "enum": ["community", "public", "private", "shared"],
    },
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list response."},
    "checksum": {
        "type": ["null", "string"],
        "readOnly": True,
        "description": "md5 hash of image contents.",
        "maxLength": 32,
    },
    "os_hash_algo": {
        "type": ["null", "string"],
        "readOnly": True,
        "description": "Algorithm to calculate the os_hash_value",
        "maxLength": 64,
    },
    "os_hash_value": {
        "type": ["null", "string"],
        "readOnly": True,
        "description": "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
        "maxLength": 128,
    },
    "owner": {"type": ["null", "string"], "description": "Owner of the image", "maxLength": 255},
    "size": {"type": ["null", "integer"], "readOnly": True, "description": "Size of image file in bytes"},
    "virtual_size": {"type": ["null", "integer"], "readOnly": True, "description": "Virtual size of image in bytes"},
    "container_format": {
        "type": ["null", "string"],
        "description": "Format of the container",
        "enum": [None, *CONTAINER_FORMATS],
    },
    "disk_format": {"type": ["null", "string"], "description": "Format of the disk", "enum": [None, *DISK_FORMATS]},
    "created_at": {"type": "string", "readOnly": True, "description": "Date and time of image registration"},
    "updated_at": {"type": "string", "readOnly": True, "description": "Date and time of the last image modification"},
    "tags": {
        "type": "array",
        "description": "List of strings related to the image",
        "items": {"type": "string", "maxLength": 255},
    },
    "direct_url": {
        "type": "string",
        "readOnly": True,
        "description": "URL to access the image file kept in external store",
    },
    "min_ram": {
        "type": "integer",
        "description": "Amount of ram (in MB) required to boot image.",
        "minimum": 0,
        "maximum": NUMBER_MAX,
    },
    "min_disk": {
        "type": "integer",
        "description": "Amount of disk space (in GB) required to boot image.",
        "minimum": 0,
        "maximum": NUMBER_MAX,
    },
    "self": {"type": "string", "readOnly": True, "description": "An image self url"},
    "file": {"type": "string", "readOnly": True, "description": "An image file url"},
    "stores": {
        "type": "string",
        "readOnly": True,
        "description": "Stores in which the image's data are: storage policies, comma-separated.",
    },
    "schema": {"type": "string", "readOnly": True, "description": "An image schema url"},
    "locations": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"url": {"type": "string", "maxLength": 255}, "metadata": {"type": "object"}},
            "required": ["url", "metadata"],
        },
        "description": "A set of URLs to access the image file kept in external store",
    },
}

_MEMBER_PROPERTIES: Final[Schema] = {
    "member_id": {"type": "string", "description": "An identifier for the image member (tenantId)"},
    "image_id": {"type": "string", "description": "An identifier for the image", "pattern": _UUID},
    "created_at": {"type": "string", "description": "Date and time of image member creation"},
    "updated_at": {"type": "string", "description": "Date and time of last modification of image member"},
    "status": {
        "type": "string",
        "description": "The status of this image member",
        "enum": ["pending", "accepted", "rejected"],
    },
    "schema": {"readOnly": True, "type": "string"},
}

_TASK_PROPERTIES: Final[Schema] = {
    "id": {"description": "An identifier for the task", "pattern": _UUID, "type": "string"},
    "type": {
        "description": "The type of task represented by this content",
        "enum": ["import", "api_image_import", "location_import"],
        "type": "string",
    },
    "status": {
        "description": "The current status of this task",
        "enum": ["pending", "processing", "success", "failure"],
        "type": "string",
    },
    "input": {"description": "The parameters required by task, JSON blob", "type": ["null", "object"]},
    "result": {"description": "The result of current task, JSON blob", "type": ["null", "object"]},
    "owner": {"description": "An identifier for the owner of this task", "type": "string"},
    "message": {
        "description": "Human-readable informative message only included when appropriate (usually on failure)",
        "type": "string",
    },
    "image_id": {"description": "Image associated with the task", "type": "string"},
    "request_id": {"description": "Human-readable informative request-id", "type": "string"},
    "user_id": {"description": "User associated with the task", "type": "string"},
    "expires_at": {
        "description": "Datetime when this resource would be subject to removal",
        "type": ["null", "string"],
    },
    "created_at": {"description": "Datetime when this resource was created", "type": "string"},
    "updated_at": {"description": "Datetime when this resource was updated", "type": "string"},
    "self": {"readOnly": True, "type": "string"},
    "schema": {"readOnly": True, "type": "string"},
}

_IMAGE_LINKS: Final = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]


def plain_schema(name: str, properties: Mapping[str, Any]) -> Schema:
    """Of one resource that has these properties and no others."""
    return {"name": name, "properties": dict(properties)}


def collection(name: str, item: Schema, *, paged: bool) -> Schema:
    """Of a list of them."""
    pages = {"first": {"type": "string"}, "next": {"type": "string"}} if paged else {}
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}] if paged else []
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, **pages, "schema": {"type": "string"}},
        "links": [*links, {"rel": "describedby", "href": "{schema}"}],
    }


IMAGE: Final[Schema] = {
    "name": "image",
    "properties": IMAGE_PROPERTIES,
    "additionalProperties": {"type": "string"},
    "links": _IMAGE_LINKS,
}
MEMBER: Final = plain_schema("member", _MEMBER_PROPERTIES)
TASK: Final = plain_schema("task", _TASK_PROPERTIES)
_TASK_ROW: Final = plain_schema(
    "task", {name: value for name, value in _TASK_PROPERTIES.items() if name not in ("input", "result", "message")}
)

SCHEMAS: Final[dict[str, Schema]] = {
    "image": IMAGE,
    "images": collection("images", IMAGE, paged=True),
    "member": MEMBER,
    "members": collection("members", MEMBER, paged=False),
    "task": TASK,
    "tasks": collection("tasks", _TASK_ROW, paged=True),
}
"""By the name in the path."""

_VALIDATOR: Final = jsonschema.Draft4Validator(IMAGE)


def check_image(said: object) -> None:
    """Raises InvalidError, with what is wrong, where this is no image, or no part of one."""
    check(_VALIDATOR, "image", said)


def check(validator: Any, name: str, said: object) -> None:
    """Raises InvalidError where that is none of `name`."""
    error = jsonschema.exceptions.best_match(validator.iter_errors(said))
    if error is not None:
        where = "/".join(str(part) for part in error.absolute_path)
        raise InvalidError(
            f"Provided object does not match schema '{name}': {where + ': ' if where else ''}{error.message}"
        )
