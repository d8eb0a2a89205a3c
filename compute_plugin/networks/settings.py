"""What the operator says of networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from compute_plugin.networks.records.records import Records

LIMITS: Final = MappingProxyType(
    {
        "network": 100,
        "subnet": 100,
        "subnetpool": -1,
        "port": 500,
        "router": 10,
        "router_route": 30,
        "floatingip": 50,
        "security_group": 10,
        "security_group_rule": 100,
        "rbac_policy": 10,
        "trunk": -1,
    }
)
"""Of each project, as stock Neutron has them; -1 is none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The same on all hosts."""

    mtu: int = 1500
    """Of the wires between hosts; VXLAN takes 50 (IPv4) of it."""
    vni_least: int = 1
    vni_most: int = 65_000
    """Of networks that say nothing: one conntrack zone for each."""
    dns_domain: str = "openstacklocal."
    zone: str = "nova"
    limits: dict[str, int] = field(default_factory=dict)

    def limit(self, records: Records, project: str, resource: str) -> int:
        """How many a project may have; -1 for any number."""
        own = records.quotas.get(project)
        held = dict(own.limits) if own is not None else {}
        return held.get(resource, self.limits.get(resource, LIMITS.get(resource, -1)))
