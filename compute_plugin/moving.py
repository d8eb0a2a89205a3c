"""Which disks are those of a guest that goes from host to host while it runs."""

from __future__ import annotations

from compute_plugin.agent.guest_plan import export_of
from compute_plugin.records.records import Records


def is_moving(records: Records, host: str, export: str) -> bool:
    """Whether an export is a disk of a guest that goes to this host, or leaves it, and has not arrived."""
    return any(export_of(disk) == export for server in records.servers.by("moving", host) for disk in server.disks)
