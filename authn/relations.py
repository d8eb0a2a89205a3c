"""Who holds what where, and what belongs together, each findable from both ends. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TypeVar

from authn.keys import Assignment, Link

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Assignments:
    """Roles held, by actor, by target, and by both."""

    def __init__(self) -> None:
        self._by_actor: dict[tuple[str, str], set[Assignment]] = {}
        self._by_target: dict[tuple[str, str], set[Assignment]] = {}
        self._by_both: dict[tuple[str, str, str, str], set[Assignment]] = {}

    def store(self, held: Assignment, there: bool) -> None:
        """Take in that it is so, or that it is not."""
        _store(self._by_actor, (held.actor, held.actor_id), held, there)
        _store(self._by_target, (held.target, held.target_id), held, there)
        _store(self._by_both, (held.actor, held.actor_id, held.target, held.target_id), held, there)

    def __iter__(self) -> Iterator[Assignment]:
        for held in self._by_actor.values():
            yield from held

    def __contains__(self, held: Assignment) -> bool:
        return held in self._by_both.get((held.actor, held.actor_id, held.target, held.target_id), ())

    def of_actor(self, actor: str, actor_id: str) -> frozenset[Assignment]:
        return frozenset(self._by_actor.get((actor, actor_id), ()))

    def in_target(self, target: str, target_id: str) -> frozenset[Assignment]:
        return frozenset(self._by_target.get((target, target_id), ()))

    def of_both(self, actor: str, actor_id: str, target: str, target_id: str) -> frozenset[Assignment]:
        return frozenset(self._by_both.get((actor, actor_id, target, target_id), ()))


class Links:
    """Pairs of ids, by kind."""

    def __init__(self) -> None:
        self._others: dict[tuple[str, str], set[str]] = {}
        self._ones: dict[tuple[str, str], set[str]] = {}

    def store(self, held: Link, there: bool) -> None:
        """Take in that they belong together, or that they do not."""
        _store(self._others, (held.kind, held.one), held.other, there)
        _store(self._ones, (held.kind, held.other), held.one, there)

    def __contains__(self, held: Link) -> bool:
        return held.other in self._others.get((held.kind, held.one), ())

    def others(self, kind: str, one: str) -> frozenset[str]:
        """What belongs to `one`."""
        return frozenset(self._others.get((kind, one), ()))

    def ones(self, kind: str, other: str) -> frozenset[str]:
        """What `other` belongs to."""
        return frozenset(self._ones.get((kind, other), ()))


def _store(index: dict[K, set[V]], key: K, value: V, there: bool) -> None:
    if there:
        index.setdefault(key, set()).add(value)
        return
    present = index.get(key)
    if present is not None:
        present.discard(value)
        if not present:
            del index[key]
