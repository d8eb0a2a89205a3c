"""What administrators say: limits, and of hosts whether they take servers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from compute_plugin.records.states import HostState
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
    """What is said of a host, and what it said itself: so that one whose agent is gone is still known."""

    id: str
    """The host's name."""
    service_id: str
    """A UUID: of the service `nova-compute` on it, as clients know it."""
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    updated_us: int = 0
    number: int = 0
    """As old clients know the service and the hypervisor."""
    last: HostState | None = None
    """As it was noted last; what changes all the time may have changed since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Numbers that clients see as ids: the next of each kind."""

    id: str
    """Of the kind: `aggregate`, `migration`, `keypair`."""
    value: int


def _plain(value: Any) -> Any:
    return [getattr(value, one.name) for one in fields(HostState)] if isinstance(value, HostState) else value


def _state(stored: Any) -> HostState | None:
    if stored is None:
        return None
    return HostState(**dict(zip((one.name for one in fields(HostState)), stored, strict=True)))


QUOTA_CODEC: Final = record_codec("compute quota", Quota)
HOST_NOTE_CODEC: Final = record_codec("host note", HostNote, pack=_plain, last=_state)
COUNTER_CODEC: Final = record_codec("counter", Counter)
