"""What the firewall has to know of the links that are plugged into bridges here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import mac
from compute_plugin.networks.plan.bridging import is_local, passes
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.numbers import numbers
from compute_plugin.networks.plan.places import Presence
from compute_plugin.networks.plan.trunking import link_of
from compute_plugin.networks.plan.wiring import Link
from compute_plugin.networks.records.port import Port


@dataclass(frozen=True, slots=True)
class PluggedPort:
    """A server's port on this host."""

    port: Port
    link: str
    bridge: str
    number: int
    open: bool
    """Whether anything passes."""
    stateless: bool
    """Whether a security group of it is."""
    metadata_mac: str | None
    """Where metadata of its network are answered."""

    @property
    def guarded(self) -> bool:
        return self.port.port_security_enabled


@dataclass(frozen=True, slots=True)
class Plugged:
    """All of it."""

    ports: tuple[PluggedPort, ...]
    others: tuple[Link, ...]
    """Of networks themselves: to other hosts, to routers, to DHCP. Without `remotes`: so ports on other hosts, which
    come and go, make no other tables."""
    local: frozenset[str]
    """Bridges by which the host itself is reached."""
    zones: tuple[tuple[str, int], ...]
    """By names of bridges: where connections are tracked; not for local ones, where they are the host's own."""


def plugged_of(
    present: Sequence[Presence],
    links: Sequence[Link],
    zones: Mapping[str, int],
    stateless: AbstractSet[str],
    host: Host,
) -> Plugged:
    """`links`: all of the host; `zones`: by ids of networks; `stateless`: ids of security groups that are."""
    given = numbers(port for one in present for port in one.here)
    there = {link.name for link in links}
    ports = []
    for one in present:
        bridge = names.bridge(one.network.id)
        has_dhcp = names.dhcp_link(one.network.id) in there
        metadata = mac(one.dhcp.mac) if has_dhcp and one.dhcp is not None else None
        ports += [
            PluggedPort(
                port,
                link_of(port, one.tagged),
                bridge,
                given[port.id],
                passes(port, one.network),
                port.port_security_enabled and not stateless.isdisjoint(port.security_group_ids),
                metadata,
            )
            for port in one.here
        ]
    plugs = {one.link for one in ports}
    return Plugged(
        tuple(ports),
        tuple(replace(one, remotes=frozenset()) for one in links if one.master is not None and one.name not in plugs),
        frozenset(names.bridge(one.network.id) for one in present if is_local(one.network, host)),
        tuple((names.bridge(id_), zone) for id_, zone in sorted(zones.items())),
    )
