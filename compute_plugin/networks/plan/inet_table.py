"""`table inet drystone`: connections, and what security groups let through.

What a server sends is judged as soon as its connection is known (prerouting), what it gets where it is known who gets
it (forward). Ports with the same groups share a chain each way; a group is a chain each way. So a change of a rule is
one of one chain, however many ports there are.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from compute_plugin.networks.plan.addresses import address, version
from compute_plugin.networks.plan.bridge_table import drop, quoted
from compute_plugin.networks.plan.groups import chain_of_group, group_chain
from compute_plugin.networks.plan.kept import Kept
from compute_plugin.networks.plan.marks import BRIDGED, NO_TRACK, NUMBER, hexadecimal
from compute_plugin.networks.plan.members import Members
from compute_plugin.networks.plan.names import BRIDGES
from compute_plugin.networks.plan.plugged import Plugged, PluggedPort
from compute_plugin.networks.plan.ruleset import Chain, Hook, Map, Table
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import EGRESS, INGRESS

COUNTERS = ("dhcp_server", "egress", "ingress", "invalid", "router", "stranger")
ADDRESSED = ("addressed4", "addressed6")
EVERYTHING = "open"
"""The chain of ports without security."""

Kind = tuple[tuple[str, ...], bool]
"""Groups, and whether they are stateless: ports of one kind share chains."""


def inet_table(records: Records, plugged: Plugged, problems: dict[str, str], kept: Kept) -> Table:
    """The whole of it. `problems`: gets the ids of records that are left out, and why."""
    kinds = kept.get("kinds", plugged, lambda: sorted({_kind(one) for one in plugged.ports if one.guarded}))
    groups = sorted({group for held, _ in kinds for group in held})
    members = Members(records, kept)
    maps = kept.get("maps", plugged, lambda: _maps(plugged))
    reached = any(one.elements for one in maps if one.name in ADDRESSED)
    chains = [*_hooks(any(stateless for _, stateless in kinds), reached), Chain(EVERYTHING, ("accept",))]
    for kind in kinds:
        chains += (Chain(_name(kind, EGRESS), _egress(kind)), Chain(_name(kind, INGRESS), _ingress(kind)))
    for group in groups:
        chains += [chain_of_group(records, members, group, way, problems) for way in (EGRESS, INGRESS)]
    problems |= members.problems
    return Table("inet", tuple(chains), members.all(), maps, COUNTERS)


def _hooks(stateless: bool, reached: bool) -> tuple[Chain, ...]:
    """`reached`: whether the host itself sends to ports. Where no port is stateless, packets of connections that are
    known need not be asked whose they are."""
    no_track = (  # what has a zone is tracked: so this comes before
        f"meta mark & {hexadecimal(NO_TRACK)} != 0 notrack",
        f"meta mark set meta mark & {hexadecimal(NUMBER)}",
        "ct state untracked accept",
    )
    ours = f'"{BRIDGES}*"'
    known = "ct state established,related accept"
    addressed = ("oifname . ip daddr vmap @addressed4", "oifname . ip6 daddr vmap @addressed6") if reached else ()
    return (
        Chain(
            "track",
            (
                f"iifname != {ours} accept",
                *(no_track if stateless else ()),
                "ct zone set iifname map @zones",
            ),
            Hook("filter", "prerouting", -300),
        ),
        Chain(
            "sent",
            (
                f"iifname != {ours} accept",
                "meta mark 0 accept",
                *(() if stateless else (f"meta l4proto tcp {known}",)),
                "meta mark vmap @egress",
                drop("stranger"),
            ),
            Hook("filter", "prerouting", -150),
        ),
        Chain(
            "got",
            (
                f"oifname != {ours} accept",
                f"meta mark {hexadecimal(BRIDGED)} accept",
                *(() if stateless else (known,)),
                "meta mark vmap @ingress",
                f"meta mark & {hexadecimal(BRIDGED)} != 0 {drop('stranger')}",
                *addressed,
            ),
            Hook("filter", "forward", 0),
        ),
        *((Chain("got_from_host", addressed, Hook("filter", "output", 0)),) if reached else ()),
    )


def _kind(port: PluggedPort) -> Kind:
    return tuple(sorted(set(port.port.security_group_ids))), port.stateless


@lru_cache(maxsize=4096)
def _name(kind: Kind, direction: str) -> str:
    groups, stateless = kind
    digest = hashlib.blake2b("\0".join((*groups, str(stateless))).encode(), digest_size=8).hexdigest()
    return f"{'from' if direction == EGRESS else 'to'}-{digest}"


def _connections(kind: Kind) -> tuple[str, ...]:
    return () if kind[1] else ("ct state established,related accept", f"ct state invalid {drop('invalid')}")


def _egress(kind: Kind) -> tuple[str, ...]:
    """Fragments are whole again here, so what they hid is seen. TCP is none of what no server may send."""
    return (
        *(() if kind[1] else ("meta l4proto tcp ct state established,related accept",)),
        f"icmpv6 type {{ nd-router-advert, nd-redirect }} {drop('router')}",
        f"udp sport 67 udp dport 68 {drop('dhcp_server')}",
        f"udp sport 547 udp dport 546 {drop('dhcp_server')}",
        *_connections(kind),
        "meta nfproto ipv4 udp sport 68 udp dport 67 accept",
        "meta nfproto ipv6 udp sport 546 udp dport 547 accept",
        "icmpv6 type { 130, 131, 132, 133, 135, 136, 143 } accept",
        *(f"jump {group_chain(group, EGRESS)}" for group in kind[0]),
        drop("egress"),
    )


def _ingress(kind: Kind) -> tuple[str, ...]:
    return (
        *_connections(kind),
        "meta nfproto ipv4 udp sport 67 udp dport 68 accept",
        "meta nfproto ipv6 udp sport 547 udp dport 546 accept",
        "icmpv6 type { 130, 131, 132, 134, 135, 136, 143 } accept",
        *(f"jump {group_chain(group, INGRESS)}" for group in kind[0]),
        drop("ingress"),
    )


def _maps(plugged: Plugged) -> tuple[Map, ...]:
    egress, ingress = {}, {}
    addressed: dict[int, dict[str, str]] = {4: {}, 6: {}}
    for one in plugged.ports:
        kind = _kind(one)
        egress[hexadecimal(one.number)] = f"goto {_name(kind, EGRESS) if one.guarded else EVERYTHING}"
        to = f"goto {_name(kind, INGRESS) if one.guarded else EVERYTHING}"
        ingress[hexadecimal(BRIDGED | one.number)] = to
        if one.bridge in plugged.local and one.open:
            for fixed in one.port.fixed_ips:
                ip = address(fixed.address)
                addressed[version(ip)][f"{quoted(one.bridge)} . {ip}"] = to
    return (
        Map("zones", "typeof iifname : ct zone", {quoted(bridge): str(zone) for bridge, zone in plugged.zones}),
        Map("egress", "type mark : verdict", egress),
        Map("ingress", "type mark : verdict", ingress),
        Map("addressed4", "type ifname . ipv4_addr : verdict", addressed[4]),
        Map("addressed6", "type ifname . ipv6_addr : verdict", addressed[6]),
    )
