"""Which addresses a port has: what was wished for, and what its subnets give by themselves. Sans-I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from compute_plugin.networks.addresses.eui64 import eui64_address
from compute_plugin.networks.addresses.free import free_address
from compute_plugin.networks.addresses.pools import can_be_had
from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import DHCP, ROUTER_GATEWAY, ROUTER_INTERFACE, FixedIp, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.addressing.subnet_kinds import is_automatic, makes_own, subnets_for
from compute_plugin.networks.v2.frame.attributes import invalid

ROUTERS: tuple[str, ...] = ("", ROUTER_INTERFACE, ROUTER_GATEWAY)
"""Owners that may have the first address of an IPv6 subnet, where somebody names it."""


class Wish(NamedTuple):
    """For an address of a port: a certain one, or one of a subnet, or both."""

    subnet_id: str | None
    address: str | None


def addresses_for(records: Records, port: Port, wishes: Sequence[Wish] | None) -> tuple[FixedIp, ...]:
    """Those that a port is to have, be it new or not: what it has stays where it is wished for, and what its MAC makes
    of subnets comes by itself. No wishes: one of IPv4 and one of IPv6, where there are subnets of them. Raises
    BadRequestError, InUseError."""
    subnets = subnets_for(records, port.network_id, port.device_owner)
    if wishes is None:
        if not subnets and records.subnets.has("network", port.network_id):
            raise InUseError(
                "IpAddressGenerationFailureNoMatchingSubnet",
                f"No valid service subnet for the given device owner, network {port.network_id}, service type "
                f"{port.device_owner}.",
            )
        found = _usual(records, port, subnets)
    else:
        found = _Wishes(records, port, subnets).granted(wishes)
    return (*found, *(own_address(records, port, one) for one in subnets if makes_own(one, port.device_owner)))


def _usual(records: Records, port: Port, subnets: Sequence[Subnet]) -> list[FixedIp]:
    found: list[FixedIp] = []
    for version in (4, 6):
        choices = [one for one in subnets if one.ip_version == version and not is_automatic(one)]
        if choices:
            found.append(_require_free(records, port, choices, found))
    return found


def own_address(records: Records, port: Port, subnet: Subnet) -> FixedIp:
    """What the port makes of its MAC. Raises InUseError."""
    found = FixedIp(subnet.id, eui64_address(subnet.cidr, port.mac))
    _require_unused(records, port, found)
    return found


class _Wishes:
    """Of one port."""

    def __init__(self, records: Records, port: Port, subnets: Sequence[Subnet]) -> None:
        self._records, self._port, self._subnets = records, port, subnets
        self._left = list(port.fixed_ips)
        """What it has, and no wish has named so far."""

    def granted(self, wishes: Sequence[Wish]) -> list[FixedIp]:
        """In their order. Certain addresses first: they could be given away for a wish that takes any."""
        found: dict[int, FixedIp] = {}
        for at, wish in enumerate(wishes):
            if wish.address is not None and (fixed := self._certain(wish, wish.address)) is not None:
                found[at] = fixed
        for at, wish in enumerate(wishes):
            if wish.address is None and (fixed := self._any(wish, [*found.values()])) is not None:
                found[at] = fixed
        return [found[at] for at in sorted(found)]

    def _certain(self, wish: Wish, address: str) -> FixedIp | None:
        """None where the port makes it itself."""
        subnet = self._subnet_of(wish)
        if not _fits(subnet, address, self._port):
            raise BadRequestError(
                "InvalidIpForSubnet", f"IP address {address} is not a valid IP for the specified subnet."
            )
        if makes_own(subnet, self._port.device_owner):
            if address != eui64_address(subnet.cidr, self._port.mac):
                raise BadRequestError(
                    "AllocationOnAutoAddressSubnet",
                    f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.id} as the subnet "
                    "is configured for automatic addresses",
                )
            return None
        fixed = FixedIp(subnet.id, address)
        if fixed in self._left:
            self._left.remove(fixed)
        else:
            _require_unused(self._records, self._port, fixed)
        return fixed

    def _any(self, wish: Wish, found: Sequence[FixedIp]) -> FixedIp | None:
        subnet = self._subnet_of(wish)
        if makes_own(subnet, self._port.device_owner):
            return None
        held = next((one for one in self._left if one.subnet_id == subnet.id), None)
        if held is not None:
            self._left.remove(held)
            return held
        return _require_free(self._records, self._port, [subnet], found)

    def _subnet_of(self, wish: Wish) -> Subnet:
        port = self._port
        if not self._subnets:
            raise invalid("IP allocation requires subnets for network")
        if wish.subnet_id is not None:
            found = next((one for one in self._subnets if one.id == wish.subnet_id), None)
            if found is None:
                self._records.subnets.require(wish.subnet_id)
                raise invalid(
                    f"Failed to create port on network {port.network_id}, because fixed_ips included invalid subnet "
                    f"{wish.subnet_id}"
                )
            return found
        if wish.address is None:
            raise invalid("IP allocation requires subnet_id or ip_address")
        found = next((one for one in self._subnets if _fits(one, wish.address, port)), None)
        if found is None:
            raise BadRequestError(
                "InvalidIpForNetwork",
                f"IP address {wish.address} is not a valid IP for any of the subnets on the specified network.",
            )
        return found


def _fits(subnet: Subnet, address: str, port: Port) -> bool:
    return can_be_had(subnet.cidr, address, by_router=port.device_owner in ROUTERS)


def free_in(records: Records, port: Port, subnets: Sequence[Subnet], found: Sequence[FixedIp] = ()) -> FixedIp | None:
    """One of the first subnet that has any; `found` is given away already. Servers begin anywhere; the address of DHCP
    is the first of its subnet, where people expect it."""
    start = 0 if port.device_owner == DHCP else int(port.id[:8], 16)
    for subnet in subnets:

        def is_used(address: str, subnet_id: str = subnet.id) -> bool:
            fixed = FixedIp(subnet_id, address)
            return fixed in found or records.ports.has("address", fixed)

        address = free_address(subnet.pools, is_used, start)
        if address is not None:
            return FixedIp(subnet.id, address)
    return None


def _require_free(records: Records, port: Port, subnets: Sequence[Subnet], found: Sequence[FixedIp]) -> FixedIp:
    fixed = free_in(records, port, subnets, found)
    if fixed is None:
        raise InUseError("IpAddressGenerationFailure", f"No more IP addresses available on network {port.network_id}.")
    return fixed


def _require_unused(records: Records, port: Port, fixed: FixedIp) -> None:
    if any(one.id != port.id for one in records.ports.by("address", fixed)):
        raise InUseError(
            "IpAddressAlreadyAllocated",
            f"IP address {fixed.address} already allocated in subnet {fixed.subnet_id}",
        )
