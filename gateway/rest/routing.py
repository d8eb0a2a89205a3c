"""`Router`: which handler a path and a method mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

H = TypeVar("H")


@dataclass
class _Node(Generic[H]):
    handlers: dict[str, H] = field(default_factory=dict)
    literal: dict[str, _Node[H]] = field(default_factory=dict)
    named: dict[str, _Node[H]] = field(default_factory=dict)
    """By the name that the part of the path has; paths with the same beginning may name it differently."""


@dataclass(frozen=True, slots=True)
class Match(Generic[H]):
    """What a path leads to: handlers by method, and the parts of the path that have names."""

    handlers: Mapping[str, H]
    parts: dict[str, str]


class Router(Generic[H]):
    """A tree of the parts of paths, so that what a request costs does not grow with the number of routes."""

    def __init__(self, routes: Mapping[str, Mapping[str, H]]) -> None:
        """`routes`: by a path such as `/v3/users/{user_id}`, handlers by method."""
        self._root: Final[_Node[H]] = _Node()
        for path, handlers in routes.items():
            node = self._root
            for part in _parts(path):
                known = node.named if part.startswith("{") else node.literal
                node = known.setdefault(part.strip("{}"), _Node())
            node.handlers.update(handlers)

    def find(self, path: str) -> Match[H] | None:
        """Literal parts come before named ones, wherever both lead somewhere."""
        return _find(self._root, _parts(path), {})


def _parts(path: str) -> list[str]:
    return [part for part in path.strip("/").split("/") if part] if path.strip("/") else []


def _find(node: _Node[H], parts: list[str], named: dict[str, str]) -> Match[H] | None:
    if not parts:
        return Match(node.handlers, named) if node.handlers else None
    head, *rest = parts
    if head in node.literal:
        found = _find(node.literal[head], rest, named)
        if found is not None:
            return found
    for name, child in node.named.items():
        found = _find(child, rest, {**named, name: head})
        if found is not None:
            return found
    return None
