"""`Host`: what the plan has to know of the machine that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

VXLAN_PORT: Final = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine, and how it is connected."""

    name: str
    address: str = ""
    """Where other hosts send VXLAN to; "" where this one has no tunnels."""
    wires: Mapping[str, str] = field(default_factory=dict)
    """By names of physical networks: the link that is connected to it. The link is plugged into the network's bridge,
    so it is one that the host does not need for itself."""
    local: frozenset[str] = frozenset()
    """Physical networks that are nothing but a bridge of this host. The host has the gateway's address of each subnet
    on it, and so reaches the floating addresses."""
    run: str = "/run/drystone/networks"
    """For the files of services."""
    resolvers: tuple[str, ...] = ()
    """Servers of names that are asked for what is not of a network; () for those of /etc/resolv.conf."""
    dns_domain: str = "openstacklocal."
    """Of networks that say nothing else."""
    vxlan_port: int = VXLAN_PORT

    def physical_networks(self) -> tuple[str, ...]:
        return tuple(sorted({*self.wires, *self.local}))
