"""Reading a JSON body: each field is there and of its type, or the refusal says which is not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from store.core.errors import InvalidError

_NAMES: Final[dict[type, str]] = {str: "string", bool: "boolean", dict: "object", list: "array"}

NESTED_MAX: Final = 64
"""Objects and arrays within each other. What is stored of a body is read again where the stack is deeper, so what could
just be read once might never be again."""


class Fields:
    """A JSON object and where in the body it was."""

    def __init__(self, held: dict[str, Any], path: str = "") -> None:
        self._held = held
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def object(self, name: str) -> Fields:
        found: dict[str, Any] = self._take(name, dict)
        return Fields(found, self._at(name))

    def text(self, name: str) -> str:
        found: str = self._take(name, str)
        return found

    def text_or(self, name: str, default: str) -> str:
        """The text; `default` where it is missing or null."""
        return default if self._held.get(name) is None else self.text(name)

    def flag_or(self, name: str, default: bool) -> bool:
        found: bool = default if name not in self._held else self._take(name, bool)
        return found

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number in a range that takes in both ends."""
        found = self._held.get(name)
        if name not in self._held:
            raise InvalidError(f"{self._path or 'the body'}: '{name}' is a required property")
        if isinstance(found, bool) or not isinstance(found, int):
            raise InvalidError(f"{self._at(name)}: not of type 'integer'")
        if not least <= found <= most:
            raise InvalidError(f"{self._at(name)}: a whole number from {least} to {most}")
        return found

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        found = self.text(name)
        if found not in choices:
            raise InvalidError(f"{self._at(name)}: one of {', '.join(choices)}")
        return found

    def named(self, name: str, characters_max: int = 255) -> str:
        """A text that is not empty, not only blanks, and printable."""
        found = self.text(name)
        if not found.strip() or len(found) > characters_max:
            raise InvalidError(f"{self._at(name)}: 1 to {characters_max} characters, and not only blanks")
        if any(ord(character) < 0x20 or 0xD800 <= ord(character) < 0xE000 for character in found):
            raise InvalidError(f"{self._at(name)}: printable text")
        return found

    def objects(self, name: str) -> list[Fields]:
        """An array of objects."""
        found: list[Any] = self._take(name, list)
        if not all(isinstance(one, dict) for one in found):
            raise InvalidError(f"{self._at(name)}: not all of it is of type 'object'")
        return [Fields(one, f"{self._at(name)}[{number}]") for number, one in enumerate(found)]

    def names(self) -> list[str]:
        """What is there."""
        return list(self._held)

    def refuse_others(self, known: Iterable[str]) -> None:
        """Raises InvalidError where there is a field besides those that are `known`."""
        for name in self._held.keys() - set(known):
            raise InvalidError(f"{self._at(name)}: not known here")

    def texts(self, name: str) -> list[str]:
        found: list[Any] = self._take(name, list)
        if not all(isinstance(one, str) for one in found):
            raise InvalidError(f"{self._at(name)}: not all of it is of type 'string'")
        return found

    def value(self, name: str) -> Any:
        return self._held.get(name)

    def others(self, known: frozenset[str]) -> dict[str, Any]:
        """What is here besides the fields that are `known`."""
        return {name: value for name, value in self._held.items() if name not in known}

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _take(self, name: str, kind: type) -> Any:
        if name not in self._held:
            raise InvalidError(f"{self._path or 'the body'}: '{name}' is a required property")
        value = self._held[name]
        if not isinstance(value, kind):
            raise InvalidError(f"{self._at(name)}: not of type '{_NAMES[kind]}'")
        return value


def parse(body: bytes) -> Fields:
    """The body as a JSON object. Raises InvalidError."""
    held = parse_any(body)
    if not isinstance(held, dict):
        raise InvalidError("The body is no JSON object.")
    return Fields(held)


def parse_any(body: bytes) -> Any:
    """The body as any JSON. Raises InvalidError."""
    try:
        held = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidError("The body is no valid JSON.") from error
    if _is_nested_more(held, NESTED_MAX):
        raise InvalidError(f"The body has more than {NESTED_MAX} objects and arrays within each other.")
    return held


def merged(extra: str, changes: dict[str, Any]) -> str:
    """What clients store along with a record, after `changes`."""
    return json.dumps({**json.loads(extra), **changes})


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """1e999 would be read as an infinity, which no JSON can tell again."""
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} is too large")
    return found


def _is_nested_more(held: Any, most: int) -> bool:
    level = [held] if isinstance(held, dict | list) else []
    for _ in range(most):
        inner = (one for outer in level for one in (outer.values() if isinstance(outer, dict) else outer))
        level = [one for one in inner if isinstance(one, dict | list)]
    return bool(level)
