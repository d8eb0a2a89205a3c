"""A register, as histories of one key are of: what one copy of an object would answer. Values are whatever tells two
writes apart; None is the absence of the object."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from tests.linearizability.checker import Operation, linearization


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


def explained(history: Iterable[Operation]) -> bool:
    """Whether a register that was empty at first could have answered so."""
    operations = list(history)
    likely = _spoken_of(operations)
    return _is_linearizable(likely) or (len(likely) < len(operations) and _is_linearizable(operations))


def _is_linearizable(operations: list[Operation]) -> bool:
    return linearization(operations, None, register) is not None


def _spoken_of(operations: list[Operation]) -> list[Operation]:
    """Without writes of unknown outcome whose value nobody has seen or expected: that they never took effect explains
    nearly all, and a search with them may take very long."""
    told: set[Hashable] = set()
    for operation in operations:
        if isinstance(operation.call, Read):
            told.add(operation.result)
        elif isinstance(operation.call, CompareAndSet):
            told.add(operation.call.expected)
    return [operation for operation in operations if operation.returned is not None or _value(operation) in told]


def _value(operation: Operation) -> Hashable:
    """What an operation may have made the register hold."""
    return operation.call.value if isinstance(operation.call, Write | CompareAndSet) else None
