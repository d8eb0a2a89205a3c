"""Subnets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from compute_plugin.networks.addresses.pools import default_gateway, default_pools
from compute_plugin.networks.errors import BadRequestError, InUseError, MissingError
from compute_plugin.networks.records.network import Network, Subnet
from compute_plugin.networks.records.port import DHCP, ROUTER_INTERFACE, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.store import ROOM
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.addressing.address_readers import (
    any_prefix,
    host_routes,
    ip_version,
    nameservers,
    pools,
)
from compute_plugin.networks.v2.addressing.dhcp_ports import keep_dhcp_port
from compute_plugin.networks.v2.addressing.own_addresses import give_some
from compute_plugin.networks.v2.addressing.subnet_checks import (
    require_gateway_outside,
    require_gateway_unused,
    require_place,
    require_room_for_dhcp,
    require_sound,
)
from compute_plugin.networks.v2.addressing.subnet_kinds import (
    SLAAC,
    STATEFUL,
    STATELESS,
    is_automatic,
)
from compute_plugin.networks.v2.addressing.subnetpool_cuts import (
    bad_subnet,
    cut,
    default_pool,
    require_affinity,
    seen_pool,
)
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, REQUIRED, Attribute, invalid, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import address, flag, items, one_of, or_none, text, uuid, whole
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.network_access import seen_network
from compute_plugin.networks.v2.operating.tags import new_tags

MODES: Final = (STATEFUL, STATELESS, SLAAC)
OWNERS: Final = ("network:", "neutron:", "compute:")
"""How owners of ports begin that subnets may be for."""


def _owner(value: Any) -> str:
    found: str = text()(value)
    if not found.startswith(OWNERS):
        raise BadRequestError(
            "InvalidSubnetServiceType", f"Subnet service type {found} does not correspond to a valid device owner."
        )
    return found


class Subnets(Collection[Subnet]):
    """`/subnets`."""

    singular = "subnet"
    plural = "subnets"
    path = "/subnets"
    quota = "subnet"
    tagged = True
    goes_on = True
    narrowing: ClassVar = {
        "network_id": "network",
        "subnetpool_id": "pool",
        "project_id": "project",
        "tenant_id": "project",
    }
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("network_id", uuid, update=False, default=REQUIRED),
        Attribute("ip_version", ip_version, update=False, default=REQUIRED),
        Attribute("cidr", or_none(any_prefix), update=False, default=None),
        Attribute("prefixlen", or_none(whole(0, 128)), update=False, default=None),
        Attribute("subnetpool_id", or_none(uuid), update=False, default=None),
        Attribute("use_default_subnetpool", flag, update=False, default=False),
        Attribute("gateway_ip", or_none(address)),
        Attribute("allocation_pools", pools),
        Attribute("enable_dhcp", flag, default=True),
        Attribute("dns_nameservers", nameservers, default=()),
        Attribute("host_routes", host_routes, default=()),
        Attribute("ipv6_ra_mode", or_none(one_of(MODES)), update=False, default=None),
        Attribute("ipv6_address_mode", or_none(one_of(MODES)), update=False, default=None),
        Attribute("service_types", items(_owner), default=()),
        Attribute("segment_id", or_none(uuid), default=None),
        Attribute("dns_publish_fixed_ip", flag, default=False),
        Attribute("tags", new_tags, update=False, default=()),
        *shown("id", "router:external", "created_at", "updated_at", "revision_number"),
    )

    def table(self, records: Records) -> Table[Subnet]:
        return records.subnets

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: Subnet) -> Row:
        network = view.records.networks.get(record.network_id)
        return {**super().target(view, record), **view.network_target(network)}

    def show(self, view: View, record: Subnet) -> Row:
        network = view.records.networks.get(record.network_id)
        return {
            **standard_row(record),
            "network_id": record.network_id,
            "ip_version": record.ip_version,
            "cidr": record.cidr,
            "subnetpool_id": record.subnetpool_id,
            "gateway_ip": record.gateway_ip,
            "allocation_pools": [{"start": one.start, "end": one.end} for one in record.pools],
            "enable_dhcp": record.enable_dhcp,
            "dns_nameservers": list(record.dns_nameservers),
            "host_routes": [{"destination": one.destination, "nexthop": one.nexthop} for one in record.host_routes],
            "ipv6_ra_mode": record.ipv6_ra_mode,
            "ipv6_address_mode": record.ipv6_address_mode,
            "service_types": list(record.service_types),
            "segment_id": record.segment_id,
            "dns_publish_fixed_ip": record.dns_publish_fixed_ip,
            "router:external": network is not None and network.external,
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        network = seen_network(change, asked["network_id"])
        return {**super().create_target(change, project, asked), **change.network_target(network)}

    def create(self, change: Change, project: str, asked: Row) -> Subnet:
        network = seen_network(change, asked["network_id"])
        _require_no_segment(asked)
        subnet = Subnet(**fresh_fields(change, project, asked), **_laid_out(change, project, network, asked))
        require_sound(subnet)
        if subnet.enable_dhcp:
            require_room_for_dhcp(subnet)
        require_place(change.records, network, subnet)
        subnet = change.put(change.records.subnets, subnet)
        keep_dhcp_port(change, network)
        self.go_on(change, subnet.id)
        return subnet

    def go_on(self, change: Change, id_: str) -> bool:
        """Machines that are on the network already make themselves addresses of a new subnet, too."""
        return give_some(change.records, id_, change.now_us)

    def update(self, change: Change, record: Subnet, asked: Row) -> Subnet:
        _require_no_segment(asked)
        if "allocation_pools" in asked:
            asked["pools"] = asked.pop("allocation_pools")
        after = replace(record, **asked)
        require_sound(after)
        if after.enable_dhcp and not record.enable_dhcp:
            require_room_for_dhcp(after)
        if after.gateway_ip != record.gateway_ip:
            require_gateway_unused(change.records, record)
            require_gateway_outside(after.gateway_ip, after.pools)
        after = change.put(change.records.subnets, after)
        keep_dhcp_port(change, change.records.networks.require(record.network_id))
        return after

    def thin_out(self, change: Change, record: Subnet) -> bool:
        ports = change.records.ports.by("subnet", record.id)
        if len(ports) <= ROOM:
            return False
        _require_unused(record, ports)
        for port in ports[:ROOM]:
            _leave(change, port, record)
        return True

    def delete(self, change: Change, record: Subnet) -> None:
        records = change.records
        ports = records.ports.by("subnet", record.id)
        _require_unused(record, ports)
        records.subnets.delete(record.id)
        for port in ports:
            _leave(change, port, record)
        keep_dhcp_port(change, records.networks.require(record.network_id))


def _require_unused(subnet: Subnet, ports: Iterable[Port]) -> None:
    """By ports that do not make their addresses themselves. Raises InUseError."""
    for port in ports:
        if port.device_owner == ROUTER_INTERFACE or not (port.device_owner == DHCP or is_automatic(subnet)):
            raise InUseError(
                "SubnetInUse",
                f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP allocation from "
                "this subnet.",
            )


def _leave(change: Change, port: Port, subnet: Subnet) -> None:
    left = tuple(one for one in port.fixed_ips if one.subnet_id != subnet.id)
    change.put(change.records.ports, replace(port, fixed_ips=left))


def _require_no_segment(asked: Row) -> None:
    segment = asked.get("segment_id")
    if segment is not None:
        raise MissingError("SegmentNotFound", f"Segment {segment} could not be found.")


def _laid_out(change: Change, project: str, network: Network, asked: Row) -> Row:
    """The fields of the record, with the prefix, the gateway and the pools that nobody said. Raises BadRequestError,
    InUseError."""
    cidr, bits = asked.pop("cidr"), asked.pop("prefixlen")
    named, by_default = asked.pop("subnetpool_id"), asked.pop("use_default_subnetpool")
    if cidr is not None and bits is not None:
        raise bad_subnet("cidr and prefixlen must not be supplied together")
    if by_default and named is not None:
        raise bad_subnet("subnetpool_id and use_default_subnetpool cannot both be specified")
    version = asked["ip_version"]
    if cidr is not None and ipaddress.ip_network(cidr).version != version:
        raise invalid(f"cidr '{cidr}' does not match the ip_version '{version}'")
    pool = default_pool(change, version) if by_default else seen_pool(change, named) if named is not None else None
    if pool is None and cidr is None:
        raise bad_subnet("a subnetpool must be specified in the absence of a cidr")
    if pool is not None:
        if pool.ip_version != version:
            raise bad_subnet(f"Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool")
        if cidr is None and "allocation_pools" in asked:
            raise bad_subnet("allocation_pools allowed only for specific subnet requests")
        cidr = cut(change.records, project, pool, cidr, bits)
    require_affinity(change.records, network, version, pool)
    gateway = asked.pop("gateway_ip") if "gateway_ip" in asked else default_gateway(cidr)
    given = asked.pop("allocation_pools") if "allocation_pools" in asked else default_pools(cidr, gateway)
    return {
        **asked,
        "cidr": cidr,
        "gateway_ip": gateway,
        "pools": given,
        "subnetpool_id": pool.id if pool is not None else None,
    }
