"""How records are stored: dataclasses, field by field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from store.core.codec import Codec

R = TypeVar("R", bound=Any)


def record_codec(
    name: str, type_: type[R], *, pack: Callable[[Any], Any] = lambda value: value, **lifts: Callable[[Any], Any]
) -> Codec[R]:
    """Of a dataclass whose fields are stored in their order. `lifts`: what makes a field of what msgpack read of it,
    for those that are neither text, number nor a tuple of such.

    Who adds a field adds it at the end of its class, with a default, and the version that reads records without it.
    """
    names = [field.name for field in fields(type_)]

    def values(record: R) -> list[Any]:
        return [pack(getattr(record, one)) for one in names]

    def read(stored: Sequence[Any]) -> R:
        held = dict(zip(names, stored, strict=True))
        record: R = type_(**{one: lifts[one](value) if one in lifts else value for one, value in held.items()})
        return record

    return Codec(name, 1, values, {1: read}, tuples=True)


def each(type_: Callable[..., R]) -> Callable[[Any], tuple[R, ...]]:
    """Lifts a list of tuples."""
    return lambda values: tuple(type_(*value) for value in values)


def maybe(type_: Callable[..., R]) -> Callable[[Any], R | None]:
    """Lifts a tuple, or None."""
    return lambda value: None if value is None else type_(*value)
