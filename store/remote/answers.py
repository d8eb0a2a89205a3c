"""What a device of another process answers, as `DevicePort` says it. That process may be of a newer program, or broken:
what it answers is checked to be of the right form. Sans-I/O.

Each of these raises TypeError, ValueError or LookupError for what is no such answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from store.device.port import Applied, Fenced, Garbage, Seen
from store.device.row import IndexRow, RowKey
from store.remote.values import index_row, row_key

T = TypeVar("T")


def number(found: Any) -> int:
    if not isinstance(found, int):
        raise TypeError("not a number")
    return found


def yes_or_no(found: Any) -> bool:
    if not isinstance(found, bool):
        raise TypeError("neither yes nor no")
    return found


def octets(found: Any) -> bytes:
    if not isinstance(found, bytes):
        raise TypeError("not bytes")
    return found


def octets_or_none(found: Any) -> bytes | None:
    return None if found is None else octets(found)


def nothing(_found: Any) -> None:
    """Whatever is said besides."""


def list_of(each: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """A list of what `each` takes."""

    def take(found: Any) -> list[T]:
        if not isinstance(found, list):
            raise TypeError("not a list")
        return [each(one) for one in found]

    return take


def pair(found: Any) -> tuple[bytes, bytes]:
    first, second = found
    return octets(first), octets(second)


def applied(found: Any) -> Applied:
    refused, stamp, displaced, barred, floor, covers = found
    if not isinstance(refused, str):
        raise TypeError("not a reason")
    return Applied(refused, octets(stamp), index_row(displaced), yes_or_no(barred), octets(floor), yes_or_no(covers))


def seen(found: Any) -> Seen:
    value, floor, retired, believed, barred = found
    return Seen(octets_or_none(value), octets(floor), yes_or_no(retired), yes_or_no(believed), yes_or_no(barred))


def fenced(found: Any) -> Fenced:
    first, blocks = found
    return Fenced(number(first), list_of(number)(blocks))


def walked_rows(found: Any) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
    rows, more = found
    return list_of(_walked)(rows), octets(more)


def _walked(found: Any) -> tuple[bytes, IndexRow]:
    key, fields = found
    row = index_row(fields)
    if row is None:
        raise TypeError("not a row")
    return octets(key), row


def walked_keys(found: Any) -> tuple[list[bytes], bytes]:
    keys, more = found
    return list_of(octets)(keys), octets(more)


def usage(found: Any) -> dict[int, tuple[int, int]]:
    return dict(list_of(_usage_of_policy)(found))


def _usage_of_policy(found: Any) -> tuple[int, tuple[int, int]]:
    policy, rows, size = found
    return number(policy), (number(rows), number(size))


def expiry(found: Any) -> tuple[int, bytes]:
    expires, key = found
    return number(expires), octets(key)


def hint(found: Any) -> tuple[bytes, int]:
    key, noted_us = found
    return octets(key), number(noted_us)


def garbage(found: Any) -> Garbage:
    data_id, owner, policy, summary = found
    return Garbage(octets(data_id), row_key(owner), number(policy), octets(summary))


def block(found: Any) -> tuple[int, int]:
    index, fragment = found
    return number(index), number(fragment)


def owners(found: Any) -> tuple[list[tuple[bytes, RowKey]], bytes]:
    pairs, more = found
    return list_of(_owner)(pairs), octets(more)


def _owner(found: Any) -> tuple[bytes, RowKey]:
    data_id, owner = found
    return octets(data_id), row_key(owner)
