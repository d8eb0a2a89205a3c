"""The registry's values as they travel: plain lists, which are taken apart strictly at the other end. Sans-I/O.

What is taken apart may come from anybody: whatever is not of the right types raises TypeError, before it is anything
that a registry is asked for.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from store.registry.items import Event, Item, Span
from store.registry.operations import Compare, Delete, DeleteRange, Get, Operation, Put, Relation, Target

Answer = Item | int | None
"""Of one operation of a transaction."""

_TARGETS: Final = get_args(Target)
_RELATIONS: Final = get_args(Relation)


def take(value: object, *types: Any) -> list[Any]:
    """The parts of a list that has just these types. A bool is no number here. Raises TypeError."""
    if not isinstance(value, list) or len(value) != len(types):
        raise TypeError(f"a list of {len(types)} values is taken")
    for part, kind in zip(value, types, strict=True):
        if not isinstance(part, kind) or (isinstance(part, bool) and kind is not bool):
            raise TypeError(f"{type(part).__name__} where {kind} is taken")
    return value


def take_all(values: object) -> list[Any]:
    """A list of whatever it has. Raises TypeError."""
    if not isinstance(values, list):
        raise TypeError("a list is taken")
    return values


def pack_item(item: Item | None) -> tuple[Any, ...] | None:
    """None stays None."""
    if item is None:
        return None
    return item.key, item.value, item.create_revision, item.mod_revision, item.version, item.lease


def unpack_item(fields: object) -> Item | None:
    return None if fields is None else Item(*take(fields, bytes, bytes, int, int, int, int))


def unpack_items(values: object) -> list[Item]:
    return [Item(*take(each, bytes, bytes, int, int, int, int)) for each in take_all(values)]


def pack_event(event: Event) -> tuple[Any, ...]:
    return event.key, event.revision, pack_item(event.item)


def unpack_event(fields: object) -> Event:
    key, revision, item = take(fields, bytes, int, object)
    return Event(key, revision, unpack_item(item))


def pack_compare(compare: Compare) -> tuple[Any, ...]:
    return compare.key, compare.target, compare.relation, compare.operand


def unpack_compare(fields: object) -> Compare:
    key, target, relation, operand = take(fields, bytes, str, str, int | bytes)
    if target not in _TARGETS or relation not in _RELATIONS:
        raise TypeError(f"nothing is compared by {target!r} and {relation!r}")
    return Compare(key, target, relation, operand)


def pack_operation(operation: Operation) -> tuple[Any, ...]:
    match operation:
        case Put(key, value, lease):
            return "put", key, value, lease
        case Delete(key):
            return "delete", key
        case DeleteRange(span):
            return "delete_range", span.start, span.end
        case Get(key):
            return "get", key


def unpack_operation(fields: object) -> Operation:
    name, *arguments = take_all(fields) or [None]
    match name:
        case "put":
            return Put(*take(arguments, bytes, bytes, int))
        case "delete":
            return Delete(*take(arguments, bytes))
        case "delete_range":
            return DeleteRange(Span(*take(arguments, bytes, bytes | None)))
        case "get":
            return Get(*take(arguments, bytes))
    raise TypeError(f"there is no operation {name!r}")


def pack_answer(answer: Answer) -> tuple[Any, ...] | int | None:
    return pack_item(answer) if isinstance(answer, Item) else answer


def unpack_answer(value: object) -> Answer:
    return take([value], int)[0] if isinstance(value, int) else unpack_item(value)


def unpack_answers(values: object) -> list[Answer]:
    return [unpack_answer(each) for each in take_all(values)]
