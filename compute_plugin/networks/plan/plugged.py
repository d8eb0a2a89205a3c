"""What the firewall has to know of the links that are plugged into bridges here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Whether all of its security groups are."""
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
    """Of networks themselves: to other hosts, to routers, to DHCP."""
    local: frozenset[str]
    """Bridges by which the host itself is reached."""
    zones: tuple[tuple[str, int], ...]
    """By names of bridges: where connections are tracked; not for local ones, where they are the host's own."""


def others(links: Sequence[Link], plugs: set[str]) -> tuple[Link, ...]:
    """The links in bridges that are of no server."""
    return tuple(one for one in links if one.master is not None and one.name not in plugs)
