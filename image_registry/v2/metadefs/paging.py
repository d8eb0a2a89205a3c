"""Pages of lists of metadata definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from image_registry.v2.call import Call
from image_registry.v2.listing import LIMIT_MAX, NUMBER
from store.core.errors import InvalidError, NotFoundError

T = TypeVar("T")


def asked_limit(call: Call, *, least: int = 0) -> int | None:
    """How many rows at most; None where that was not said. Raises InvalidError."""
    asked = call.query.get("limit")
    if asked is None:
        return None
    if not NUMBER.fullmatch(asked):
        raise InvalidError("limit param must be an integer")
    if int(asked) < least:
        raise InvalidError("limit param must be positive")
    return min(int(asked), LIMIT_MAX)


def is_descending(call: Call) -> bool:
    """Raises InvalidError."""
    said = call.query.get("sort_dir", "desc")
    if said not in ("asc", "desc"):
        raise InvalidError(f"Invalid sort direction: {said}")
    return said == "desc"


def asked_visibility(call: Call, choices: Sequence[str]) -> str:
    """That rows have to have; "" for any. Raises InvalidError."""
    said = call.query.get("visibility", "")
    if said and said not in choices:
        raise InvalidError(f"Invalid visibility value: {said}")
    return said


def in_order(
    call: Call, rows: Sequence[T], keys: dict[str, Callable[[T], Any]], name: Callable[[T], str]
) -> Sequence[T]:
    """As the request asks, and after its marker. What is alike goes by age, then by name. Raises InvalidError,
    NotFoundError where nothing has the marker's name."""
    key = call.query.get("sort_key", "created_at")
    if key not in keys:
        raise InvalidError(f"Sort key supplied is invalid: {key}")
    descending = is_descending(call)
    ordered = sorted(rows, key=lambda row: (keys[key](row), keys["created_at"](row), name(row)), reverse=descending)
    marker = call.query.get("marker")
    if not marker:
        return ordered
    names = [name(row) for row in ordered]
    if marker not in names:
        raise NotFoundError(f"Nothing has the name {marker} that the marker says.")
    return ordered[names.index(marker) + 1 :]
