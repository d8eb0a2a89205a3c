"""Fields of bodies as stock nova takes them: numbers and switches may be written as text, and what is not known to a
resource is refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from compute_plugin.v2.frame.call import Call
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

TEXT_MAX: Final = 255
DB_INT_MAX: Final = 2**31 - 1

_KEY: Final = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
_HOST: Final = re.compile(r"[a-zA-Z0-9\-._]{1,255}")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_YES: Final = frozenset({"True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"})
_NO: Final = frozenset({"False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"})


def wrong(name: str, why: str) -> InvalidError:
    """What is raised for a value that cannot be."""
    return InvalidError(f"Invalid input for field/attribute {name}: {why}.")


async def body_of(call: Call, name: str, required: Iterable[str] = (), optional: Iterable[str] = ()) -> Fields:
    """What the body has under its one name. Raises InvalidError where there is more or less than may be."""
    body = await call.body()
    body.refuse_others((name,))
    return checked(body.object(name), required, optional)


def checked(fields: Fields, required: Iterable[str] = (), optional: Iterable[str] = ()) -> Fields:
    """Raises InvalidError where one of the required fields is missing, or there is one that is not known."""
    required = tuple(required)
    fields.refuse_others((*required, *optional))
    for one in required:
        if one not in fields:
            raise InvalidError(f"'{one}' is a required property")
    return fields


def text(fields: Fields, name: str, most: int = TEXT_MAX, *, least: int = 1) -> str:
    """Of a body. Raises InvalidError."""
    return text_of(name, fields.value(name), most, least=least)


def text_of(name: str, value: Any, most: int = TEXT_MAX, *, least: int = 1) -> str:
    """Raises InvalidError for what is none, too long, or cannot be kept."""
    if not isinstance(value, str):
        raise wrong(name, "not of type 'string'")
    if not least <= len(value) <= most:
        raise wrong(name, f"{least} to {most} characters")
    if any(0xD800 <= ord(one) < 0xE000 or one == "\0" for one in value):
        raise wrong(name, "no text that can be kept")
    return value


def named(fields: Fields, name: str = "name", *, but: str = "") -> str:
    """A name: printable, without blanks around it; characters in `but` are in none."""
    return name_of(name, fields.value(name), but=but)


def name_of(name: str, value: Any, *, but: str = "") -> str:
    """The same of a value. Raises InvalidError."""
    found = text_of(name, value)
    if found != found.strip() or not _is_printable(found) or any(one in but for one in found):
        raise wrong(name, "printable characters, and no blank at the beginning or the end")
    return found


def description(fields: Fields, most: int = TEXT_MAX, name: str = "description") -> str | None:
    """Printable text, or null."""
    value = fields.value(name)
    if value is None:
        return None
    found = text_of(name, value, most, least=0)
    if not _is_printable(found):
        raise wrong(name, "printable characters")
    return found


def host_of(fields: Fields, name: str = "host") -> str:
    """The name of a host."""
    found = text(fields, name)
    if not _HOST.fullmatch(found):
        raise wrong(name, "the name of a host")
    return found


def flag(name: str, value: Any) -> bool:
    """A switch. Raises InvalidError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _YES | _NO:
        return value in _YES
    raise wrong(name, "not a boolean")


def flag_in(fields: Fields, name: str, default: bool = False) -> bool:
    """Of a body."""
    return flag(name, fields.value(name)) if name in fields else default


def whole(name: str, value: Any, least: int, most: int = DB_INT_MAX) -> int:
    """A whole number, or the text of one. Raises InvalidError."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(name, "not of type 'integer'")
    if not least <= value <= most:
        raise wrong(name, f"a whole number from {least} to {most}")
    return value


def one_of(fields: Fields, name: str, choices: Iterable[str]) -> str:
    """Raises InvalidError for any other."""
    choices = tuple(choices)
    found = fields.value(name)
    if not isinstance(found, str) or found not in choices:
        raise wrong(name, f"one of {', '.join(choices)}")
    return found


def uuid_of(name: str, value: Any) -> str:
    """Raises InvalidError for what is none."""
    if not isinstance(value, str) or not is_uuid(value):
        raise wrong(name, "not a 'uuid'")
    return value


def is_uuid(value: str) -> bool:
    """As clients write one, with hyphens or without."""
    if len(value) > 36:
        return False
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def metadata(name: str, value: Any, *, nulls: bool = False, numbers: bool = False) -> dict[str, str | None]:
    """Keys and values that clients keep with a thing. `nulls`, `numbers`: whether values may be such, too. Raises
    InvalidError."""
    if not isinstance(value, Mapping):
        raise wrong(name, "not of type 'object'")
    found: dict[str, str | None] = {}
    for key, one in value.items():
        if not _KEY.fullmatch(key):
            raise wrong(name, "a key has 1 to 255 of a-z, A-Z, 0-9, -_:. and blanks")
        if one is None and nulls:
            found[key] = None
            continue
        if numbers and isinstance(one, int | float) and not isinstance(one, bool):
            one = str(one)
        found[key] = text_of(f"{name}.{key}", one, least=0)
    return found


def _is_printable(value: str) -> bool:
    """Letters, marks, digits, signs and blanks; no controls, no breaks of lines."""
    return all((category := unicodedata.category(one))[0] != "C" and category not in ("Zl", "Zp") for one in value)
