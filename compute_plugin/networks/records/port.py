"""Ports: where something is plugged into a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import each, record_codec

DHCP: Final = "network:dhcp"
ROUTER_INTERFACE: Final = "network:router_interface"
ROUTER_GATEWAY: Final = "network:router_gateway"
FLOATING_IP: Final = "network:floatingip"
COMPUTE: Final = "compute:"
"""How owners begin that are servers."""


class FixedIp(NamedTuple):
    """An address that a port has."""

    subnet_id: str
    address: str


class AddressPair(NamedTuple):
    """That a port may send from, besides its own."""

    address: str
    """An address or a prefix."""
    mac: str


class DhcpOption(NamedTuple):
    """That a server is told."""

    name: str
    value: str
    ip_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Port(Standard):
    """Of a server, or of what networks need themselves."""

    network_id: str
    mac: str
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    port_security_enabled: bool = True
    """Whether what it sends is held to its addresses, and its groups count."""
    address_pairs: tuple[AddressPair, ...] = ()
    dhcp_options: tuple[DhcpOption, ...] = ()
    dns_name: str = ""
    dns_domain: str = ""
    host: str = ""
    """The host that it is to be plugged in at; "" as long as nobody said."""
    vnic_type: str = "normal"
    binding_profile: str = "{}"
    """JSON."""
    qos_policy_id: str | None = None
    propagate_uplink_status: bool = True
    hints: str | None = None
    """JSON."""


PORT_CODEC: Final = record_codec(
    "port", Port, fixed_ips=each(FixedIp), address_pairs=each(AddressPair), dhcp_options=each(DhcpOption)
)
