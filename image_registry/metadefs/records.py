"""What the registry keeps of metadata definitions: a namespace and all that is in it is one value, so that each change
is seen whole or not at all. Fields are only ever added, at the end and with a default, each time with a new version of
the codec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from store.core.codec import Codec

PUBLIC: Final = "public"
PRIVATE: Final = "private"


class Kind(StrEnum):
    """What a namespace holds."""

    OBJECT = "object"
    """A group of properties that belong together."""
    PROPERTY = "property"
    TAG = "tag"
    RESOURCE_TYPE = "resource type"
    """What the namespace is meant for: "associated" with it, as Glance says."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One thing in a namespace. Times are in microseconds since the epoch."""

    name: str
    created_us: int
    updated_us: int
    said: Mapping[str, Any] = field(default_factory=dict)
    """What clients say of it besides its name: JSON."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """Times are in microseconds since the epoch."""

    name: str
    owner: str
    created_us: int
    updated_us: int
    display_name: str | None = None
    description: str | None = None
    visibility: str = PRIVATE
    protected: bool = False
    """Then neither it nor what is in it can be deleted."""
    held: Mapping[Kind, tuple[Definition, ...]] = field(default_factory=dict)
    """In the order in which they came."""

    def of(self, kind: Kind) -> tuple[Definition, ...]:
        """All of one kind."""
        return self.held.get(kind, ())

    def find(self, kind: Kind, name: str) -> Definition | None:
        return next((one for one in self.of(kind) if one.name == name), None)

    def prefix(self, resource_type: str) -> str:
        """What stands before names of properties where they are put on such a resource; "" for nothing."""
        found = self.find(Kind.RESOURCE_TYPE, resource_type)
        return "" if found is None else str(found.said.get("prefix") or "")


def _fields(namespace: Namespace) -> list[Any]:
    # As JSON, since it may hold numbers and texts that no other form takes.
    held = {kind: [[one.name, one.created_us, one.updated_us, one.said] for one in namespace.of(kind)] for kind in Kind}
    return [
        namespace.name,
        namespace.owner,
        namespace.created_us,
        namespace.updated_us,
        namespace.display_name,
        namespace.description,
        namespace.visibility,
        namespace.protected,
        json.dumps(held),
    ]


def _read(fields: Any) -> Namespace:
    held = {Kind(kind): tuple(Definition(*one) for one in rows) for kind, rows in json.loads(fields[8]).items()}
    name, owner, created_us, updated_us, display_name, description, visibility, protected = fields[:8]
    return Namespace(name, owner, created_us, updated_us, display_name, description, visibility, protected, held)


NAMESPACE_CODEC: Final = Codec("metadata definition namespace", 1, _fields, {1: _read})
