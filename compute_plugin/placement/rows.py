"""Hosts as resource providers, servers as their consumers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.states import States
from compute_plugin.scheduling.hosts import Host, hosts_of
from compute_plugin.settings import Settings

VCPU, MEMORY_MB, DISK_GB = "VCPU", "MEMORY_MB", "DISK_GB"
CLASSES: Final = (VCPU, MEMORY_MB, DISK_GB)
UNIT_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Provider:
    """A host."""

    uuid: str
    host: Host
    inventories: Mapping[str, Mapping[str, Any]]
    usages: Mapping[str, int]
    traits: tuple[str, ...]
    aggregates: tuple[str, ...]

    def has_room(self, wanted: Mapping[str, int]) -> bool:
        """For so much of each class."""
        return all(
            name in self.inventories and self.usages[name] + amount <= self.capacity(name)
            for name, amount in wanted.items()
        )

    def capacity(self, name: str) -> int:
        """What servers may have of a class in all."""
        held = self.inventories[name]
        return int((held["total"] - held["reserved"]) * held["allocation_ratio"])


def providers(records: Records, states: States, settings: Settings) -> Iterator[Provider]:
    """All hosts that live, by their names."""
    for host in hosts_of(records, states, settings):
        state = host.state
        amounts = {
            VCPU: (state.vcpus, 0, settings.cpu_ratio),
            MEMORY_MB: (state.memory_mib, settings.ram_reserved_mib, settings.ram_ratio),
            DISK_GB: (host.store.gib, 0, settings.disk_ratio),
        }
        yield Provider(
            uuid=state.uuid,
            host=host,
            inventories={name: _inventory(*one) for name, one in amounts.items() if one[0] > 0},
            usages={VCPU: host.vcpus_used, MEMORY_MB: host.ram_used_mib, DISK_GB: host.disk_used_gib},
            traits=tuple(sorted(f"COMPUTE_{one.upper().replace('-', '_')}" for one in state.can)),
            aggregates=tuple(one.uuid for one in host.aggregates),
        )


def allocations(server: Server, uuids: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a server takes of each provider. `uuids`: of hosts, by their names."""
    found: dict[str, dict[str, Any]] = {}
    for host, flavor in server.claims:
        if host in uuids:
            held = found.setdefault(uuids[host], {"resources": dict.fromkeys(CLASSES, 0)})["resources"]
            for name, amount in resources_of(flavor).items():
                held[name] += amount
    return found


def resources_of(flavor: Flavor) -> dict[str, int]:
    """That a server of a flavor takes."""
    disk = flavor.disk + flavor.ephemeral + -(-flavor.swap // 1024)
    return {VCPU: flavor.vcpus, MEMORY_MB: flavor.ram, DISK_GB: disk}


def _inventory(total: int, reserved: int, ratio: float) -> dict[str, Any]:
    return {
        "total": total,
        "reserved": min(reserved, total),
        "min_unit": 1,
        "max_unit": min(total, UNIT_MAX),
        "step_size": 1,
        "allocation_ratio": ratio,
    }
