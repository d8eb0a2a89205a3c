"""What administrators say: limits, and of hosts whether they take servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.tables.record_codec import record_codec

DEFAULT: Final = "default"
"""The id of the limits of projects that have none of their own; no project is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Of a project, by its id; or the defaults."""

    id: str
    limits: dict[str, int]
    """By the names of quotas; -1 is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNote:
    """What is said of a host. One of which nothing is said has no such record."""

    id: str
    """The host's name."""
    service_id: str
    """A UUID: of the service `nova-compute` on it, as clients know it."""
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    updated_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Numbers that clients see as ids: the next of each kind."""

    id: str
    """Of the kind: `aggregate`, `migration`, `keypair`."""
    value: int


QUOTA_CODEC: Final = record_codec("compute quota", Quota)
HOST_NOTE_CODEC: Final = record_codec("host note", HostNote)
COUNTER_CODEC: Final = record_codec("counter", Counter)
