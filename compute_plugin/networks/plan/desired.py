"""`desired`: what each part of the plan says, put together."""

from __future__ import annotations

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, mac
from compute_plugin.networks.plan.bridge_table import bridge_table
from compute_plugin.networks.plan.bridging import is_local, network_links, passes
from compute_plugin.networks.plan.dhcp import dhcp_part
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.inet_table import inet_table
from compute_plugin.networks.plan.numbers import numbers
from compute_plugin.networks.plan.places import Presence, networks_here, presence
from compute_plugin.networks.plan.plugged import Plugged, PluggedPort, others
from compute_plugin.networks.plan.router import router_part
from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.sources import sources
from compute_plugin.networks.plan.wiring import HOST, Link, Part, Plug, Space, Wiring
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.states import States


def desired(records: Records, states: States, host: Host) -> Wiring:
    """All that a host has to have. Records that make no sense are left out, and said in `problems`."""
    problems: dict[str, str] = {}
    present = _present(records, states, host, problems)
    parts = [part for one in present if (part := _network_part(one, host, problems)) is not None]
    wired = {link.name for part in parts for link in part.links}
    present = [one for one in present if names.bridge(one.network.id) in wired]
    parts.append(_connected(router_part(records, states, host), wired))
    links = tuple(link for part in parts for link in part.links)
    spaces = sorted((space for part in parts for space in part.spaces), key=lambda one: one.name)
    zones = numbers(one.network for one in present if not is_local(one.network, host))
    plugged = _plugged(records, present, links, zones, host)
    return Wiring(
        spaces=(Space(name=HOST, links=links, tables=_tables(records, plugged, problems)), *spaces),
        plugs={one.link: _plug(one) for one in plugged.ports},
        zones=zones,
        problems=problems,
    )


def _present(records: Records, states: States, host: Host, problems: dict[str, str]) -> list[Presence]:
    """The networks that this host has something of, with those of their ports that make sense."""
    found = []
    for id_ in networks_here(records, states, host):
        network = records.networks.get(id_)
        if network is None:
            continue
        one = presence(records, states, host, network)
        here = tuple(port for port in one.here if _makes_sense(port, problems))
        found.append(Presence(network, one.subnets, one.ports, here, one.remote, one.others, one.dhcp))
    return found


def _makes_sense(port: Port, problems: dict[str, str]) -> bool:
    try:
        sources(port, names.plug(port.id))
        mac(port.mac)
    except ValueError as error:
        problems[port.id] = str(error)
        return False
    return True


def _network_part(one: Presence, host: Host, problems: dict[str, str]) -> Part | None:
    """Links of one network, and its DHCP."""
    try:
        dhcp = dhcp_part(one, host)
        links = network_links(one, host)
    except ValueError as error:
        problems[one.network.id] = str(error)
        return None
    return Part((*links, *dhcp.links), dhcp.spaces)


def _connected(part: Part, wired: set[str]) -> Part:
    """Without links to bridges that are not here."""
    return Part(tuple(link for link in part.links if link.master in wired), part.spaces)


def _plugged(
    records: Records, present: list[Presence], links: tuple[Link, ...], zones: dict[str, int], host: Host
) -> Plugged:
    given = numbers(port for one in present for port in one.here)
    ports = []
    for one in present:
        bridge = names.bridge(one.network.id)
        has_dhcp = one.dhcp is not None and any(link.name == names.dhcp_link(one.network.id) for link in links)
        ports += [
            PluggedPort(
                port,
                names.plug(port.id),
                bridge,
                given[port.id],
                passes(port, one.network),
                _is_stateless(records, port),
                mac(one.dhcp.mac) if has_dhcp and one.dhcp is not None else None,
            )
            for port in one.here
        ]
    return Plugged(
        tuple(ports),
        others(links, {one.link for one in ports}),
        frozenset(names.bridge(one.network.id) for one in present if is_local(one.network, host)),
        tuple((names.bridge(id_), zone) for id_, zone in sorted(zones.items())),
    )


def _plug(one: PluggedPort) -> Plug:
    port = one.port
    return Plug(
        port=port.id,
        network=port.network_id,
        mac=mac(port.mac),
        addresses=tuple(sorted(address(fixed.address) for fixed in port.fixed_ips)),
        number=one.number,
    )


def _is_stateless(records: Records, port: Port) -> bool:
    groups = [records.security_groups.get(id_) for id_ in port.security_group_ids]
    return port.port_security_enabled and any(one is not None and not one.stateful for one in groups)


def _tables(records: Records, plugged: Plugged, problems: dict[str, str]) -> tuple[Table, ...]:
    if not plugged.ports and not plugged.others:
        return ()
    return bridge_table(plugged), inet_table(records, plugged, problems)
