"""Which networks a host has something of, and where the rest of each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, mac
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.sources import sources
from compute_plugin.networks.plan.trunking import Tagged, tagged_ports
from compute_plugin.networks.records.network import Network, Subnet
from compute_plugin.networks.records.port import DHCP, ROUTER_GATEWAY, ROUTER_INTERFACE, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.states import States

INFRASTRUCTURE = "network:"
"""How owners begin that are no servers."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A network that the host has something of."""

    network: Network
    subnets: tuple[Subnet, ...]
    ports: tuple[Port, ...]
    """All of the network, by id."""
    here: tuple[Port, ...]
    """Those of servers on this host."""
    remote: tuple[tuple[str, str], ...]
    """MACs of ports on other hosts, and their hosts' addresses; sorted."""
    others: tuple[str, ...]
    """Addresses of other hosts that have the network; sorted."""
    dhcp: Port | None
    """Of DHCP, names and metadata; the same on each host."""
    tagged: Mapping[str, Tagged] = field(default_factory=dict)
    """Sub-ports of trunks that are here, by ids."""


def is_server(port: Port) -> bool:
    """Whether a port is one that somebody plugs something into, and not of networks themselves."""
    return not port.device_owner.startswith(INFRASTRUCTURE)


def place_of(port: Port, states: States) -> str:
    """The host that has a port; "" where none has, or each has it."""
    if port.device_owner in (ROUTER_INTERFACE, ROUTER_GATEWAY):
        place = states.routers.get(port.device_id)
        return place.host if place is not None else ""
    return port.host if is_server(port) else ""


def networks_here(records: Records, states: States, host: Host) -> list[str]:
    """Ids of the networks that the host has something of; sorted."""
    found = {port.network_id for port in records.ports.by("host", host.name) if is_server(port)}
    for place in states.routers.by("host", host.name):
        found |= {
            port.network_id
            for port in records.ports.by("device", place.id)
            if port.device_owner in (ROUTER_INTERFACE, ROUTER_GATEWAY)
        }
    return sorted(found)


def presence(records: Records, states: States, host: Host, network: Network, problems: dict[str, str]) -> Presence:
    """What there is of a network, as this host sees it. Ports that make no sense are left out; `problems` gets their
    ids, and why."""
    ports = [port for port in records.ports.by("network", network.id) if _makes_sense(port, problems)]
    here, remote, others = [], set(), set()
    dhcp: Port | None = None
    for port in ports:
        if port.device_owner == DHCP:
            dhcp = dhcp or port
            continue
        place = place_of(port, states)
        if place == host.name:
            if is_server(port):
                here.append(port)
        elif place and (known := states.hosts.get(place)) is not None and known.address:
            remote.add((mac(port.mac), address(known.address)))
            others.add(address(known.address))
    tagged = tagged_ports(records, here, problems)
    return Presence(
        network,
        tuple(records.subnets.by("network", network.id)),
        tuple(ports),
        tuple(port for port in here if port.id not in problems),
        tuple(sorted(remote)),
        tuple(sorted(others)),
        dhcp,
        tagged,
    )


def _makes_sense(port: Port, problems: dict[str, str]) -> bool:
    try:
        sources(port, names.plug(port.id))
    except ValueError as error:
        problems[port.id] = str(error)
        return False
    return True
