"""What puts servers together or apart: server groups, and aggregates of hosts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from compute_plugin.tables.record_codec import record_codec

POLICIES: Final = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """Its members are the servers that say so (`Server.group_id`)."""

    id: str
    project_id: str
    user_id: str
    name: str
    policy: str
    """One of POLICIES."""
    max_per_host: int = 0
    """Of anti-affinity: servers on one host; 0: one."""
    created_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """Hosts that have something in common."""

    id: str
    uuid: str
    number: int
    """As clients say it."""
    name: str
    hosts: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    """`availability_zone` makes it one."""
    created_us: int = 0
    updated_us: int = 0


GROUP_CODEC: Final = record_codec("server group", ServerGroup)
AGGREGATE_CODEC: Final = record_codec("aggregate", Aggregate)
