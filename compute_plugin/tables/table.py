"""`Table`: the records of one kind in memory, found by id and by what they are asked for besides. Pure.

A table may lie over another one, which it leaves as it is: what a change is about to do is seen by the rest of the
change, and by nobody else as long as it is not durable.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from store.core.codec import Codec
from store.core.errors import NotFoundError

R = TypeVar("R", bound=Any)
Keys = Callable[[R], Iterable[Hashable]]


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """What there is to know of records of one kind."""

    name: str
    """In the registry's keys."""
    codec: Codec[R]
    indexes: Mapping[str, Keys[R]] = field(default_factory=dict)
    """What records are found by besides their ids."""
    missing: str = "NotFound"
    """The type of the error where there is none, in APIs that have such."""
    called: str = "Resource"
    """In messages."""


class Table(Generic[R]):
    """Records of one kind."""

    def __init__(self, kind: Kind[R], below: Table[R] | None = None) -> None:
        self.kind = kind
        self._below = below
        self._own: dict[str, R | None] = {}
        """None: it is below, and deleted here."""
        self._indexes: dict[str, dict[Hashable, dict[str, None]]] = {name: {} for name in kind.indexes}

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, id_: str) -> R | None:
        if id_ in self._own:
            return self._own[id_]
        return self._below.get(id_) if self._below is not None else None

    def require(self, id_: str) -> R:
        """Raises what `missing` makes."""
        found = self.get(id_)
        if found is None:
            raise self.missing(id_)
        return found

    def missing(self, id_: str) -> NotFoundError:
        """That there is none with the id."""
        return NotFoundError(f"{self.kind.called} {id_[:255]} could not be found.")

    def by(self, index: str, value: Hashable) -> list[R]:
        """Those that the index has under a value, in the order of their ids."""
        held = (self._own[id_] for id_ in self._indexes[index].get(value, ()))
        found: dict[str, R] = {one.id: one for one in held if one is not None}
        if self._below is not None:
            found |= {one.id: one for one in self._below.by(index, value) if one.id not in self._own}
        return [found[id_] for id_ in sorted(found)]

    def has(self, index: str, value: Hashable) -> bool:
        """Whether there is any."""
        if self._indexes[index].get(value):
            return True
        if self._below is None:
            return False
        if not self._own:
            return self._below.has(index, value)
        return any(one.id not in self._own for one in self._below.by(index, value))

    def __iter__(self) -> Iterator[R]:
        yield from (one for one in self._own.values() if one is not None)
        if self._below is not None:
            yield from (one for one in self._below if one.id not in self._own)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    # -- changing ------------------------------------------------------------------------------------------------

    def put(self, record: R) -> None:
        """It is so from now on."""
        self._forget(record.id)
        self._own[record.id] = record
        for name, keys in self.kind.indexes.items():
            for value in keys(record):
                self._indexes[name].setdefault(value, {})[record.id] = None

    def delete(self, id_: str) -> None:
        """It is gone from now on. Nothing where it is not there."""
        self._forget(id_)
        if self._below is not None:
            self._own[id_] = None
        else:
            self._own.pop(id_, None)

    def changes(self) -> Mapping[str, R | None]:
        """What lies over the other table; None for what is deleted."""
        return self._own

    def _forget(self, id_: str) -> None:
        before = self._own.get(id_)
        if before is None:
            return
        for name, keys in self.kind.indexes.items():
            for value in keys(before):
                held = self._indexes[name].get(value)
                if held is not None:
                    held.pop(id_, None)
                    if not held:
                        del self._indexes[name][value]
