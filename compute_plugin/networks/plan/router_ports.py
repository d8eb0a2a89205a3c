"""The legs of a router: each of its ports with what the plan asks about it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from compute_plugin.networks.plan import names
from compute_plugin.networks.records.network import Network, Subnet
from compute_plugin.networks.records.port import ROUTER_GATEWAY, ROUTER_INTERFACE, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router


@dataclass(frozen=True, slots=True)
class Leg:
    """Of a router."""

    port: Port
    network: Network
    addresses: tuple[tuple[str, Subnet], ...]
    """Its own, with the subnets that they are of."""

    @property
    def is_gateway(self) -> bool:
        return self.port.device_owner == ROUTER_GATEWAY

    @property
    def outer(self) -> str:
        """The link in the host."""
        return (names.gateway_link if self.is_gateway else names.router_link)(self.port.id)

    @property
    def inner(self) -> str:
        """The link in the router's namespace."""
        return (names.gateway_inner if self.is_gateway else names.router_inner)(self.port.id)

    def own(self, version: int) -> list[str]:
        """Its addresses of a version of IP."""
        return [address for address, subnet in self.addresses if subnet.ip_version == version]

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The addresses with the lengths of their prefixes."""
        return tuple(f"{address}/{ipaddress.ip_network(subnet.cidr).prefixlen}" for address, subnet in self.addresses)

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        return tuple(subnet for _, subnet in self.addresses)


def legs_of(records: Records, router: Router) -> list[Leg]:
    """In the order of their ports' ids."""
    found: list[Leg] = []
    for port in records.ports.by("device", router.id):
        network = records.networks.get(port.network_id)
        if port.device_owner not in (ROUTER_INTERFACE, ROUTER_GATEWAY) or network is None or not port.admin_state_up:
            continue
        subnets = ((fixed.address, records.subnets.get(fixed.subnet_id)) for fixed in port.fixed_ips)
        known = tuple((address, subnet) for address, subnet in subnets if subnet is not None)
        found.append(Leg(port, network, known))
    return found
