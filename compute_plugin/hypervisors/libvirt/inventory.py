"""What a host has, by libvirt."""

from __future__ import annotations

from typing import Any

from compute_plugin.hypervisors.interface import Can, Inventory
from compute_plugin.hypervisors.libvirt.elements import parsed


def read_inventory(connection: Any, kind: str, can: frozenset[Can]) -> Inventory:
    """Blocks; raises libvirtError."""
    _model, memory_mib, vcpus, *_ = connection.getInfo()
    return Inventory(kind, connection.getVersion(), vcpus, memory_mib, parse_cpu(connection.getCapabilities()), can)


def parse_cpu(capabilities: str) -> dict[str, object]:
    """cpu_info, as clients know it, of what libvirt says of a host."""
    cpu = parsed(capabilities).find("host/cpu")
    if cpu is None:
        return {}
    found: dict[str, object] = {name: cpu.findtext(name, "") for name in ("arch", "model", "vendor")}
    topology = cpu.find("topology")
    if topology is not None:
        found["topology"] = {
            name: int(value)
            for name, value in topology.attrib.items()
            if name in ("sockets", "cores", "threads", "dies")
        }
    found["features"] = sorted(feature.get("name", "") for feature in cpu.iterfind("feature"))
    return found
