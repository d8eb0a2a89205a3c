"""Changes of an image as clients write them: JSON patches (RFC 6902), and an older form of them, of which Glance knows
add, replace and remove of one attribute at a time. Sans-I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from image_registry.attributes import READ_ONLY, RESERVED, RESERVED_PREFIX
from image_registry.errors import AttributeForbiddenError, MediaTypeError
from image_registry.v2.schemas import check_image
from store.core.errors import InvalidError

OLDER: Final = "application/openstack-images-v2.0-json-patch"
PATCH: Final = "application/openstack-images-v2.1-json-patch"
OPERATIONS: Final = ("add", "remove", "replace")
ACCEPTED: Final = f"{OLDER}, {PATCH}"

_BAD_ESCAPE: Final = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute is added, replaced or removed; `strict`: it must not be there to be added."""

    operation: str
    name: str
    value: Any
    strict: bool


def changes(media_type: str, body: Any) -> list[Change]:
    """Those of a body, in their order. Raises MediaTypeError, InvalidError, AttributeForbiddenError."""
    if media_type not in (OLDER, PATCH):
        raise MediaTypeError(f"Image PATCH expects Content-Type one of: {ACCEPTED}", ACCEPTED)
    if not isinstance(body, list):
        raise InvalidError("Request body must be a JSON array of operation objects.")
    return [_change(one, older=media_type == OLDER) for one in body]


def _change(said: Any, *, older: bool) -> Change:
    if not isinstance(said, dict):
        raise InvalidError("Operations must be JSON objects.")
    operation, pointer = _older(said) if older else _newer(said)
    name = _name(pointer)
    if name in READ_ONLY:
        raise AttributeForbiddenError(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise AttributeForbiddenError(f"Attribute '{name}' is reserved.")
    if operation == "remove":
        return Change(operation, name, None, older)
    if "value" not in said:
        raise InvalidError(f'Operation "{operation}" requires a member named "value".')
    if name != "locations":
        check_image({name: said["value"]})
    return Change(operation, name, said["value"], older)


def _newer(said: dict[str, Any]) -> tuple[str, object]:
    operation = said.get("op")
    if operation is None:
        raise InvalidError(
            f"Unable to find `op` in JSON Schema change. It must be one of the following: {', '.join(OPERATIONS)}."
        )
    if operation not in OPERATIONS:
        raise InvalidError(
            f"Invalid operation: `{operation}`. It must be one of the following: {', '.join(OPERATIONS)}."
        )
    if "path" not in said:
        raise InvalidError("Unable to find `path` in JSON Schema change")
    return str(operation), said["path"]


def _older(said: dict[str, Any]) -> tuple[str, object]:
    found = [name for name in OPERATIONS if name in said]
    if len(found) != 1:
        raise InvalidError(f"Operation objects must contain exactly one member named one of: {', '.join(OPERATIONS)}.")
    return found[0], said[found[0]]


def _name(pointer: object) -> str:
    """The attribute that a JSON pointer (RFC 6901) is of."""
    if not isinstance(pointer, str):
        raise InvalidError(f"Pointer `{pointer}` is no string.")
    if not pointer.startswith("/"):
        raise InvalidError(f'Pointer `{pointer}` does not start with "/".')
    if "//" in pointer or len(pointer) == 1:
        raise InvalidError(f'Pointer `{pointer}` contains adjacent "/", or nothing.')
    if len(pointer) > 1 and pointer.endswith("/"):
        raise InvalidError(f'Pointer `{pointer}` end with "/".')
    if _BAD_ESCAPE.search(pointer):
        raise InvalidError(f'Pointer `{pointer}` contains "~" not part of a recognized escape sequence.')
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    if len(parts) != 1 and parts[0] != "locations":
        raise InvalidError(f"Invalid JSON pointer for this resource: '/{'/'.join(parts)}'")
    if len(parts[0]) > 255:
        raise InvalidError("Custom property should not be greater than 255 characters.")
    return parts[0]
