"""DHCP and names of a network: a namespace with one link and a dnsmasq, the same on each host that has the network.

It answers servers of this host only, and knows the names of all. Where metadata are asked for is an address of it, too.
"""

from __future__ import annotations

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import mac, with_length
from compute_plugin.networks.plan.dhcp_options import METADATA
from compute_plugin.networks.plan.dnsmasq import dnsmasq
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.places import Presence
from compute_plugin.networks.plan.wiring import BridgePort, Link, Part, Peer, Route, Space, Veth
from compute_plugin.networks.records.port import Port

METADATA6 = "fe80::a9fe:a9fe"
SYSCTLS = (
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    (f"net/ipv6/conf/{names.DHCP_LINK}/accept_ra", "0"),
    (f"net/ipv6/conf/{names.DHCP_LINK}/accept_dad", "0"),
)
"""It is on several hosts, so it does not look for addresses that are taken."""


def dhcp_part(presence: Presence, host: Host) -> Part:
    """Nothing where the network has no port for it."""
    port = presence.dhcp
    if port is None or not presence.here:
        return Part()
    network = presence.network
    space = names.dhcp_space(network.id)
    outer = Link(
        name=names.dhcp_link(network.id),
        form=Veth(space, names.DHCP_LINK),
        mtu=network.mtu,
        up=port.admin_state_up,
        master=names.bridge(network.id),
        port=BridgePort(isolated=True),
        macs=(mac(port.mac),),
    )
    inner = Link(
        name=names.DHCP_LINK,
        form=Peer(),
        mac=mac(port.mac),
        mtu=network.mtu,
        addresses=tuple(sorted([*_addresses(port, presence), f"{METADATA}/32", f"{METADATA6}/64"])),
    )
    inside = Space(
        name=space,
        links=(inner,),
        routes=_routes(port, presence),
        sysctls=SYSCTLS,
        services=(dnsmasq(presence, port, host),),
    )
    return Part((outer,), (inside,))


def _addresses(port: Port, presence: Presence) -> list[str]:
    subnets = {subnet.id: subnet for subnet in presence.subnets}
    return [with_length(one.address, subnets[one.subnet_id]) for one in port.fixed_ips if one.subnet_id in subnets]


def _routes(port: Port, presence: Presence) -> tuple[Route, ...]:
    """The way back to who asks through a router."""
    on = {one.subnet_id for one in port.fixed_ips}
    found: dict[int, Route] = {}
    for subnet in presence.subnets:
        if subnet.gateway_ip and subnet.id in on:
            everything = "0.0.0.0/0" if subnet.ip_version == 4 else "::/0"
            found.setdefault(subnet.ip_version, Route(everything, subnet.gateway_ip, names.DHCP_LINK))
    return tuple(sorted(found.values()))
