"""Tokens seen before and what they stand for: bounded, and exact, since it is told of every change."""

from __future__ import annotations

from collections import OrderedDict

from authn.identity import Identity
from authn.snapshot import Change


class TokenCache:
    """The tokens used last. Each entry goes when its user, its project, its roles or itself change."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, tuple[Identity, frozenset[str]]] = OrderedDict()
        self._concerned: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, sealed: str) -> Identity | None:
        entry = self._entries.get(sealed)
        if entry is None:
            return None
        self._entries.move_to_end(sealed)
        return entry[0]

    def put(self, sealed: str, concerned: frozenset[str], identity: Identity) -> None:
        """Remember that `sealed` stands for `identity`, as long as nothing changes of what has one of these ids."""
        self.drop(sealed)
        self._entries[sealed] = identity, concerned
        for id_ in concerned:
            self._concerned.setdefault(id_, set()).add(sealed)
        if len(self._entries) > self._capacity:
            self.drop(next(iter(self._entries)))

    def drop(self, sealed: str) -> None:
        """Forget one token."""
        entry = self._entries.pop(sealed, None)
        if entry is None:
            return
        for id_ in entry[1]:
            tokens = self._concerned[id_]
            tokens.discard(sealed)
            if not tokens:
                del self._concerned[id_]

    def on_change(self, change: Change) -> None:
        """Forget all that the change may touch."""
        if change.concerns is None:
            self._entries.clear()
            self._concerned.clear()
            return
        for sealed in tuple(self._concerned.get(change.concerns, ())):
            self.drop(sealed)
