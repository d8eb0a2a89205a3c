"""What all records of networks have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Times are microseconds since the epoch."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    created_us: int = 0
    updated_us: int = 0
    revision: int = 0
    """How often it was changed: Neutron's `revision_number`."""
