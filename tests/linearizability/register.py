"""A register, as histories of one key are of: what one copy of an object would answer. Values are whatever tells two
writes apart; None is the absence of the object."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from tests.linearizability.checker import Operation


class Read(NamedTuple):
    """Its result is the value."""


class Write(NamedTuple):
    """Of a value; of None, a delete. It has no result."""

    value: Hashable


class CompareAndSet(NamedTuple):
    """A write that is made if the value is the one expected. Its result says whether it was."""

    expected: Hashable
    value: Hashable


def register(state: Hashable, operation: Operation) -> tuple[Hashable, ...]:
    """The step of a register."""
    match operation.call:
        case Read():
            return (state,) if operation.returned is None or operation.result == state else ()
        case Write(value):
            return (value,)
        case CompareAndSet(expected, value):
            if operation.returned is None:
                return (value,) if state == expected else (state,)
            if operation.result:
                return (value,) if state == expected else ()
            return (state,) if state != expected else ()
    raise TypeError(f"a register knows no {operation.call!r}")


def concerned(history: Iterable[Operation]) -> list[Operation]:
    """The history without writes of unknown outcome that nothing speaks of: they explain nothing that can be explained
    with them. With them a search may take very long."""
    operations = list(history)
    if any(isinstance(op.call, CompareAndSet) and op.result is False for op in operations):
        return operations  # that a value was not there may be explained by any other
    told: set[Hashable] = {None}
    for operation in operations:
        if isinstance(operation.call, Read):
            told.add(operation.result)
        elif isinstance(operation.call, CompareAndSet):
            told.add(operation.call.expected)
    return [operation for operation in operations if operation.returned is not None or _value(operation) in told]


def _value(operation: Operation) -> Hashable:
    """What an operation may have made the register hold."""
    return operation.call.value if isinstance(operation.call, Write | CompareAndSet) else None
