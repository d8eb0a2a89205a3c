"""What clients are told of where a server stands. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from compute_plugin.records.server import Server, VmState

DELETED: Final = "DELETED"
_PLAIN: Final = MappingProxyType(
    {
        VmState.BUILDING: "BUILD",
        VmState.ACTIVE: "ACTIVE",
        VmState.STOPPED: "SHUTOFF",
        VmState.PAUSED: "PAUSED",
        VmState.SUSPENDED: "SUSPENDED",
        VmState.RESIZED: "VERIFY_RESIZE",
        VmState.RESCUED: "RESCUE",
        VmState.SHELVED: "SHELVED",
        VmState.OFFLOADED: "SHELVED_OFFLOADED",
        VmState.ERROR: "ERROR",
        VmState.SOFT_DELETED: "SOFT_DELETED",
    }
)
_MEANWHILE: Final = MappingProxyType(
    {
        "rebooting": "REBOOT",
        "reboot_started": "REBOOT",
        "rebooting_hard": "HARD_REBOOT",
        "reboot_started_hard": "HARD_REBOOT",
        "updating_password": "PASSWORD",
        "rebuilding": "REBUILD",
        "rebuild_block_device_mapping": "REBUILD",
        "rebuild_spawning": "REBUILD",
        "migrating": "MIGRATING",
        "resize_prep": "RESIZE",
        "resize_migrating": "RESIZE",
        "resize_migrated": "RESIZE",
        "resize_finish": "RESIZE",
        "resize_reverting": "REVERT_RESIZE",
    }
)
"""By task_state; others show the state that the server was in."""
STATUSES: Final = (*sorted({*_PLAIN.values(), *_MEANWHILE.values(), DELETED}), "UNKNOWN")


def status_of(server: Server) -> str:
    """Such as `ACTIVE`."""
    return _MEANWHILE.get(task_state(server) or "", _PLAIN[server.state])


def task_state(server: Server) -> str | None:
    """What is being done with it, in Nova's words; None for nothing that clients are shown."""
    return server.transition.task_state or None if server.transition is not None else None
