"""What a subnet cannot be, with the errors that clients know."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from compute_plugin.networks.addresses.pools import can_be_gateway, usable
from compute_plugin.networks.addresses.prefixes import overlap
from compute_plugin.networks.addresses.spans import number_of, span_of_pool
from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Network, Pool, Subnet
from compute_plugin.networks.records.port import ROUTER_INTERFACE, FixedIp
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.addressing.subnet_kinds import is_automatic
from compute_plugin.networks.v2.frame.attributes import invalid

NAMESERVERS_MAX: Final = 5
ROUTES_MAX: Final = 20
IPV6_MTU: Final = 1280
DHCP_BITS_MAX: Final = {4: 30, 6: 126}
"""The longest prefixes that have room for a server and whoever asks it."""
EUI64_BITS: Final = 64


def require_sound(subnet: Subnet) -> None:
    """That what is said of it fits together. Raises BadRequestError, InUseError."""
    _require_version(subnet)
    _require_modes(subnet)
    if len(subnet.dns_nameservers) > NAMESERVERS_MAX:
        raise _too_many("DNSNameServersExhausted", "DNS nameservers", subnet, NAMESERVERS_MAX)
    if len(subnet.host_routes) > ROUTES_MAX:
        raise _too_many("HostRoutesExhausted", "host routes", subnet, ROUTES_MAX)
    if subnet.gateway_ip is not None and not can_be_gateway(subnet.cidr, subnet.gateway_ip):
        raise invalid("Gateway is not valid on subnet")
    require_pools(subnet.cidr, subnet.pools)
    require_gateway_outside(subnet.gateway_ip, subnet.pools)


def _too_many(type_: str, what: str, subnet: Subnet, most: int) -> BadRequestError:
    return BadRequestError(
        type_, f"Unable to complete operation for {subnet.id}. The number of {what} exceeds the limit {most}."
    )


def _require_version(subnet: Subnet) -> None:
    said = [("cidr", subnet.cidr), ("dns_nameserver", subnet.dns_nameservers)]
    if subnet.gateway_ip is not None:
        said.append(("gateway_ip", subnet.gateway_ip))
    for route in subnet.host_routes:
        said += [("nexthop", route.nexthop), ("destination", route.destination)]
    for name, held in said:
        for one in (held,) if isinstance(held, str) else held:
            if ipaddress.ip_network(one).version != subnet.ip_version:
                raise invalid(f"{name} '{one}' does not match the ip_version '{subnet.ip_version}'")


def _require_modes(subnet: Subnet) -> None:
    modes = (subnet.ipv6_ra_mode, subnet.ipv6_address_mode)
    if subnet.ip_version == 4:
        for name, mode in zip(("ipv6_ra_mode", "ipv6_address_mode"), modes, strict=True):
            if mode is not None:
                raise invalid(f"{name} is not valid when ip_version is 4")
        return
    if any(modes) and not subnet.enable_dhcp:
        raise invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if all(modes) and modes[0] != modes[1]:
        raise invalid(
            f"ipv6_ra_mode set to '{modes[0]}' with ipv6_address_mode set to '{modes[1]}' is not valid. If both "
            "attributes are set, they must be the same value"
        )
    if is_automatic(subnet) and ipaddress.ip_network(subnet.cidr).prefixlen != EUI64_BITS:
        raise invalid(
            f"Invalid CIDR {subnet.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which "
            "requires the prefix to be /64"
        )


def require_room_for_dhcp(subnet: Subnet) -> None:
    """That servers can ask for addresses there at all. Raises BadRequestError."""
    held = ipaddress.ip_network(subnet.cidr)
    if held.prefixlen > DHCP_BITS_MAX[held.version]:
        raise invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if held.is_multicast:
        raise invalid("Multicast IP subnet is not supported if enable_dhcp is True")
    if held.is_loopback:
        raise invalid("Loopback IP subnet is not supported if enable_dhcp is True")
    if held.version == 4 and int(held.network_address) == 0:
        raise invalid("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")


def require_place(records: Records, network: Network, subnet: Subnet) -> None:
    """That the network has room for it. Raises BadRequestError, InUseError."""
    held = ipaddress.ip_network(subnet.cidr)
    if held.prefixlen == 0:
        raise invalid("0 is not allowed as CIDR prefix length")
    if held.version == 6 and int(held.network_address) == 0:
        raise invalid("IPv6 subnet '::' is not supported")
    others = [one.cidr for one in records.subnets.by("network", network.id) if one.id != subnet.id]
    if overlap(others, [subnet.cidr]):
        raise invalid(
            f"Requested subnet with cidr: {subnet.cidr} for network: {network.id} overlaps with another subnet"
        )
    if subnet.ip_version == 6 and network.mtu < IPV6_MTU:
        raise InUseError(
            "NetworkMTUSubnetConflict",
            f"MTU of {network.id} is not valid, subnet requires a minimum of {IPV6_MTU}",
        )


def require_pools(cidr: str, pools: Sequence[Pool]) -> None:
    """That they are of the subnet, and no address is in two of them. Raises BadRequestError, InUseError."""
    whole = usable(cidr)
    spans = []
    for pool in pools:
        start, end = ipaddress.ip_address(pool.start), ipaddress.ip_address(pool.end)
        if start.version != end.version or start.version != whole.version or int(start) > int(end):
            raise BadRequestError("InvalidAllocationPool", f"The allocation pool {_shown(pool)} is not valid.")
        span = span_of_pool(pool)
        if span.first < whole.first or span.last > whole.last:
            raise BadRequestError(
                "OutOfBoundsAllocationPool",
                f"The allocation pool {_shown(pool)} spans beyond the subnet cidr {cidr}.",
            )
        spans.append((span, pool))
    spans.sort()
    for (before, one), (after, other) in pairwise(spans):
        if after.first <= before.last:
            raise InUseError(
                "OverlappingAllocationPools",
                f"Found overlapping allocation pools: {_shown(one)} {_shown(other)} for subnet {cidr}.",
            )


def require_gateway_outside(gateway: str | None, pools: Sequence[Pool]) -> None:
    """That nobody is given the gateway's address. Raises InUseError."""
    for pool in pools:
        span = span_of_pool(pool)
        if gateway is None or ipaddress.ip_address(gateway).version != span.version:
            continue
        if span.first <= number_of(gateway) <= span.last:
            raise InUseError(
                "GatewayConflictWithAllocationPools",
                f"Gateway ip {gateway} conflicts with allocation pool {_shown(pool)}.",
            )


def require_gateway_unused(records: Records, subnet: Subnet) -> None:
    """That no router has the gateway's address, where that is to be another one. Raises InUseError."""
    if subnet.gateway_ip is None:
        return
    for port in records.ports.by("address", FixedIp(subnet.id, subnet.gateway_ip)):
        if port.device_owner == ROUTER_INTERFACE:
            raise InUseError(
                "GatewayIpInUse",
                f"Current gateway ip {subnet.gateway_ip} already in use by port {port.id}. Unable to update.",
            )


def _shown(pool: Pool) -> str:
    return f"{pool.start}-{pool.end}"
