"""A transaction as a pure function: from the present items to the changes it makes.

Both local forms and the checks of arguments rest on this; no form may differ in what a transaction means.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from store.core.errors import InvalidError, NotFoundError
from store.registry.items import KEY_BYTES_MAX, VALUE_BYTES_MAX, Event, Item, Span
from store.registry.operations import (
    OPERATIONS_MAX,
    TRANSACTION_BYTES_MAX,
    Compare,
    Delete,
    DeleteRange,
    Get,
    Operation,
    Put,
)

_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class Items(Protocol):
    """The present items, to read."""

    def get(self, key: bytes) -> Item | None: ...

    def range(self, span: Span, limit: int | None = None, reverse: bool = False) -> Iterable[Item]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """`changes` in the order of keys, one a key, all at `revision`; without changes the revision is the one before."""

    succeeded: bool
    revision: int
    answers: tuple[Item | int | None, ...]
    changes: tuple[Event, ...]


def check_key(key: bytes) -> None:
    if not isinstance(key, bytes) or not 1 <= len(key) <= KEY_BYTES_MAX:
        raise InvalidError(f"a key has 1 to {KEY_BYTES_MAX} bytes")


def check(compares: Sequence[Compare], *branches: Sequence[Operation]) -> None:
    """Raises InvalidError for whatever `Registry.transact` refuses by its arguments alone."""
    size = 0
    _check_count(compares)
    for compare in compares:
        check_key(compare.key)
        if (compare.target == "value") != isinstance(compare.operand, bytes):
            raise InvalidError(f"{compare.target} cannot be compared with {compare.operand!r}")
        size += len(compare.key) + (len(compare.operand) if isinstance(compare.operand, bytes) else 0)
    for branch in branches:
        _check_count(branch)
        size += sum(map(_check_operation, branch))
        _check_overlap(branch)
    if size > TRANSACTION_BYTES_MAX:
        raise InvalidError(f"keys and values of a transaction have {TRANSACTION_BYTES_MAX} bytes at most, not {size}")


def evaluate(
    items: Items,
    revision: int,
    leases: Container[int],
    compares: Sequence[Compare],
    on_success: Sequence[Operation],
    on_failure: Sequence[Operation],
) -> Outcome:
    """What a transaction does to `items` at `revision`. Raises NotFoundError for a Put with a lease not in `leases`."""
    succeeded = all(_holds(compare, items.get(compare.key)) for compare in compares)
    pending: dict[bytes, Item | None] = {}
    answers: list[Item | int | None] = []
    for operation in on_success if succeeded else on_failure:
        match operation:
            case Get(key):
                answers.append(pending[key] if key in pending else items.get(key))
            case Put(key, value, lease):
                if lease and lease not in leases:
                    raise NotFoundError(f"lease {lease} has ended")
                pending[key] = _put(items.get(key), key, value, lease, revision + 1)
                answers.append(None)
            case Delete(key):
                answers.append(_delete(items, Span.key(key), pending))
            case DeleteRange(span):
                answers.append(_delete(items, span, pending))
    changes = tuple(Event(key, revision + 1, item) for key, item in sorted(pending.items(), key=lambda pair: pair[0]))
    return Outcome(succeeded, revision + bool(changes), tuple(answers), changes)


def _put(before: Item | None, key: bytes, value: bytes, lease: int, revision: int) -> Item:
    if before is None:
        return Item(key, value, revision, revision, 1, lease)
    return Item(key, value, before.create_revision, revision, before.version + 1, lease)


def _delete(items: Items, span: Span, pending: dict[bytes, Item | None]) -> int:
    # What this transaction put is never in the span: such transactions are refused.
    going = [item.key for item in items.range(span) if item.key not in pending]
    pending.update(dict.fromkeys(going))
    return len(going)


def _holds(compare: Compare, item: Item | None) -> bool:
    if item is None and compare.target == "value":
        return False
    actual = getattr(item, compare.target) if item else 0
    return _RELATIONS[compare.relation](actual, compare.operand)


def _check_count(parts: Sequence[object]) -> None:
    if len(parts) > OPERATIONS_MAX:
        raise InvalidError(f"{len(parts)} in one transaction; {OPERATIONS_MAX} at most")


def _check_operation(operation: Operation) -> int:
    """The bytes of its key and value."""
    if isinstance(operation, DeleteRange):
        check_span(operation.span)
        return len(operation.span.start) + len(operation.span.end or b"")
    check_key(operation.key)
    if not isinstance(operation, Put):
        return len(operation.key)
    if len(operation.value) > VALUE_BYTES_MAX:
        raise InvalidError(f"a value has {VALUE_BYTES_MAX} bytes at most, not {len(operation.value)}")
    return len(operation.key) + len(operation.value)


def check_span(span: Span) -> None:
    """A span may start with the empty key, which is before all keys. Raises InvalidError for bounds too long."""
    if len(span.start) > KEY_BYTES_MAX + 1 or len(span.end or b"") > KEY_BYTES_MAX + 1:
        raise InvalidError(f"bounds of a span have {KEY_BYTES_MAX + 1} bytes at most")


def _check_overlap(branch: Sequence[Operation]) -> None:
    put = [operation.key for operation in branch if isinstance(operation, Put)]
    if len(set(put)) < len(put):
        raise InvalidError("a transaction puts a key twice")
    spans = [operation.span for operation in branch if isinstance(operation, DeleteRange)]
    spans += [Span.key(operation.key) for operation in branch if isinstance(operation, Delete)]
    if any(span.holds(key) for span in spans for key in put):
        raise InvalidError("a transaction puts a key that it also deletes")
