"""Networks, subnets, and where their addresses come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import each, record_codec

FLAT: Final = "flat"
VLAN: Final = "vlan"
VXLAN: Final = "vxlan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Standard):
    """A broadcast domain. Who else may use it is said by RBAC policies."""

    admin_state_up: bool = True
    mtu: int
    port_security_enabled: bool = True
    """Of ports that say nothing else."""
    dns_domain: str = ""
    network_type: str
    """FLAT, VLAN or VXLAN."""
    physical_network: str | None = None
    """The name by which hosts know the wire, where it is flat or a VLAN."""
    segmentation_id: int | None = None
    """The VLAN's or VXLAN's number."""
    external: bool = False
    """Whether routers have their gateways and floating addresses on it."""
    is_default: bool = False
    """The external network that is taken where none is named."""
    availability_zone_hints: tuple[str, ...] = ()
    qos_policy_id: str | None = None
    vlan_transparent: bool = False


class Pool(NamedTuple):
    """Addresses that may be given out, both ends included."""

    start: str
    end: str


class HostRoute(NamedTuple):
    """That servers on a subnet are told, or that a router has."""

    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Standard):
    """Addresses of a network."""

    network_id: str
    ip_version: int
    """4 or 6."""
    cidr: str
    gateway_ip: str | None
    pools: tuple[Pool, ...]
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_ra_mode: str | None = None
    """`slaac`, `dhcpv6-stateful` or `dhcpv6-stateless`; None: routers say nothing."""
    ipv6_address_mode: str | None = None
    """The same, of how servers get addresses."""
    subnetpool_id: str | None = None
    service_types: tuple[str, ...] = ()
    """Owners of ports that may have addresses of it; () for all."""
    segment_id: str | None = None
    dns_publish_fixed_ip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetPool(Standard):
    """Prefixes that subnets are cut from. Who else may use it is said by RBAC policies."""

    ip_version: int
    prefixes: tuple[str, ...]
    default_prefixlen: int
    min_prefixlen: int
    max_prefixlen: int
    default_quota: int | None = None
    address_scope_id: str | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressScope(Standard):
    """Subnet pools whose addresses do not overlap, so that routers need no NAT between them."""

    ip_version: int


NETWORK_CODEC: Final = record_codec("network", Network)
SUBNET_CODEC: Final = record_codec("subnet", Subnet, pools=each(Pool), host_routes=each(HostRoute))
SUBNETPOOL_CODEC: Final = record_codec("subnet pool", SubnetPool)
ADDRESS_SCOPE_CODEC: Final = record_codec("address scope", AddressScope)
