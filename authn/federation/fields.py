"""Strict reading of objects that administrators wrote: each refusal names the field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from authn.federation.assertion import is_text
from store.core.errors import InvalidError


def an_object(value: Any, where: str, *, required: Iterable[str] = (), allowed: Iterable[str] = ()) -> dict[str, Any]:
    """The object, with all that is `required` and nothing else but what is `allowed`. Raises InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError(f"{where}: not of type 'object'")
    required = tuple(required)
    for name in required:
        if name not in value:
            raise InvalidError(f"{where}: '{name}' is a required property")
    unknown = sorted(str(name) for name in value.keys() - {*required, *allowed})
    if unknown:
        raise InvalidError(f"{where}: Additional properties are not allowed ({_quoted(unknown[0])} was unexpected)")
    return value


def an_array(value: Any, where: str, *, least: int = 0, most: int) -> list[Any]:
    """The array, of a length within bounds. Raises InvalidError."""
    if not isinstance(value, list):
        raise InvalidError(f"{where}: not of type 'array'")
    if len(value) < least:
        raise InvalidError(f"{where}: has fewer than {least} items")
    if len(value) > most:
        raise InvalidError(f"{where}: has more than {most} items")
    return value


def a_text(value: Any, where: str, *, most: int = 4096) -> str:
    """The text, of a length within bounds. Raises InvalidError."""
    if not isinstance(value, str):
        raise InvalidError(f"{where}: not of type 'string'")
    if len(value) > most:
        raise InvalidError(f"{where}: is longer than {most} characters")
    if not is_text(value):
        raise InvalidError(f"{where}: is no text")
    return value


def a_flag(value: Any, where: str) -> bool:
    """The boolean. Raises InvalidError."""
    if not isinstance(value, bool):
        raise InvalidError(f"{where}: not of type 'boolean'")
    return value


def _quoted(name: str) -> str:
    return repr(name[:64])
