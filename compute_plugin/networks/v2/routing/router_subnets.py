"""Which subnets a router is on, and which it cannot be on as well."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import ROUTER_GATEWAY, ROUTER_INTERFACE, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.v2.frame.sights import bad

IPV6: int = 6


def interfaces(records: Records, router_id: str) -> list[Port]:
    """The router's ports inside."""
    return [one for one in records.ports.by("device", router_id) if one.device_owner == ROUTER_INTERFACE]


def subnets_of(records: Records, ports: Iterable[Port]) -> list[Subnet]:
    """Where the ports have addresses."""
    ids = dict.fromkeys(fixed.subnet_id for port in ports for fixed in port.fixed_ips)
    return [found for id_ in ids if (found := records.subnets.get(id_)) is not None]


def reached(records: Records, router: Router) -> list[Subnet]:
    """What the router reaches directly: a gateway reaches all of its network."""
    inside = subnets_of(records, interfaces(records, router.id))
    outside = records.subnets.by("network", router.gateway_network_id) if router.gateway_network_id else []
    return [*inside, *outside]


def own_addresses(records: Records, router: Router) -> set[str]:
    """The router's own."""
    owners = (ROUTER_INTERFACE, ROUTER_GATEWAY)
    ports = [one for one in records.ports.by("device", router.id) if one.device_owner in owners]
    return {fixed.address for port in ports for fixed in port.fixed_ips}


def require_apart(new: Sequence[Subnet], held: Sequence[Subnet]) -> None:
    """That a router knows which way each address is. Raises BadRequestError."""
    ids = {one.id for one in held}
    for subnet in new:
        if subnet.id in ids:
            raise bad("router", f"Router already has a port on subnet {subnet.id}")
        network = ipaddress.ip_network(subnet.cidr)
        for other in held:
            if network.version == other.ip_version and network.overlaps(ipaddress.ip_network(other.cidr)):
                raise bad(
                    "router",
                    f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {other.cidr} of subnet {other.id}",
                )


def require_told_by_us(subnets: Iterable[Subnet]) -> None:
    """That nobody else tells the servers of an IPv6 subnet where their router is. Raises BadRequestError."""
    for subnet in subnets:
        if subnet.ip_version == IPV6 and subnet.ipv6_ra_mode is None and subnet.ipv6_address_mode is not None:
            raise bad(
                "router",
                f"IPv6 subnet {subnet.id} configured to receive RAs from an external router cannot be added to "
                "Neutron Router",
            )
