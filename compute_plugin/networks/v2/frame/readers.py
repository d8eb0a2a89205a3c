"""Values of attributes as clients send them: each reader gives what is stored, or says what is wrong with it.

The messages are stock Neutron's (neutron-lib, `api/validators`): people search for them.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

Reader = Callable[[Any], Any]
T = TypeVar("T")

NAME_MAX: Final = 255
_MAC: Final = re.compile("[0-9a-f][02468ace](:[0-9a-f]{2}){5}")


class WrongValueError(ValueError):
    """What is wrong with a value, in words."""


def as_is(value: Any) -> Any:
    """Anything, for what a collection reads itself."""
    return value


def text(characters_max: int = NAME_MAX) -> Reader:
    """A text, which may be empty."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongValueError(f"'{value}' is not a valid string")
        if len(value) > characters_max:
            raise WrongValueError(f"'{value}' exceeds maximum length of {characters_max}")
        if any(0xD800 <= ord(one) < 0xE000 or one == "\0" for one in value):
            raise WrongValueError(f"'{value!a}' is not a valid string")
        return value

    return read


def name(characters_max: int = NAME_MAX) -> Reader:
    """A text that can be printed."""
    plain = text(characters_max)

    def read(value: Any) -> str:
        found: str = plain(value)
        if not all(_is_printable(one) for one in found):
            raise WrongValueError(f"{found!r} is not a valid string")
        return found

    return read


def _is_printable(character: str) -> bool:
    kind = unicodedata.category(character)
    return not kind.startswith("C") and (not kind.startswith("Z") or kind == "Zs")


def flag(value: Any) -> bool:
    """True or false, also as words and as 1 or 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str | int) and value in ("1", 1, "0", 0):
        return str(value) == "1"
    raise WrongValueError(f"'{value}' cannot be converted to boolean")


def whole(least: int, most: int) -> Reader:
    """A whole number in a range with both ends, also as a text."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise WrongValueError(f"'{value}' is not an integer")
        try:
            found = int(value)
        except ValueError as error:
            raise WrongValueError(f"'{value}' is not an integer") from error
        if found < least:
            raise WrongValueError(f"'{value}' is too small - must be at least '{least}'")
        if found > most:
            raise WrongValueError(f"'{value}' is too large - must be no larger than '{most}'")
        return found

    return read


def one_of(choices: Collection[Any]) -> Reader:
    """One of these."""

    def read(value: Any) -> Any:
        if not isinstance(value, str | int) or value not in choices:
            raise WrongValueError(f"'{value}' is not in {list(choices)}")
        return value

    return read


def uuid(value: Any) -> str:
    """An id."""
    if isinstance(value, str):
        try:
            if str(UUID(value)) == value.lower() or UUID(value).hex == value.lower():
                return value
        except ValueError:
            pass  # said below
    raise WrongValueError(f"'{value}' is not a valid UUID")


def mac(value: Any) -> str:
    """A MAC address of one machine, in lower case with colons."""
    if isinstance(value, str):
        digits = re.sub("[:.-]", "", value.lower())
        found = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
        if _MAC.fullmatch(found) and found != "00:00:00:00:00:00":
            return found
    raise WrongValueError(f"'{value}' is not a valid MAC address")


def address(value: Any) -> str:
    """An IP address in its shortest form."""
    try:
        if isinstance(value, str) and "%" not in value:
            return str(ipaddress.ip_address(value))
    except ValueError:
        pass  # said below
    raise WrongValueError(f"'{value}' is not a valid IP address")


def prefix(value: Any) -> str:
    """A network in CIDR form whose host bits are zero."""
    try:
        if isinstance(value, str) and "/" in value and "%" not in value:
            return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise WrongValueError(f"'{value}' is not a valid IP subnet") from error
    raise WrongValueError(f"'{value}' is not a valid IP subnet")


def or_none(reader: Reader) -> Reader:
    """The same, or null."""
    return lambda value: None if value is None else reader(value)


def items(reader: Callable[[Any], T], most: int = 1000) -> Callable[[Any], tuple[T, ...]]:
    """A list without duplicates, as a tuple; null is an empty one."""

    def read(value: Any) -> tuple[T, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise WrongValueError(f"'{value}' is not a list")
        if len(value) > most:
            raise WrongValueError(f"a list of more than {most}")
        found = tuple(reader(one) for one in value)
        seen = list[Any]()
        for one in found:
            if one in seen:
                raise WrongValueError(f"Duplicate items in the list: '{one}'")
            seen.append(one)
        return found

    return read


def table(fields: Mapping[str, Reader], required: Collection[str] = ()) -> Reader:
    """An object with some of these fields, and no others."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or value.keys() - fields.keys() or set(required) - value.keys():
            expected = ", ".join(sorted(fields))
            raise WrongValueError(f"Invalid input. '{value}' must be a dictionary with keys: {expected}")
        return {one: fields[one](held) for one, held in value.items()}

    return read
