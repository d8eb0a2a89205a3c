"""Routers: a namespace with a link for each interface, and one to the outside.

The agent that has a router says so in `States.routers`; on other hosts there is nothing of it. What is translated is in
`router_nat`, what IPv6 is told in `router_advertisements`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.router_advertisements import advertiser
from compute_plugin.networks.plan.router_nat import translation
from compute_plugin.networks.plan.router_ports import Leg, legs_of
from compute_plugin.networks.plan.wiring import BridgePort, LegPlug, Link, Part, Peer, Route, Space, Veth
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.records.states import States

SYSCTLS: Final = (
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    # Of two ports in one network each answers for its own address alone.
    ("net/ipv4/conf/all/arp_ignore", "1"),
    ("net/ipv4/conf/all/arp_announce", "2"),
    # What comes back by another way than it went is routed all the same: static routes may be so. A namespace begins
    # with what its host has.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    # Others learn where an address is now as soon as it is there: the router may have been on another host.
    ("net/ipv4/conf/all/arp_notify", "1"),
    ("net/ipv4/conf/default/arp_notify", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/all/ndisc_notify", "1"),
    # Addresses come from one place that gives none twice: waiting for others to object would only cost a second.
    ("net/ipv6/conf/default/accept_dad", "0"),
)


def routers_here(records: Records, states: States, host: Host) -> list[Router]:
    """Those that this host has."""
    places = states.routers.by("host", host.name)
    found = (records.routers.get(place.id) for place in places)
    return [router for router in found if router is not None and router.admin_state_up]


def router_part(records: Records, states: States, host: Host) -> Part:
    """All of them."""
    links: list[Link] = []
    spaces: list[Space] = []
    for router in routers_here(records, states, host):
        legs = legs_of(records, router)
        links += [_outer(router, leg) for leg in legs]
        spaces.append(_space(records, host, router, legs))
    return Part(tuple(links), tuple(spaces))


def leg_plugs(records: Records, states: States, host: Host) -> dict[str, LegPlug]:
    """By the names of links in the host."""
    return {
        leg.outer: LegPlug(leg.port.id, names.router_space(router.id))
        for router in routers_here(records, states, host)
        for leg in legs_of(records, router)
    }


def _outer(router: Router, leg: Leg) -> Link:
    """The end in the host."""
    return Link(
        name=leg.outer,
        form=Veth(names.router_space(router.id), leg.inner),
        mtu=leg.network.mtu,
        master=names.bridge(leg.network.id),
        port=BridgePort(flood=True),
        macs=(leg.port.mac,),
    )


def _space(records: Records, host: Host, router: Router, legs: list[Leg]) -> Space:
    return Space(
        name=names.router_space(router.id),
        links=tuple(_inner(records, router, leg) for leg in legs),
        routes=tuple(sorted({*_defaults(legs), *_static(router, legs)})),
        sysctls=SYSCTLS,
        tables=translation(records, router, legs),
        services=advertiser(records, host, router, legs),
    )


def _inner(records: Records, router: Router, leg: Leg) -> Link:
    """The end in the router's namespace. The gateway has the floating addresses, too, so that it answers for them."""
    addresses = set(leg.interfaces)
    if leg.is_gateway:
        addresses |= {f"{one.address}/32" for one in records.floating_ips.by("router", router.id)}
    mac, mtu = leg.port.mac, leg.network.mtu
    return Link(name=leg.inner, form=Peer(), mac=mac, mtu=mtu, addresses=tuple(sorted(addresses)))


def _defaults(legs: Iterable[Leg]) -> Iterable[Route]:
    """By the gateways of the subnets outside; one for each version."""
    found: dict[str, Route] = {}
    for leg in legs:
        for subnet in leg.subnets if leg.is_gateway else ():
            if subnet.gateway_ip is not None:
                destination = "0.0.0.0/0" if subnet.ip_version == 4 else "::/0"
                found.setdefault(destination, Route(destination, subnet.gateway_ip, leg.inner))
    return found.values()


def _static(router: Router, legs: list[Leg]) -> Iterable[Route]:
    """Those that lead through a subnet of the router. The last of several to one destination counts."""
    found: dict[str, Route] = {}
    for route in router.routes:
        hop = ipaddress.ip_address(route.nexthop)
        for leg in legs:
            if any(hop in ipaddress.ip_network(subnet.cidr) for subnet in leg.subnets):
                destination = str(ipaddress.ip_network(route.destination))
                found[destination] = Route(destination, str(hop), leg.inner)
                break
    return found.values()
