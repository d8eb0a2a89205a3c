"""What a floating address stands for: a port's address, and the router that leads there."""

from __future__ import annotations

from typing import NamedTuple

from compute_plugin.networks.errors import InUseError, MissingError
from compute_plugin.networks.records.port import DHCP, ROUTER_INTERFACE, FixedIp, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import FloatingIp
from compute_plugin.networks.v2.frame.sights import bad, seen
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.ports import Ports


class Place(NamedTuple):
    """Where packets to a floating address go."""

    port_id: str | None
    fixed_ip: str | None
    router_id: str | None


NOWHERE = Place(None, None, None)


def place_for(change: Change, floating: FloatingIp, port_id: str, address: str | None) -> Place:
    """Raises what the client is to be told."""
    port = own_port(change, floating, port_id)
    fixed = _address_of(port, address)
    router_id = leading_router(change.records, port, fixed, floating.network_id)
    if router_id is None:
        raise MissingError(
            "ExternalGatewayForFloatingIPNotFound",
            f"External network {floating.network_id} is not reachable from subnet {fixed.subnet_id}. Therefore, cannot "
            f"associate Port {port.id} with a Floating IP.",
        )
    _require_alone(change, floating, port, fixed)
    return Place(port.id, fixed.address, router_id)


def leading_router(records: Records, port: Port, fixed: FixedIp, outside: str) -> str | None:
    """The router that leads from an address to an external network: the one that the subnet knows as its gateway, if it
    is one of several."""
    subnet = records.subnets.require(fixed.subnet_id)
    usual = records.ports.by("address", FixedIp(subnet.id, subnet.gateway_ip)) if subnet.gateway_ip else []
    for one in (*usual, *records.ports.by("subnet", subnet.id)):
        if one.device_owner == ROUTER_INTERFACE and one.network_id == port.network_id:
            router = records.routers.get(one.device_id)
            if router is not None and router.gateway_network_id == outside:
                return router.id
    return None


def own_port(change: Change, floating: FloatingIp, port_id: str) -> Port:
    port = seen(Ports(), change, port_id)
    if port.project_id != floating.project_id and not change.is_admin:
        raise bad(
            "floatingip",
            f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different "
            "project",
        )
    if port.device_owner == DHCP:
        raise bad("floatingip", f"Port {port_id} is unable to be assigned a floating IP")
    return port


def _address_of(port: Port, address: str | None) -> FixedIp:
    held = [one for one in port.fixed_ips if ":" not in one.address]
    if address is None:
        if not held:
            raise bad("floatingip", f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
        if len(held) > 1:
            raise bad(
                "floatingip",
                f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when "
                "assigning a floating IP",
            )
        return held[0]
    if ":" in address:
        raise bad(
            "floatingip",
            f"Cannot process floating IP association with {address}, since that is not an IPv4 address",
        )
    for one in held:
        if one.address == address:
            return one
    raise bad("floatingip", f"Port {port.id} does not have fixed ip {address}")


def _require_alone(change: Change, floating: FloatingIp, port: Port, fixed: FixedIp) -> None:
    for other in change.records.floating_ips.by("port", port.id):
        same = (other.fixed_ip, other.network_id) == (fixed.address, floating.network_id)
        if other.id != floating.id and same:
            raise already_associated(floating, port.id, fixed.address)


def already_associated(floating: FloatingIp, port_id: str, fixed_ip: str) -> InUseError:
    return InUseError(
        "FloatingIPPortAlreadyAssociated",
        f"Cannot associate floating IP {floating.address} ({floating.id}) with port {port_id} using fixed IP "
        f"{fixed_ip}, as that fixed IP already has a floating IP on external network {floating.network_id}.",
    )
