"""The links of a network on one host: its bridge, what connects it to other hosts, and servers' plugs."""

from __future__ import annotations

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import mac, made_mac, with_length
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.places import Presence
from compute_plugin.networks.plan.trunking import link_of
from compute_plugin.networks.plan.wiring import Bridge, BridgePort, Given, Link, Vlan, Vxlan
from compute_plugin.networks.records.network import FLAT, VLAN, VXLAN, Network
from compute_plugin.networks.records.port import Port

EVERYBODY = "00:00:00:00:00:00"
"""In the table of a VXLAN: addresses that nobody is known to have, broadcasts and multicasts."""
OUTWARD = BridgePort(flood=True, isolated=True)
"""Of links to other hosts: what is on each host alike (DHCP) exchanges nothing with them."""


def network_links(presence: Presence, host: Host) -> list[Link]:
    """In the order in which they can be made. Raises ValueError where the host cannot have the network."""
    network = presence.network
    bridge = names.bridge(network.id)
    links = [
        Link(
            name=bridge,
            form=Bridge(),
            mac=made_mac(network.id),
            mtu=network.mtu,
            up=network.admin_state_up,
            addresses=_own_addresses(presence, host),
        )
    ]
    links += _outward(presence, host, bridge)
    links += [_plug(port, presence, bridge) for port in presence.here]
    return links


def is_local(network: Network, host: Host) -> bool:
    """Whether the network's bridge is all that there is of it."""
    return network.network_type in (FLAT, VLAN) and network.physical_network in host.local


def passes(port: Port, network: Network) -> bool:
    """Whether anything is to pass a port."""
    return port.admin_state_up and network.admin_state_up


def holds_to_its_mac(port: Port) -> bool:
    """Whether a port has no other MAC than its own: then the bridge needs neither learn nor flood."""
    return port.port_security_enabled and all(pair.mac.lower() == port.mac.lower() for pair in port.address_pairs)


def _own_addresses(presence: Presence, host: Host) -> tuple[str, ...]:
    """The host's, where it is the way out of a network that is only here."""
    if not is_local(presence.network, host):
        return ()
    return tuple(sorted(with_length(one.gateway_ip, one) for one in presence.subnets if one.gateway_ip))


def _outward(presence: Presence, host: Host, bridge: str) -> list[Link]:
    network = presence.network
    if network.network_type == VXLAN:
        return _tunnel(presence, host, bridge)
    if is_local(network, host):
        return []
    wire = host.wires.get(network.physical_network or "")
    if wire is None:
        raise ValueError(f"this host is not connected to the physical network {network.physical_network!r}")
    if network.network_type == FLAT:
        return [Link(name=wire, form=Given(), master=bridge, port=BridgePort(learning=True, flood=True, isolated=True))]
    number = network.segmentation_id or 0
    return [
        Link(
            name=names.vlan(network.id),
            form=Vlan(wire, number),
            mtu=network.mtu,
            master=bridge,
            port=BridgePort(learning=True, flood=True, isolated=True),
        )
    ]


def _tunnel(presence: Presence, host: Host, bridge: str) -> list[Link]:
    network = presence.network
    if not presence.others or not host.address:
        return []
    vni = network.segmentation_id or 0
    return [
        Link(
            name=names.vxlan(vni),
            form=Vxlan(vni, host.address, host.vxlan_port),
            mtu=network.mtu,
            master=bridge,
            port=OUTWARD,
            remotes=frozenset({*presence.remote, *((EVERYBODY, other) for other in presence.others)}),
        )
    ]


def _plug(port: Port, presence: Presence, bridge: str) -> Link:
    network, tagged = presence.network, presence.tagged.get(port.id)
    known = holds_to_its_mac(port)
    return Link(
        name=link_of(port, presence.tagged),
        form=Vlan(tagged.plug, tagged.number) if tagged is not None else Given(),
        mtu=network.mtu,
        up=passes(port, network) and (tagged is None or tagged.up),
        master=bridge,
        port=BridgePort(learning=not known, flood=not known),
        macs=(mac(port.mac),) if known else (),
    )
