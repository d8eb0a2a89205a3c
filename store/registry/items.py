"""What the registry holds and tells: items, spans of keys, events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

KEY_BYTES_MAX: Final = 511
"""LMDB's own bound; etcd has none that is lower."""

VALUE_BYTES_MAX: Final = 1024 * 1024
"""etcd refuses requests of more than 1.5 MiB unless told otherwise; a value must fit with room for its request."""


class Item(NamedTuple):
    """A key and its value, with the revisions of the registry at which the key came to be and was last put.

    `version` counts the puts since it came to be, from 1. `lease` is the lease it is attached to, 0 for none.
    """

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one key. `item` is what was put, or None where the key was deleted.

    Events of one transaction share their revision.
    """

    key: bytes
    revision: int
    item: Item | None


class Span(NamedTuple):
    """Keys from `start` up to `end`, which is left out; `end` None: to the last key there is."""

    start: bytes
    end: bytes | None

    @classmethod
    def prefix(cls, prefix: bytes) -> Span:
        """All keys that begin with `prefix`; all keys there are for an empty one."""
        stem = prefix.rstrip(b"\xff")
        return cls(prefix, stem[:-1] + bytes([stem[-1] + 1]) if stem else None)

    @classmethod
    def key(cls, key: bytes) -> Span:
        """That key alone."""
        return cls(key, key + b"\0")

    def holds(self, key: bytes) -> bool:
        return self.start <= key and (self.end is None or key < self.end)
