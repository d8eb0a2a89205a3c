"""What agents say: that they live, which ports are plugged in, and which of them has a router.

network-state/agent/<host>        an agent; the key ends with its lease
network-state/port/<port>         where a port is plugged in, and what is wrong with it
network-state/router/<router>     the host that has a router; the key ends with the lease of its agent
network-state/host/<host>         where a host is reached; stays when its agent ends, as packets go on then
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.table import Table
from compute_plugin.tables.record_codec import record_codec
from compute_plugin.tables.table import Kind
from compute_plugin.tables.tables import Tables

PREFIX: Final = b"network-state/"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """Of a host."""

    id: str
    """The host's name."""
    address: str
    """Where other hosts send VXLAN to; "" where this one has no tunnels."""
    physical_networks: tuple[str, ...] = ()
    """Wires that it is connected to."""
    started_us: int = 0
    seen_us: int = 0
    problems: tuple[str, ...] = ()
    """What keeps it from doing its work, in words for people; such as that it is not root."""
    warnings: tuple[str, ...] = ()
    """What is wrong with its host, though it does its work; such as that rules of others drop packets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortState:
    """Of a port that its host has seen."""

    id: str
    host: str
    up: bool
    """Whether all of it is wired and packets pass."""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPlace:
    """Where a router is."""

    id: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAddress:
    """Where a host is reached."""

    id: str
    """The host's name."""
    address: str
    """Where other hosts send VXLAN to; "" where this one has no tunnels."""


AGENTS: Final = Kind("agent", record_codec("network agent", AgentState), {}, "AgentNotFound", "Agent")
PORT_STATES: Final = Kind("port", record_codec("port state", PortState), {"host": lambda one: (one.host,)})
ROUTER_PLACES: Final = Kind("router", record_codec("router place", RouterPlace), {"host": lambda one: (one.host,)})
HOST_ADDRESSES: Final = Kind("host", record_codec("host address", HostAddress))


class States(Tables):
    """All of it in memory."""

    prefix = PREFIX

    def __init__(self) -> None:
        self.agents: Table[AgentState] = Table(AGENTS)
        self.ports: Table[PortState] = Table(PORT_STATES)
        self.routers: Table[RouterPlace] = Table(ROUTER_PLACES)
        self.hosts: Table[HostAddress] = Table(HOST_ADDRESSES)
