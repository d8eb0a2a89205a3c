"""A checker for linearizability: is there an order of the operations, each at some moment between its invocation and
its return, in which a single copy would have answered as was seen?

The search is that of Wing and Gong (1993) with Lowe's memory of what was tried (2017): an operation may come next if no
other one returned before it was invoked; a set of operations with the state that they lead to is looked at once. It is
meant for histories of one key with up to some hundreds of operations, few of them at a time.

An operation of unknown outcome takes effect at any moment after its invocation, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Operation(NamedTuple):
    """What one client asked and was told. `returned` is None where the outcome is unknown; `result` counts for nothing
    then. Times need only be in the order of what happened."""

    call: Hashable
    result: Hashable
    invoked: float
    returned: float | None


Step = Callable[[S, Operation], Iterable[S]]
"""The states in which a single copy may be after an operation: none where it would not have answered so."""


def linearization(history: Iterable[Operation], initial: S, step: Step[S]) -> list[Operation] | None:
    """An order that explains the history, those of unknown outcome left out that need not have taken effect; None where
    there is none."""
    operations = sorted(history, key=lambda operation: operation.invoked)
    certain = sum(1 << number for number, operation in enumerate(operations) if operation.returned is not None)
    seen: set[tuple[int, S]] = {(0, initial)}
    path: list[int] = []
    open_: list[list[tuple[int, int, S]]] = [_next(operations, 0, initial, step)]
    done = 0
    while open_:
        if done & certain == certain:
            return [operations[number] for number in path]
        if open_[-1]:
            number, after, state = open_[-1].pop()
            if (after, state) not in seen:
                seen.add((after, state))
                path.append(number)
                done = after
                open_.append(_next(operations, done, state, step))
        else:
            open_.pop()
            if path:
                done &= ~(1 << path.pop())
    return None


def _next(operations: Sequence[Operation], done: int, state: S, step: Step[S]) -> list[tuple[int, int, S]]:
    """(operation, all that is done with it, state) of those that may come next; the last is to be tried first."""
    found: list[tuple[int, int, S]] = []
    unknown: set[Hashable] = set()
    horizon = float("inf")
    first = (~done & (done + 1)).bit_length() - 1
    for number in range(first, len(operations)):
        if done >> number & 1:
            continue
        operation = operations[number]
        if operation.invoked > horizon:
            break
        if operation.returned is not None:
            horizon = min(horizon, operation.returned)
        elif operation.call in unknown:
            continue  # the one that was invoked before it will do as well
        else:
            unknown.add(operation.call)
        found += [
            (number, done | 1 << number, after)
            for after in step(state, operation)
            if operation.returned is not None or after != state
        ]
    found.sort(key=lambda each: returned if (returned := operations[each[0]].returned) is not None else horizon + 1)
    return found[::-1]
