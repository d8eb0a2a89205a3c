"""What kinds of subnets there are for a port: who may have addresses of one, and who makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import DHCP, ROUTER_INTERFACE
from compute_plugin.networks.records.records import Records

SLAAC: Final = "slaac"
STATEFUL: Final = "dhcpv6-stateful"
STATELESS: Final = "dhcpv6-stateless"
AUTOMATIC: Final = (SLAAC, STATELESS)


def is_automatic(subnet: Subnet) -> bool:
    """Whether machines make their addresses themselves, of their MACs."""
    return subnet.ipv6_ra_mode in AUTOMATIC or subnet.ipv6_address_mode in AUTOMATIC


def makes_own(subnet: Subnet, owner: str) -> bool:
    """Whether a port has an EUI-64 address there: all but routers do, which are told theirs."""
    return is_automatic(subnet) and owner != ROUTER_INTERFACE


def subnets_for(records: Records, network_id: str, owner: str) -> list[Subnet]:
    """Where a port of an owner may have addresses; those that are for such ports alone come first."""
    found = [one for one in records.subnets.by("network", network_id) if is_for(one, owner)]
    return sorted(found, key=lambda one: not one.service_types)


def is_for(subnet: Subnet, owner: str) -> bool:
    """Whether ports of an owner may have addresses there. The server of DHCP may wherever it serves."""
    served: Sequence[str] = subnet.service_types
    return not served or owner in served or (owner == DHCP and subnet.enable_dhcp)
