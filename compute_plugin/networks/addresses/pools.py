"""Which addresses of a subnet may be given out, and which may be somebody's."""

from __future__ import annotations

import ipaddress

from compute_plugin.networks.addresses.spans import Span, number_of, pool_of, span_of, without
from compute_plugin.networks.records.network import Pool

LINK_BITS = 31
"""From this length on, IPv4 prefixes have neither an address of the network nor a broadcast address (RFC 3021)."""


def usable(cidr: str) -> Span:
    """Those that can be somebody's: all but the network's own and, in IPv4, the broadcast address."""
    whole = span_of(cidr)
    bits = ipaddress.ip_network(cidr).prefixlen
    if whole.size == 1 or (whole.version == 4 and bits >= LINK_BITS):
        return whole
    return Span(whole.version, whole.first + 1, whole.last - (whole.version == 4))


def default_gateway(cidr: str) -> str | None:
    """The one behind the network's own; None where there is but one."""
    held = ipaddress.ip_network(cidr)
    return str(held.network_address + 1) if held.num_addresses > 1 else None


def default_pools(cidr: str, gateway: str | None) -> tuple[Pool, ...]:
    """All of it but the gateway."""
    whole = usable(cidr)
    if gateway is None or ipaddress.ip_address(gateway).version != whole.version or whole.size == 1:
        return (pool_of(whole),)
    number = number_of(gateway)
    return tuple(pool_of(one) for one in without([whole], [Span(whole.version, number, number)]))


def is_in(cidr: str, address: str) -> bool:
    """Whether an address is of a subnet at all."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)


def can_be_had(cidr: str, address: str, *, by_router: bool = False) -> bool:
    """Whether somebody on a subnet can have an address. Routers may have the first one of IPv6, too."""
    held, whole = ipaddress.ip_address(address), usable(cidr)
    if held.version != whole.version:
        return False
    first = whole.first - 1 if by_router and whole.version == 6 and whole.size > 1 else whole.first
    return first <= int(held) <= whole.last


def can_be_gateway(cidr: str, address: str) -> bool:
    """An address elsewhere may be one, too; the network's own or the broadcast address of IPv4 cannot."""
    return not is_in(cidr, address) or ipaddress.ip_address(address).version == 6 or can_be_had(cidr, address)
