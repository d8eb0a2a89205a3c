"""`table bridge drystone`: who may send what, by the link that a frame comes in by.

Servers' frames are held to their ports' MACs and addresses, and are of no DHCP server and no router. Nothing passes
between a link of ours and one that is none, and nothing reaches the host but by bridges that are for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from compute_plugin.networks.plan.dhcp_options import METADATA
from compute_plugin.networks.plan.marks import BRIDGED, NO_TRACK, hexadecimal
from compute_plugin.networks.plan.names import TUNNELS
from compute_plugin.networks.plan.plugged import Plugged, PluggedPort
from compute_plugin.networks.plan.qos import NOTHING, Shaping
from compute_plugin.networks.plan.ruleset import Chain, Hook, Map, Set, Table
from compute_plugin.networks.plan.sources import Sources, sources

COUNTERS = (
    "spoofed_address",
    "spoofed_arp",
    "closed",
    "dhcp_server",
    "ethertype",
    "limited",
    "spoofed_mac",
    "spoofed_neighbour",
    "router",
    "stranger",
    "to_host",
    "vlan_tag",
)


WHY = MappingProxyType(
    {
        "closed": "the port or its network is switched off",
        "dhcp_server": "a server is no DHCP server",
        "egress": "no rule of the port's security groups lets it out",
        "ethertype": "neither IP nor ARP",
        "ingress": "no rule of the port's security groups lets it in",
        "invalid": "of no connection that is known",
        "limited": "more than a QoS rule lets through",
        "router": "a server is no router",
        "spoofed_address": "from an address that is not the port's",
        "spoofed_arp": "says that it has an address that is not the port's",
        "spoofed_mac": "from a MAC that is not the port's",
        "spoofed_neighbour": "says that it has an address that is not the port's",
        "stranger": "to or from a link that is not known here",
        "to_host": "to or from the host itself, which is not on this network",
        "vlan_tag": "of a VLAN",
    }
)
"""For people, who are told why a packet was dropped."""


def drop(counter: str) -> str:
    return f'counter name "{counter}" drop comment "{WHY[counter]}"'


def bridge_table(plugged: Plugged, shaping: Shaping = NOTHING) -> Table:
    """The whole of it. Raises ValueError where a port has what is no address."""
    guarded = [one for one in plugged.ports if one.guarded and one.open]
    allowed = [sources(one.port, one.link) for one in guarded]
    return Table(
        "bridge",
        chains=(*_chains(any(one.stateless for one in plugged.ports), shaping), *shaping.chains),
        sets=(*_links(plugged, guarded), *_allowed(allowed), *_tracking(plugged)),
        maps=(*_maps(plugged), *shaping.maps),
        counters=COUNTERS,
        limits=shaping.limits,
    )


def _chains(stateless: bool, shaping: Shaping) -> tuple[Chain, ...]:
    mark_stateless = (
        f"iifname @stateless ether daddr != @tracked meta mark set meta mark | {hexadecimal(NO_TRACK)}",
        f"iifname . ether daddr @untracked meta mark set meta mark | {hexadecimal(NO_TRACK)}",
    )
    return (
        Chain(
            "prerouting",
            (
                *(() if stateless else (f'iifname "{TUNNELS}*" meta mark set 0 accept',)),
                "meta mark set iifname map @numbers",
                *(mark_stateless if stateless else ()),
                "meta mark 0 accept",
                *shaping.sent,
                # Most packets are through with one look more: these are addresses of ports that are open.
                "ip protocol != udp iifname . ether saddr . ip saddr @addresses4 goto open",
                "ip6 nexthdr tcp iifname . ether saddr . ip6 saddr @addresses6 accept",
                "iifname vmap @entries",
            ),
            Hook("filter", "prerouting", -300),
        ),
        Chain("closed", (drop("closed"),)),
        Chain("open", (f"ip daddr {METADATA} ether daddr set iifname map @metadata",)),
        Chain(
            "guard",
            (
                f"iifname . ether saddr != @macs {drop('spoofed_mac')}",
                "ether type vmap { arp : goto guard_arp, ip : goto guard_ip4, ip6 : goto guard_ip6 }",
                f"ether type {{ vlan, 8021ad }} {drop('vlan_tag')}",
                drop("ethertype"),
            ),
        ),
        Chain(
            "guard_arp",
            (
                "iifname . arp saddr ether . arp saddr ip @addresses4 accept",
                "iifname . arp saddr ether . arp saddr ip @wide4 accept",
                "arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept",
                drop("spoofed_arp"),
            ),
        ),
        Chain(
            "guard_ip4",
            (
                "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
                f"udp sport 67 udp dport 68 {drop('dhcp_server')}",
                "iifname . ether saddr . ip saddr @addresses4 goto open",
                "iifname . ether saddr . ip saddr @wide4 goto open",
                drop("spoofed_address"),
            ),
        ),
        Chain(
            "guard_ip6",
            (
                f"icmpv6 type {{ nd-router-advert, nd-redirect }} {drop('router')}",
                f"udp sport 547 udp dport 546 {drop('dhcp_server')}",
                "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } jump neighbours",
                "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld-listener-report, mld2-listener-report } accept",
                "iifname . ether saddr . ip6 saddr @addresses6 accept",
                "iifname . ether saddr . ip6 saddr @wide6 accept",
                drop("spoofed_address"),
            ),
        ),
        Chain(
            "neighbours",
            (
                "ip6 saddr != :: icmpv6 type nd-neighbor-solicit return",
                "iifname . @th,64,128 @targets6 return",
                "iifname . @th,64,128 @wide_targets6 return",
                drop("spoofed_neighbour"),
            ),
        ),
        Chain(
            "forward",
            (
                *shaping.got,
                "ether type ip iifname @ours meta mark set oifname map @exits accept",
                f"ether type != {{ ip, arp, ip6 }} oifname @guarded {drop('ethertype')}",
                "iifname @ours meta mark set oifname map @exits accept",
                f"oifname @closed {drop('closed')}",
                f"iifname @ours {drop('stranger')}",
                f"oifname @ours {drop('stranger')}",
            ),
            Hook("filter", "forward", -100),
        ),
        Chain(
            "input",
            (f"iifname @ours iifname != @local {drop('to_host')}",),
            Hook("filter", "input", 0),
        ),
        Chain(
            "output",
            (f"oifname @ours oifname != @local {drop('to_host')}",),
            Hook("filter", "output", 0),
        ),
    )


def _links(plugged: Plugged, guarded: Iterable[PluggedPort]) -> tuple[Set, ...]:
    inside = {one.link: one.bridge for one in plugged.ports} | {one.name: one.master or "" for one in plugged.others}
    return (
        _names("ours", inside),
        _names("local", (link for link, bridge in inside.items() if bridge in plugged.local)),
        _names("closed", (one.link for one in plugged.ports if not one.open)),
        _names("guarded", (one.link for one in guarded)),
    )


def _allowed(allowed: list[Sources]) -> tuple[Set, ...]:
    who = "type ifname . ether_addr"
    nobody = frozenset[str]()
    return (
        Set("macs", who, nobody.union(*(one.macs for one in allowed))),
        Set("addresses4", f"{who} . ipv4_addr", nobody.union(*(one.exact[0] for one in allowed))),
        Set("addresses6", f"{who} . ipv6_addr", nobody.union(*(one.exact[1] for one in allowed))),
        Set("wide4", f"{who} . ipv4_addr", nobody.union(*(one.wide[0] for one in allowed)), interval=True),
        Set("wide6", f"{who} . ipv6_addr", nobody.union(*(one.wide[1] for one in allowed)), interval=True),
        Set("targets6", "typeof iifname . @th,64,128", nobody.union(*(one.targets for one in allowed))),
        Set(
            "wide_targets6",
            "typeof iifname . @th,64,128",
            nobody.union(*(one.wide_targets for one in allowed)),
            interval=True,
        ),
    )


def _tracking(plugged: Plugged) -> tuple[Set, ...]:
    """Connections of stateless ports are tracked for the sake of stateful ones alone. The sets are of both ends."""
    stateless = [one for one in plugged.ports if one.stateless]
    bridges = {one.bridge for one in stateless}
    tracked = [one for one in plugged.ports if not one.stateless and one.bridge in bridges]
    untracked = (
        f'"{other.name}" . {one.port.mac.lower()}'
        for one in stateless
        for other in plugged.others
        if other.master == one.bridge
    )
    return (
        _names("stateless", (one.link for one in stateless)),
        Set("tracked", "type ether_addr", frozenset(one.port.mac.lower() for one in tracked)),
        Set("untracked", "type ifname . ether_addr", frozenset(untracked)),
    )


def _maps(plugged: Plugged) -> tuple[Map, ...]:
    numbers = {quoted(one.link): one.number for one in plugged.ports}
    numbers |= {quoted(one.name): 0 for one in plugged.others}
    entries = {}
    for one in plugged.ports:
        entries[quoted(one.link)] = f"goto {'closed' if not one.open else 'guard' if one.guarded else 'open'}"
    closed = {quoted(one.link) for one in plugged.ports if not one.open}
    exits = {link: hexadecimal(BRIDGED | one) for link, one in numbers.items() if link not in closed}
    metadata = {quoted(one.link): one.metadata_mac for one in plugged.ports if one.metadata_mac is not None}
    return (
        Map("numbers", "type ifname : mark", {link: hexadecimal(one) for link, one in numbers.items()}),
        Map("exits", "type ifname : mark", exits),
        Map("entries", "type ifname : verdict", entries),
        Map("metadata", "type ifname : ether_addr", metadata),
    )


def _names(name: str, links: Iterable[str]) -> Set:
    return Set(name, "type ifname", frozenset(map(quoted, links)))


def quoted(link: str) -> str:
    """The name of a link, as an element."""
    return f'"{link}"'
