"""Fields of bodies as stock cinder takes them: numbers and switches may be written as text, texts may be null."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from gateway.rest.fields import Fields
from store.core.errors import InvalidError

TEXT_MAX: Final = 255
SIZE_MAX: Final = 64 * 1024
"""GiB: the store's volumes have 64 TiB at most."""
DB_INT_MAX: Final = 2**31 - 1
METADATA_BYTES_MAX: Final = 128 * 1024

_KEY: Final = re.compile(r"[a-zA-Z0-9\-_:. /]{1,255}")
_YES: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_NO: Final = frozenset({"0", "f", "false", "off", "n", "no"})


def flag(name: str, value: Any) -> bool:
    """A switch. Raises InvalidError."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text not in _YES | _NO:
        raise InvalidError(f"Invalid input for field/attribute {name}: not a boolean.")
    return text in _YES


def flag_in(fields: Fields, name: str, default: bool = False) -> bool:
    """Of a body; null is the default."""
    value = fields.value(name)
    return default if value is None else flag(name, value)


def whole(name: str, value: Any, least: int, most: int = DB_INT_MAX) -> int:
    """A whole number, or the text of one. Raises InvalidError."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(f"Invalid input for field/attribute {name}: not an integer.")
    if not least <= value <= most:
        raise InvalidError(f"Invalid input for field/attribute {name}: a whole number from {least} to {most}.")
    return value


def text_or_none(fields: Fields, name: str, most: int = TEXT_MAX) -> str | None:
    """A text without blanks around it, or null."""
    value = fields.value(name)
    return None if value is None else _checked(name, fields.text(name).strip(), most)


def text(fields: Fields, name: str, most: int = TEXT_MAX) -> str:
    """A text that is not empty."""
    found = text_or_none(fields, name, most)
    if not found:
        raise InvalidError(f"Invalid input for field/attribute {name}: 1 to {most} characters.")
    return found


def id_or_none(fields: Fields, name: str) -> str | None:
    """The id of something; null or "" is none."""
    value = fields.value(name)
    return None if value in (None, "") else id_of(name, value)


def id_of(name: str, value: Any) -> str:
    """Raises InvalidError for what can be no id."""
    if isinstance(value, str) and len(value) <= 36:
        try:
            UUID(value)
        except ValueError:
            pass
        else:
            return value
    raise InvalidError(f"Invalid input for field/attribute {name}: not a 'uuid'.")


def metadata(name: str, value: Any) -> dict[str, str]:
    """Keys and values that clients keep with a thing; null is none. Raises InvalidError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidError(f"Invalid input for field/attribute {name}: not an object.")
    for key, one in value.items():
        if not _KEY.fullmatch(key):
            raise InvalidError(f"Invalid input for field/attribute {name}: a key has 1 to 255 of a-z, A-Z, 0-9, -_:. /")
        if not isinstance(one, str):
            raise InvalidError(f"Invalid input for field/attribute {name}: {key} is not a string.")
        _checked(f"{name}.{key}", one, TEXT_MAX)
    return dict(value)


def bounded(held: dict[str, str]) -> dict[str, str]:
    """What is kept with a thing after a change. Raises InvalidError where it is more than all of it may be: a record of
    the registry has 1 MiB, and has to take more than this."""
    if sum(len(key) + len(value.encode()) for key, value in held.items()) > METADATA_BYTES_MAX:
        raise InvalidError(f"Invalid input for field/attribute metadata: at most {METADATA_BYTES_MAX} bytes in all.")
    return held


def named(fields: Fields) -> tuple[str | None, str | None]:
    """The name and the description, by their present or their older names."""
    name = "name" if "name" in fields else "display_name"
    description = "description" if "description" in fields else "display_description"
    return text_or_none(fields, name), text_or_none(fields, description)


def _checked(name: str, value: str, most: int) -> str:
    if len(value) > most:
        raise InvalidError(f"Invalid input for field/attribute {name}: at most {most} characters.")
    if any(0xD800 <= ord(character) < 0xE000 or character == "\0" for character in value):
        raise InvalidError(f"Invalid input for field/attribute {name}: no text that can be kept.")
    return value
