"""What a router translates: floating addresses and port forwardings inwards, sources outwards. IPv4 alone.

Packets that came in from outside have a mark, since where they came in is not known any more where sources are
translated. What servers inside send to floating addresses comes back through the router, so its source is translated,
too, though it never was outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from compute_plugin.networks.plan.router_limits import limiting
from compute_plugin.networks.plan.router_ports import Leg
from compute_plugin.networks.plan.ruleset import Chain, Hook, Map, Set, Table
from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router

OUTSIDE: Final = "0x1"
"""The mark of packets that came in by the gateway."""


def translation(records: Records, router: Router, legs: list[Leg]) -> tuple[Table, ...]:
    """The router's tables: one for addresses, and one that keeps address scopes apart."""
    return (*_nat(records, router, legs), *_scopes(records, legs))


def _nat(records: Records, router: Router, legs: list[Leg]) -> Iterable[Table]:
    gateway = next((leg for leg in legs if leg.is_gateway), None)
    own = gateway.own(4) if gateway is not None else []
    if gateway is None or not own:
        return
    outside = f'"{gateway.inner}"'
    floating = {one.address: one.fixed_ip for one in records.floating_ips.by("router", router.id) if one.fixed_ip}
    inwards = {address: fixed for address, fixed in floating.items() if fixed is not None}
    outwards = {fixed: address for address, fixed in inwards.items()}
    kept = _routed(records, gateway, legs)
    sources = [
        f"oifname {outside} ip saddr @routed accept",
        f"oifname {outside} snat to ip saddr map @outwards",
        f"meta mark != {OUTSIDE} ct status dnat snat to ip saddr map @outwards",
        f"meta mark != {OUTSIDE} ct status dnat snat to {own[0]}",
    ]
    if router.enable_snat:
        sources.append(f"oifname {outside} meta mark != {OUTSIDE} snat to {own[0]}")
    chains, maps, limits = limiting(records, router, gateway.inner, own)
    yield Table(
        "ip",
        chains=(
            Chain("arrivals", (f"iifname {outside} meta mark set {OUTSIDE}",), Hook("filter", "prerouting", -150)),
            Chain(
                "destinations",
                (
                    "dnat to ip daddr map @inwards",
                    "dnat ip to ip daddr . meta l4proto . th dport map @forwardings",
                ),
                Hook("nat", "prerouting", -100),
            ),
            Chain("sources", tuple(sources), Hook("nat", "postrouting", 100)),
            *chains,
        ),
        sets=(Set("routed", "type ipv4_addr", frozenset(kept), interval=True),),
        maps=(
            Map("inwards", "type ipv4_addr : ipv4_addr", inwards),
            Map("outwards", "type ipv4_addr : ipv4_addr", outwards),
            Map(
                "forwardings",
                "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
                _forwardings(records, router),
            ),
            *maps,
        ),
        limits=limits,
    )


def _forwardings(records: Records, router: Router) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for floating in records.floating_ips.by("router", router.id):
        for one in records.port_forwardings.by("floating_ip", floating.id):
            for step in range(one.external_port_end - one.external_port + 1):
                outer = f"{floating.address} . {one.protocol} . {one.external_port + step}"
                # A range may lead to one port.
                inner = min(one.internal_port + step, one.internal_port_end)
                found[outer] = f"{one.internal_ip} . {inner}"
    return found


def _routed(records: Records, gateway: Leg, legs: list[Leg]) -> Iterable[str]:
    """Subnets whose addresses are known outside, too: they are of the same address scope."""
    outside = {scope_of(records, subnet) for subnet in gateway.subnets if subnet.ip_version == 4} - {None}
    return (
        subnet.cidr
        for leg in legs
        if not leg.is_gateway
        for subnet in leg.subnets
        if subnet.ip_version == 4 and scope_of(records, subnet) in outside
    )


def _scopes(records: Records, legs: list[Leg]) -> Iterable[Table]:
    """Addresses of different scopes may overlap: nothing is routed between the router's own networks then."""
    inside = [leg for leg in legs if not leg.is_gateway]
    rules: list[str] = []
    for version, keyword in ((4, "ipv4"), (6, "ipv6")):
        scopes = {leg.inner: _scope_of_leg(records, leg, version) for leg in inside if leg.own(version)}
        rules += [
            f'iifname "{one}" oifname "{other}" meta nfproto {keyword} drop'
            for one, scope in scopes.items()
            for other, theirs in scopes.items()
            if one != other and scope != theirs
        ]
    if rules:
        yield Table("inet", chains=(Chain("scopes", tuple(rules), Hook("filter", "forward", 0)),))


def _scope_of_leg(records: Records, leg: Leg, version: int) -> str | None:
    found = [scope_of(records, subnet) for subnet in leg.subnets if subnet.ip_version == version]
    return next((one for one in found if one is not None), None)


def scope_of(records: Records, subnet: Subnet) -> str | None:
    """The address scope of a subnet; None where it has none."""
    pool = records.subnetpools.get(subnet.subnetpool_id or "")
    return pool.address_scope_id if pool is not None else None
