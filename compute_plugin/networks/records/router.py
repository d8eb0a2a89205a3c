"""Routers, and the addresses by which servers are reached from outside.

A router's interfaces are ports (`device_owner` network:router_interface, `device_id` the router), and so are its
gateway (network:router_gateway) and floating addresses (network:floatingip, `device_id` the floating address)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.network import HostRoute
from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import each, record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Router(Standard):
    """Between networks, and to the outside."""

    admin_state_up: bool = True
    gateway_network_id: str | None = None
    gateway_port_id: str | None = None
    """The port with the router's own address outside."""
    enable_snat: bool = True
    routes: tuple[HostRoute, ...] = ()
    availability_zone_hints: tuple[str, ...] = ()
    flavor_id: str | None = None
    qos_policy_id: str | None = None
    """Of the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp(Standard):
    """An address outside that stands for one of a server."""

    network_id: str
    """The external network."""
    floating_port_id: str
    address: str
    port_id: str | None = None
    """The server's port; None as long as it stands for nothing, and where port forwardings use it."""
    fixed_ip: str | None = None
    router_id: str | None = None
    qos_policy_id: str | None = None
    dns_name: str = ""
    dns_domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortForwarding(Standard):
    """Some ports of a floating address, for a server's."""

    floating_ip_id: str
    protocol: str
    external_port: int
    external_port_end: int
    """The last of the range; the same for one port."""
    internal_port_id: str
    internal_ip: str
    internal_port: int
    internal_port_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackHelper(Standard):
    """Lets a router understand a protocol that opens further connections."""

    router_id: str
    protocol: str
    port: int
    helper: str


ROUTER_CODEC: Final = record_codec("router", Router, routes=each(HostRoute))
FLOATING_IP_CODEC: Final = record_codec("floating address", FloatingIp)
PORT_FORWARDING_CODEC: Final = record_codec("port forwarding", PortForwarding)
CONNTRACK_HELPER_CODEC: Final = record_codec("conntrack helper", ConntrackHelper)
