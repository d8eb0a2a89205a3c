"""`Wiring`: all that a host has to have of networks, as facts.

A host is some spaces: itself (its name here is "") and the network namespaces that are made in it. A space has links,
routes, sysctls, tables of nftables, and services that run in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from compute_plugin.networks.plan.ruleset import Table

HOST: Final = ""
"""The name of the space that is the host itself."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """Made without STP and multicast snooping, with `nf_call_iptables`: IP packets that it forwards pass the tables of
    the family `inet`."""


@dataclass(frozen=True, slots=True)
class Vxlan:
    """Made without learning: others are static entries (`Link.remotes`)."""

    vni: int
    local: str
    port: int


@dataclass(frozen=True, slots=True)
class Vlan:
    """Tagged frames of another link."""

    link: str
    number: int


@dataclass(frozen=True, slots=True)
class Veth:
    """One end of a pair; the other is a link (`Peer`) of another space."""

    space: str
    peer: str


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end: it comes and goes with the first."""


@dataclass(frozen=True, slots=True)
class Given:
    """Made by others: a server's plug, or a physical link. Taken in where it is there; never made, never deleted."""


Form = Bridge | Vxlan | Vlan | Veth | Peer | Given


@dataclass(frozen=True, slots=True)
class BridgePort:
    """How a bridge sees a link that is plugged into it."""

    learning: bool = False
    flood: bool = False
    """Whether it gets frames to addresses that nobody is known to have."""
    isolated: bool = False
    """Whether it exchanges nothing with other isolated ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of a space. What is None is left as it is."""

    name: str
    form: Form
    mac: str | None = None
    mtu: int | None = None
    up: bool = True
    master: str | None = None
    """The bridge that it is plugged into."""
    port: BridgePort = field(default_factory=BridgePort)
    macs: tuple[str, ...] = ()
    """That the bridge finds behind it; static entries, sorted."""
    remotes: frozenset[tuple[str, str]] = frozenset()
    """Of a VXLAN: MAC (00:00:00:00:00:00 for all that nobody is known to have), and the host to send it to."""
    addresses: tuple[str, ...] = ()
    """With the lengths of their prefixes; sorted. Others go, but from links that are given."""


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """Beside those that addresses bring by themselves."""

    destination: str
    """A prefix; 0.0.0.0/0 and ::/0 for all."""
    via: str
    """The next hop; "" where it is on the link."""
    link: str


@dataclass(frozen=True, slots=True)
class File:
    """That a service reads."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that runs in a namespace by itself: it goes on when the agent ends.

    What it reads only when it starts is in `files`, whose paths change with their texts: so the command says all of
    what it was started with."""

    name: str
    """Such as `dnsmasq`: the last part of the program's path."""
    folder: str
    command: tuple[str, ...]
    pid_file: str
    files: tuple[File, ...] = ()
    reloaded: tuple[File, ...] = ()
    """That it reads again at SIGHUP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The host, or a network namespace."""

    name: str
    links: tuple[Link, ...] = ()
    """In the order in which they can be made."""
    routes: tuple[Route, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    """Path below /proc/sys, value."""
    tables: tuple[Table, ...] = ()
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the plan adds: links of the host, and namespaces."""

    links: tuple[Link, ...] = ()
    spaces: tuple[Space, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """What is plugged in at a link."""

    port: str
    """Its id."""
    network: str
    mac: str
    addresses: tuple[str, ...]
    """Its own; sorted."""
    number: int
    """In the marks of its packets."""


@dataclass(frozen=True, slots=True)
class LegPlug:
    """A router's port, of which a link of the host is one end."""

    port: str
    """Its id."""
    space: str
    """The router's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """All of it."""

    spaces: tuple[Space, ...]
    """The host first."""
    plugs: Mapping[str, Plug] = field(default_factory=dict)
    """By the names of servers' links."""
    legs: Mapping[str, LegPlug] = field(default_factory=dict)
    """By the names of links to routers."""
    zones: Mapping[str, int] = field(default_factory=dict)
    """By ids of networks: where connections are tracked."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """By ids of records that could not be made sense of: why. The rest is as if they were not there."""

    @property
    def host(self) -> Space:
        return self.spaces[0]
