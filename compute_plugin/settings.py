"""What the operator says of servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from compute_plugin.records.operating import DEFAULT
from compute_plugin.records.records import Records

LIMITS: Final = MappingProxyType(
    {
        "instances": 10,
        "cores": 20,
        "ram": 50 * 1024,
        "metadata_items": 128,
        "injected_files": 5,
        "injected_file_content_bytes": 10 * 1024,
        "injected_file_path_bytes": 255,
        "key_pairs": 100,
        "server_groups": 10,
        "server_group_members": 10,
    }
)
"""As stock Nova has them; -1 is none. `key_pairs` are of a user, the others of a project."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The same on all hosts."""

    zone: str = "nova"
    """Of hosts that no aggregate puts into another."""
    cpu_ratio: float = 4.0
    """Virtual processors of servers for each of a host."""
    ram_ratio: float = 1.0
    ram_reserved_mib: int = 512
    """Of each host, for everything besides servers."""
    disk_ratio: float = 4.0
    """GiB of servers' disks for each of the store: they are clones, and take what is written."""
    limits: dict[str, int] = field(default_factory=dict)
    console_s: int = 600
    """How long a token for a console opens it."""
    reclaim_s: int = 0
    """How long a deleted server can be restored; 0: not at all."""
    stop_s: float = 60.0
    """How long a guest may take to end when it is asked to."""
    hypervisor: str = "qemu:///system"
    """As libvirt calls it."""
    migration_uri: str = ""
    """By which other hosts' hypervisors reach one, `%s` for its address; "" where guests do not go from host to host
    while they run."""

    def defaults(self, records: Records) -> dict[str, int]:
        """Limits of projects that have none of their own."""
        held = records.quotas.get(DEFAULT)
        return {**LIMITS, **self.limits, **(held.limits if held is not None else {})}

    def limits_of(self, records: Records, project: str) -> dict[str, int]:
        """How many of each a project may have; -1 for any number."""
        own = records.quotas.get(project)
        return {**self.defaults(records), **(own.limits if own is not None else {})}
