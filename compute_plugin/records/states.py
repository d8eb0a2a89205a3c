"""What the agents of hosts say of themselves, and that they live.

compute-state/host/<host>       a host; the key ends with its agent's lease
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from compute_plugin.tables.record_codec import record_codec
from compute_plugin.tables.table import Kind, Table
from compute_plugin.tables.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """Of a host whose agent lives."""

    id: str
    """The host's name."""
    uuid: str
    """Of its hypervisor, as clients know it: the same after every start."""
    address: str = ""
    """Where other hosts reach it; "" for a machine alone."""
    kind: str = "QEMU"
    """hypervisor_type."""
    version: int = 0
    vcpus: int = 0
    """0 of a host that takes no servers."""
    memory_mib: int = 0
    disk_gib: int = 0
    """Of the store, on its own devices; 0 of a host without any, which has servers all the same."""
    free_disk_gib: int = 0
    cpu: dict[str, Any] = field(default_factory=dict)
    can: tuple[str, ...] = ()
    """Of hypervisors.interface.Can."""
    migration_uri: str = ""
    """By which others' hypervisors reach its own; "" where they cannot."""
    started_us: int = 0
    seen_us: int = 0
    problems: tuple[str, ...] = ()
    """What keeps it from running servers, in words for people."""


HOSTS: Final = Kind("host", record_codec("compute host", HostState))


class States(Tables):
    """All of it in memory."""

    prefix = b"compute-state/"

    def __init__(self) -> None:
        self.hosts: Table[HostState] = Table(HOSTS)
