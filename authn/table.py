"""`Table`: the records of one kind, by id, in the order of ids, and by name. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Generic

from authn.errors import UnreadableError
from authn.records import Kind, R
from store.core.errors import NotFoundError


class Table(Generic[R]):
    """The records of one kind, by id and by name; and which there are that cannot be read here."""

    def __init__(self, kind: Kind[R], called: Callable[[R], tuple[str, str]] | None = None) -> None:
        """`called`: the realm and name of records whose name others may have, too; None where there are none such."""
        self.kind = kind
        self._called = called
        self._also: dict[tuple[str, str], dict[str, R]] = {}
        self._order: list[str] | None = None
        self._by_id: dict[str, R] = {}
        self._by_name: dict[tuple[str, str], R] = {}
        self._unreadable: dict[str, str] = {}

    def __iter__(self) -> Iterator[R]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, id_: str) -> R | None:
        return self._by_id.get(id_)

    def is_unreadable(self, id_: str) -> bool:
        """Whether there is a record that cannot be read here."""
        return id_ in self._unreadable

    def named(self, unique_name: tuple[str, str]) -> R | None:
        return self._by_name.get(unique_name)

    def called(self, name: tuple[str, str]) -> list[R]:
        """All that have the name in the realm, whether it is theirs alone or not."""
        own = self._by_name.get(name)
        return [*self._also.get(name, {}).values(), *([own] if own is not None else [])]

    def after(self, id_: str) -> Iterator[R]:
        """The records whose ids are greater, in the order of ids. They must not change meanwhile."""
        if self._order is None:
            self._order = sorted(self._by_id)  # which most of the time it nearly was, and that is fast
        for at in range(bisect_right(self._order, id_), len(self._order)):
            yield self._by_id[self._order[at]]

    def require(self, id_: str) -> R:
        """The record. Raises NotFoundError; UnreadableError for one that cannot be read here."""
        found = self._by_id.get(id_)
        if found is None:
            why = self._unreadable.get(id_)
            if why is not None:
                raise UnreadableError(f"The {self.kind.noun} {id_} cannot be used here: {why}")
            raise NotFoundError(f"Could not find {self.kind.noun}: {id_}.")
        return found

    def store(self, id_: str, after: R | None, why: str = "") -> None:
        """Take in what the registry has, None where it has nothing; with `why` nothing that can be read."""
        before = self._by_id.pop(id_, None)
        if before is not None and before.unique_name is not None and self._by_name.get(before.unique_name) is before:
            del self._by_name[before.unique_name]
        if before is not None and before.unique_name is None and self._called is not None:
            self._forget_called(self._called(before), id_)
        self._unreadable.pop(id_, None)
        if why:
            self._unreadable[id_] = why
        if (before is None) != (after is None):
            self._order = None
        if after is None:
            return
        self._by_id[id_] = after
        if after.unique_name is not None:
            self._by_name[after.unique_name] = after
        elif self._called is not None:
            self._also.setdefault(self._called(after), {})[id_] = after

    def _forget_called(self, name: tuple[str, str], id_: str) -> None:
        held = self._also[name]
        del held[id_]
        if not held:
            del self._also[name]
