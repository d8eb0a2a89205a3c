"""Ports of routers inside: PUT .../add_router_interface and .../remove_router_interface."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from compute_plugin.networks.errors import BadRequestError, InUseError, MissingError
from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import ROUTER_INTERFACE, Port
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.records.sharing import AS_SHARED
from compute_plugin.networks.v2.addressing.subnets import Subnets
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.readers import WrongValueError, uuid
from compute_plugin.networks.v2.frame.sights import bad, seen, touch
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.port_making import Wish, make_port, remove_port, set_addresses
from compute_plugin.networks.v2.ports.ports import Ports
from compute_plugin.networks.v2.routing.router_subnets import (
    IPV6,
    interfaces,
    reached,
    require_apart,
    require_told_by_us,
)


def add_router_interface(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """By subnet, where it has the address of the gateway, or by port, with whatever addresses that has."""
    port_id, subnet_id = _named(body)
    if port_id is not None and subnet_id is not None:
        raise bad("router", "Cannot specify both subnet-id and port-id")
    if port_id is not None:
        port, subnets = _plugged(change, router, port_id)
    else:
        subnet = seen(Subnets(), change, subnet_id or "")
        port, subnets = _on_subnet(change, router, subnet), [subnet]
    touch(change, change.records.routers, router.id)
    return _row(router, port, subnets)


def remove_router_interface(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """The port goes, whoever made it; where it is on other subnets as well it stays for them."""
    port_id, subnet_id = _named(body)
    records = change.records
    if port_id is not None:
        port = records.ports.get(port_id)
        if port is None or (port.device_id, port.device_owner) != (router.id, ROUTER_INTERFACE):
            raise MissingError(
                "RouterInterfaceNotFound", f"Router {router.id} does not have an interface with id {port_id}"
            )
        on = [fixed.subnet_id for fixed in port.fixed_ips]
        if subnet_id is not None and subnet_id not in on:
            raise BadRequestError(
                "SubnetMismatchForPort", f"Subnet on port {port_id} does not match the requested subnet {subnet_id}."
            )
        gone = [records.subnets.require(one) for one in dict.fromkeys(on)]
    else:
        gone = [seen(Subnets(), change, subnet_id or "")]
        port = _interface_on(change, router, gone[0])
    for subnet in gone:
        _require_unneeded(change, router, subnet)
    kept = [fixed for fixed in port.fixed_ips if fixed.subnet_id not in {one.id for one in gone}]
    if kept:
        set_addresses(change, port, [Wish(one.subnet_id, one.address) for one in kept])
    else:
        remove_port(change, port)
    touch(change, records.routers, router.id)
    return _row(router, port, gone)


def _named(body: Row) -> tuple[str | None, str | None]:
    """The port and the subnet."""
    if "port_id" not in body and "subnet_id" not in body:
        raise bad("router", "Either subnet_id or port_id must be specified")
    try:
        port_id, subnet_id = (uuid(body[one]) if one in body else None for one in ("port_id", "subnet_id"))
    except WrongValueError as error:
        raise bad("router", str(error)) from error
    return port_id, subnet_id


def _row(router: Router, port: Port, subnets: Sequence[Subnet]) -> Row:
    return {
        "id": router.id,
        "project_id": port.project_id,
        "tenant_id": port.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": subnets[-1].id,
        "subnet_ids": [one.id for one in subnets],
    }


# -- by subnet -----------------------------------------------------------------------------------------------------


def _on_subnet(change: Change, router: Router, subnet: Subnet) -> Port:
    if subnet.gateway_ip is None:
        raise bad("router", "Subnet for router interface must have a gateway IP")
    if subnet.project_id != change.project and not change.is_admin and not _is_lent(change, subnet):
        raise bad(
            "router",
            f"Cannot add interface to router because subnet {subnet.id} is not owned by project making the request",
        )
    require_told_by_us([subnet])
    require_apart([subnet], reached(change.records, router))
    wish = Wish(subnet.id, subnet.gateway_ip)
    if subnet.ip_version == IPV6:
        for port in interfaces(change.records, router.id):
            if port.network_id == subnet.network_id and _has_ipv6(port):
                held = [Wish(one.subnet_id, one.address) for one in port.fixed_ips]
                return set_addresses(change, port, [*held, wish])
    network = change.records.networks.require(subnet.network_id)
    return make_port(change, network, router.project_id, owner=ROUTER_INTERFACE, device=router.id, wishes=[wish])


def _is_lent(change: Change, subnet: Subnet) -> bool:
    """Whether the network is shared with the caller's project in particular: what is shared with everybody is nobody's
    to lead elsewhere."""
    return any(
        one.action == AS_SHARED and one.target_project == change.project
        for one in change.records.rbac_policies.by("object", subnet.network_id)
    )


def _has_ipv6(port: Port) -> bool:
    return any(":" in one.address for one in port.fixed_ips)


# -- by port -------------------------------------------------------------------------------------------------------


def _plugged(change: Change, router: Router, port_id: str) -> tuple[Port, list[Subnet]]:
    records = change.records
    port = seen(Ports(), change, port_id)
    if port.project_id != change.project and not change.is_admin:
        raise records.ports.missing(port_id)
    if port.device_id:
        raise InUseError(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
        )
    if records.trunks.has("port", port.id) or records.trunks.has("sub_port", port.id):
        raise InUseError("PortInUse", f"Unable to complete operation on port {port.id}: it is part of a trunk.")
    subnets = [records.subnets.require(one.subnet_id) for one in port.fixed_ips]
    if not subnets:
        raise bad("router", "Router port must have at least one fixed IP")
    require_told_by_us(subnets)
    if _has_ipv6(port):
        for other in interfaces(records, router.id):
            if other.network_id == port.network_id and _has_ipv6(other):
                raise bad(
                    "router",
                    f"Router already contains IPv6 port {other.id} belonging to network id {other.network_id}. Only "
                    "one IPv6 port from the same network subnet can be connected to a router",
                )
    require_apart(subnets, reached(records, router))
    if sum(1 for one in subnets if one.ip_version != IPV6) > 1:
        raise bad("router", "Cannot have multiple IPv4 subnets on router port")
    _require_pool_or_own(change, port)
    after = replace(port, device_id=router.id, device_owner=ROUTER_INTERFACE)
    return change.put(records.ports, after), subnets


def _require_pool_or_own(change: Change, port: Port) -> None:
    """Whose subnet it is not has addresses that are given out there, and no others."""
    if change.is_admin:
        return
    for fixed in port.fixed_ips:
        subnet = change.records.subnets.require(fixed.subnet_id)
        at = ipaddress.ip_address(fixed.address)
        inside = any(
            int(ipaddress.ip_address(pool.start)) <= int(at) <= int(ipaddress.ip_address(pool.end))
            for pool in subnet.pools
        )
        if not inside and subnet.project_id != change.project:
            raise bad(
                "router",
                f"Cannot add interface to router because specified port {port.id} has an IP address out of the "
                f"allocation pool of subnet {subnet.id}, which is not owned by the project making the request",
            )


# -- removing ------------------------------------------------------------------------------------------------------


def _interface_on(change: Change, router: Router, subnet: Subnet) -> Port:
    for port in interfaces(change.records, router.id):
        if any(one.subnet_id == subnet.id for one in port.fixed_ips):
            return port
    raise MissingError("RouterInterfaceNotFoundForSubnet", f"Router {router.id} has no interface on subnet {subnet.id}")


def _require_unneeded(change: Change, router: Router, subnet: Subnet) -> None:
    """That neither floating addresses nor routes go through it. Raises InUseError."""
    records = change.records
    inside = ipaddress.ip_network(subnet.cidr)
    for floating in records.floating_ips.by("router", router.id):
        pairs = [(floating.port_id, floating.fixed_ip)]
        forwardings = records.port_forwardings.by("floating_ip", floating.id)
        pairs += [(one.internal_port_id, one.internal_ip) for one in forwardings]
        for port_id, address in pairs:
            port = records.ports.get(port_id or "")
            if port is not None and any((one.subnet_id, one.address) == (subnet.id, address) for one in port.fixed_ips):
                raise InUseError(
                    "RouterInterfaceInUseByFloatingIP",
                    f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is "
                    "required by one or more floating IPs.",
                )
    if any(ipaddress.ip_address(one.nexthop) in inside for one in router.routes):
        raise InUseError(
            "RouterInterfaceInUseByRoute",
            f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required by "
            "one or more routes.",
        )
