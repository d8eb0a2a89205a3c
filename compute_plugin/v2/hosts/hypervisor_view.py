"""Hypervisors as clients see them, and what is claimed of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from compute_plugin.records.records import Records
from compute_plugin.scheduling.hosts import Store
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.hosts.rows import HostRow, amounts_of, servers_on

CPU_AS_JSON: Final = 28
"""From this microversion on what is said of processors is an object; before, it is the text of one."""
UUIDS: Final = 53
EMPTY_LISTS: Final = 75
NO_AMOUNTS: Final = 88
"""From this microversion on the placement service is asked for amounts."""
AMOUNTS: Final = (
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb",
    "free_disk_gb", "disk_available_least", "current_workload", "running_vms",
)  # fmt: skip
NO_ADDRESS: Final = "127.0.0.1"
"""Of a machine alone."""


def hypervisor_id(call: Call, row: HostRow) -> str:
    """As clients say it."""
    return row.state.uuid if call.since(UUIDS) else str(row.note.number)


def brief(call: Call, row: HostRow) -> dict[str, Any]:
    """As in a plain list."""
    return {
        "id": row.state.uuid if call.since(UUIDS) else row.note.number,
        "hypervisor_hostname": row.name,
        "state": "up" if row.up else "down",
        "status": "disabled" if row.disabled else "enabled",
    }


def whole(call: Call, records: Records, row: HostRow, store: Store) -> dict[str, Any]:
    """All of it."""
    shown = brief(call, row) | {
        "hypervisor_type": row.state.kind,
        "hypervisor_version": row.state.version,
        "host_ip": row.state.address or NO_ADDRESS,
        "service": {
            "id": row.note.service_id if call.since(UUIDS) else row.note.number,
            "host": row.name,
            "disabled_reason": row.disabled_reason,
        },
    }
    if call.since(NO_AMOUNTS):
        return shown | {"uptime": uptime(call, row)}
    cpu = row.state.cpu if call.since(CPU_AS_JSON) else json.dumps(row.state.cpu)
    return shown | amounts(call, records, row, store) | {"cpu_info": cpu}


def with_servers(call: Call, records: Records, row: HostRow) -> dict[str, Any]:
    """The servers that are there, by the names that the hypervisor knows."""
    servers = [{"name": f"instance-{one.number:08x}", "uuid": one.id} for one in servers_on(records, row.name)]
    return {"servers": servers} if servers or call.since(EMPTY_LISTS) else {}


def amounts(call: Call, records: Records, row: HostRow, store: Store) -> dict[str, int]:
    """What a host has, and what is claimed of it. Disks are in the store, of which each host has all."""
    settings = call.service.settings
    claimed = amounts_of(records, row, settings, store)
    ram_used = claimed.ram_used_mib + settings.ram_reserved_mib
    return {
        "vcpus": row.state.vcpus,
        "memory_mb": row.state.memory_mib,
        "local_gb": store.gib,
        "vcpus_used": claimed.vcpus_used,
        "memory_mb_used": ram_used,
        "local_gb_used": store.used_gib,
        "free_ram_mb": row.state.memory_mib - ram_used,
        "free_disk_gb": store.gib - store.used_gib,
        "disk_available_least": row.state.free_disk_gib,
        "current_workload": sum(1 for one in claimed.servers if one.transition is not None),
        "running_vms": len(servers_on(records, row.name)),
    }


def statistics(call: Call, records: Records, rows: Iterable[HostRow], store: Store) -> dict[str, int]:
    """Of all hosts that are in use together, and of the store, once."""
    shown = [amounts(call, records, one, store) for one in rows if not one.disabled]
    of_store = {
        "local_gb": store.gib, "local_gb_used": store.used_gib, "free_disk_gb": store.gib - store.used_gib,
    }  # fmt: skip
    return {"count": len(shown)} | {name: sum(one[name] for one in shown) for name in AMOUNTS} | of_store


def uptime(call: Call, row: HostRow) -> str | None:
    """For how long its agent has been running, in the words of `uptime`; None where it does not."""
    if not row.alive:
        return None
    now_s = call.service.clock.wall_us() // 1_000_000
    minutes = max(now_s - row.state.started_us // 1_000_000, 0) // 60
    days, hours, clock = minutes // 1440, minutes // 60 % 24, now_s % 86_400
    return f" {clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02} up {days} days, {hours:2}:{minutes % 60:02}"
