"""Answers of the process that owns the registry, taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from store.wire.errors import ProtocolError

_Value = TypeVar("_Value")
_More = ParamSpec("_More")


def understood(
    unpack: Callable[Concatenate[object, _More], _Value], answer: object, *more: _More.args, **named: _More.kwargs
) -> _Value:
    """What `unpack` makes of an answer. Raises ProtocolError where it is none."""
    try:
        return unpack(answer, *more, **named)
    except TypeError as error:
        raise ProtocolError(f"this is no answer of a registry: {str(answer)[:100]}") from error
