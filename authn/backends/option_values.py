"""Values of options as configuration files and JSON give them, read strictly. Everything raises InvalidError."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from store.core.errors import InvalidError

Reader = Callable[[str, object], object]
"""Takes an option's name, for the error, and its value."""

_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+")
"""A descriptor or an object identifier (RFC 4512, 1.4): nothing in it means anything in a filter."""


def text(name: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidError(f"{name} is to be text")
    return value


def word(name: str, value: object) -> str:
    """Text that JSON may hold as a truth value or a whole number."""
    return str(value) if isinstance(value, bool | int) else text(name, value)


def boolean(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise InvalidError(f"{name} is to be true or false")


def integer(least: int, most: int) -> Reader:
    def read(name: str, value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidError(f"{name} is to be a whole number from {least} to {most}")
        return value

    return read


def one_of(choices: Collection[str]) -> Reader:
    def read(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidError(f"{name} is to be one of {', '.join(sorted(choices))}")
        return value

    return read


def attribute(name: str, value: object) -> str:
    """The name of an attribute or object class: it goes into filters as it is."""
    if not isinstance(value, str) or not _ATTRIBUTE.fullmatch(value):
        raise InvalidError(f"{name} is to be the name of an attribute or object class")
    return value


def optional_attribute(name: str, value: object) -> str:
    """As `attribute`, or empty: nothing is read."""
    return attribute(name, value) if value != "" else ""


def search_filter(name: str, value: object) -> str:
    """Empty, or a filter in parentheses. What is inside is for the directory to judge, but it cannot end early and
    change what stands around it."""
    given = text(name, value).strip()
    depth = 0
    for position, character in enumerate(given):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 1 and position < len(given) - 1:
            raise InvalidError(f"{name} is to be one filter in parentheses")
    if given and (depth or len(given) < 2):
        raise InvalidError(f"{name} is to be one filter in parentheses")
    return given
