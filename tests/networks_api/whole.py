"""What holds of all records together, whatever was asked: nothing points at what is not there, and nothing is anybody's
twice."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

from compute_plugin.networks.records.port import FixedIp
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.security.stock_rules import PARENT
from compute_plugin.networks.v2.sharing.rbac_objects import TYPES


def require_whole(records: Records) -> None:
    """Raises AssertionError where something does not hold."""
    for table, field, others in _references(records):
        for one in table:
            for id_ in _ids(getattr(one, field)):
                assert others.get(id_) is not None, f"{table.kind.name} {one.id}: no {field} {id_}"
    _require_addresses(records)
    _require_floating(records)
    _require_routers(records)
    _require_sharing(records)
    _once("tag", (sub.port_id for trunk in records.trunks for sub in trunk.sub_ports))
    _once("parent", (one.port_id for one in records.trunks))
    _once("default group", (one.project_id for one in records.security_groups if one.is_default))
    _once("segment", ((one.network_type, one.physical_network, one.segmentation_id) for one in records.networks))


def _references(records: Records) -> Iterable[tuple[Table[Any], str, Table[Any]]]:
    limited: tuple[Table[Any], ...] = (records.networks, records.ports, records.routers, records.floating_ips)
    for table in limited:
        yield table, "qos_policy_id", records.qos_policies
    placed: tuple[Table[Any], ...] = (records.subnets, records.ports, records.floating_ips)
    for table in placed:
        yield table, "network_id", records.networks
    yield records.segment_notes, "id", records.networks
    yield records.subnets, "subnetpool_id", records.subnetpools
    yield records.subnetpools, "address_scope_id", records.address_scopes
    yield records.ports, "security_group_ids", records.security_groups
    yield records.rules, "security_group_id", records.security_groups
    yield records.rules, "remote_group_id", records.security_groups
    yield records.rules, "remote_address_group_id", records.address_groups
    yield records.default_rules, "remote_address_group_id", records.address_groups
    yield records.default_rules, "remote_group_id", records.security_groups
    yield records.routers, "gateway_network_id", records.networks
    yield records.routers, "gateway_port_id", records.ports
    yield records.routers, "flavor_id", records.flavors
    yield records.floating_ips, "floating_port_id", records.ports
    yield records.floating_ips, "port_id", records.ports
    yield records.floating_ips, "router_id", records.routers
    yield records.port_forwardings, "floating_ip_id", records.floating_ips
    yield records.port_forwardings, "internal_port_id", records.ports
    yield records.conntrack_helpers, "router_id", records.routers
    yield records.qos_rules, "policy_id", records.qos_policies
    yield records.trunks, "port_id", records.ports
    yield records.flavors, "profile_ids", records.service_profiles


def _ids(value: Any) -> Iterable[str]:
    if value is None or value == PARENT:
        return ()
    return (value,) if isinstance(value, str) else value


def _once(what: str, values: Iterable[Hashable]) -> None:
    for value, count in Counter(values).items():
        assert count == 1, f"{what} {value}: {count} times"


def _require_addresses(records: Records) -> None:
    _once("address", (fixed for port in records.ports for fixed in port.fixed_ips))
    _once("mac", ((port.network_id, port.mac) for port in records.ports))
    for port in records.ports:
        for fixed in port.fixed_ips:
            subnet = records.subnets.require(fixed.subnet_id)
            assert subnet.network_id == port.network_id, port
            assert ipaddress.ip_address(fixed.address) in ipaddress.ip_network(subnet.cidr), port
            assert port in records.ports.by("address", FixedIp(*fixed))
    for network in records.networks:
        held = [ipaddress.ip_network(one.cidr) for one in records.subnets.by("network", network.id)]
        for at, one in enumerate(held):
            assert not any(one.version == other.version and one.overlaps(other) for other in held[:at]), network


def _require_floating(records: Records) -> None:
    for one in records.floating_ips:
        outer = records.ports.require(one.floating_port_id)
        assert one.address in {fixed.address for fixed in outer.fixed_ips}, one
        forwardings = records.port_forwardings.by("floating_ip", one.id)
        assert (one.router_id is None) == (one.port_id is None and not forwardings), one
        assert one.port_id is None or not forwardings, one
        if one.router_id is not None:
            assert records.routers.require(one.router_id).gateway_network_id == one.network_id, one
        pairs = [(one.port_id, one.fixed_ip)] if one.port_id is not None else []
        for port_id, address in (*pairs, *((each.internal_port_id, each.internal_ip) for each in forwardings)):
            port = records.ports.require(port_id or "")
            assert address in {fixed.address for fixed in port.fixed_ips}, one


def _require_routers(records: Records) -> None:
    for router in records.routers:
        assert (router.gateway_network_id is None) == (router.gateway_port_id is None), router
        if router.gateway_port_id is not None:
            port = records.ports.require(router.gateway_port_id)
            assert port.network_id == router.gateway_network_id, router


def _require_sharing(records: Records) -> None:
    for policy in records.rbac_policies:
        assert TYPES[policy.object_type].kind.table(records).get(policy.object_id) is not None, policy
