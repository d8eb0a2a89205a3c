"""`desired`: what each part of the plan says, put together. `Planner` does so again and again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, link_local, mac
from compute_plugin.networks.plan.bridge_table import bridge_table
from compute_plugin.networks.plan.bridging import is_local, network_links
from compute_plugin.networks.plan.dhcp import dhcp_part
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.inet_table import inet_table
from compute_plugin.networks.plan.kept import Kept
from compute_plugin.networks.plan.numbers import numbers
from compute_plugin.networks.plan.places import Presence, networks_here, presence
from compute_plugin.networks.plan.plugged import Plugged, PluggedPort, plugged_of
from compute_plugin.networks.plan.qos import shaping_of
from compute_plugin.networks.plan.router import leg_plugs, router_part
from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import HOST, Link, Part, Peer, Plug, Space, Wiring
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.states import States

LOOPBACK = Link(name="lo", form=Peer(), addresses=("127.0.0.1/8", "::1/128"))


def desired(records: Records, states: States, host: Host) -> Wiring:
    """All that a host has to have. Records that make no sense are left out, and said in `problems`."""
    return Planner(host).plan(records, states)


@dataclass(frozen=True, slots=True)
class _Planned:
    """Of one network."""

    presence: Presence
    part: Part | None
    """None where this host cannot have it."""
    problems: dict[str, str]


class Planner:
    """For one host. What it says is what `desired` says, sooner where little has changed since it was last asked."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._kept = Kept()

    def plan(self, records: Records, states: States) -> Wiring:
        problems: dict[str, str] = {}
        planned = [self._network(records, states, network) for network in self._networks(records, states)]
        for one in planned:
            problems |= one.problems
        present = [one.presence for one in planned if one.part is not None]
        parts = [one.part for one in planned if one.part is not None]
        wired = {link.name for part in parts for link in part.links}
        parts.append(self._routers(records, states, wired, problems))
        links = tuple(sorted((link for part in parts for link in part.links), key=_is_on_a_plug))
        spaces = sorted((_whole(space) for part in parts for space in part.spaces), key=lambda one: one.name)
        zones = numbers(one.network for one in present if not is_local(one.network, self._host))
        plugged = self._plugged(records, present, links, zones)
        wiring = Wiring(
            spaces=(Space(name=HOST, links=links, tables=self._tables(records, plugged, problems)), *spaces),
            plugs=self._kept.get("plugs", plugged, lambda: {one.link: _plug(one) for one in plugged.ports}),
            legs=leg_plugs(records, states, self._host),
            zones=zones,
            problems=problems,
        )
        self._kept.sweep()
        return wiring

    def _networks(self, records: Records, states: States) -> list[Network]:
        found = (records.networks.get(id_) for id_ in networks_here(records, states, self._host))
        return [network for network in found if network is not None]

    def _network(self, records: Records, states: States, network: Network) -> _Planned:
        made_from = (
            network,
            records.subnets.by("network", network.id),
            records.ports.by("network", network.id),
            self._trunks(records, network),
            list(states.hosts),
            list(states.routers),
        )
        return self._kept.get(("network", network.id), made_from, lambda: self._plan_network(records, states, network))

    def _trunks(self, records: Records, network: Network) -> list[object]:
        """Trunks of which a port of the network is a part, with their parents."""
        if not len(records.trunks):
            return []
        ports = records.ports.by("network", network.id)
        trunks = [trunk for port in ports for trunk in records.trunks.by("sub_port", port.id)]
        parents = [records.ports.get(trunk.port_id) for trunk in trunks]
        return [trunks, parents, [records.networks.get(one.network_id) for one in parents if one is not None]]

    def _plan_network(self, records: Records, states: States, network: Network) -> _Planned:
        problems: dict[str, str] = {}
        one = presence(records, states, self._host, network, problems)
        try:
            dhcp = dhcp_part(one, self._host)
            part = Part((*network_links(one, self._host), *dhcp.links), dhcp.spaces)
        except ValueError as error:
            problems[network.id] = str(error)
            return _Planned(one, None, problems)
        return _Planned(one, part, problems)

    def _routers(self, records: Records, states: States, wired: set[str], problems: dict[str, str]) -> Part:
        """Without links to bridges that are not here."""
        try:
            part = router_part(records, states, self._host)
        except ValueError as error:
            problems["routers"] = str(error)
            return Part()
        return Part(tuple(link for link in part.links if link.master in wired), part.spaces)

    def _plugged(
        self, records: Records, present: list[Presence], links: tuple[Link, ...], zones: dict[str, int]
    ) -> Plugged:
        stateless = {group.id for group in records.security_groups if not group.stateful}
        made_from = (present, links, zones, stateless)
        return self._kept.get("plugged", made_from, lambda: plugged_of(present, links, zones, stateless, self._host))

    def _tables(self, records: Records, plugged: Plugged, problems: dict[str, str]) -> tuple[Table, ...]:
        if not plugged.ports and not plugged.others:
            return ()
        shaping = shaping_of(records, plugged.ports)
        bridge = self._kept.get("bridge table", (plugged, shaping), lambda: bridge_table(plugged, shaping))
        return bridge, inet_table(records, plugged, problems, self._kept)


def _is_on_a_plug(link: Link) -> bool:
    """Such links come last: what they are on may be of a network that comes later."""
    return link.name.startswith(names.SUB_PLUGS)


def _whole(space: Space) -> Space:
    """With what the kernel would make by itself: so it is made anew where somebody took it away."""
    return replace(space, links=(LOOPBACK, *map(_with_link_local, space.links)))


def _with_link_local(link: Link) -> Link:
    if link.mac is None:
        return link
    return replace(link, addresses=tuple(sorted({*link.addresses, f"{link_local(link.mac)}/64"})))


def _plug(one: PluggedPort) -> Plug:
    port = one.port
    return Plug(
        port=port.id,
        network=port.network_id,
        mac=mac(port.mac),
        addresses=tuple(sorted(address(fixed.address) for fixed in port.fixed_ips)),
        number=one.number,
    )
