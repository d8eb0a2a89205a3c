"""What a port cannot be as things are, with the errors that clients know."""

from __future__ import annotations

from collections.abc import Sequence

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.port import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE, Port
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.ports.port_addresses import Wish
from compute_plugin.networks.v2.ports.port_macs import require_free_mac
from compute_plugin.networks.v2.ports.port_rows import BINDING_FAILED, UNBOUND, vif_type
from gateway.rest.errors import ForbiddenError

NETWORK_OWNED = "network:"
"""How owners begin that are of what networks need themselves."""


def require_groups(view: View, ids: Sequence[str]) -> None:
    """That there are these security groups, and that the caller may use them together. Raises MissingError,
    InUseError."""
    groups = view.records.security_groups
    for id_ in ids:
        group = groups.require(id_)
        if not view.is_trusted and group.project_id != view.project and not view.is_open(id_):
            raise groups.missing(id_)
    if len({groups.require(id_).stateful for id_ in ids}) > 1:
        raise InUseError(
            "SecurityGroupConflict",
            "Error Cannot apply both stateful and stateless security groups on the same port at the same time while "
            "attempting the operation.",
        )


def require_secure(port: Port, groups_said: Sequence[str] | None) -> None:
    """That a port without port security has neither groups nor address pairs. `groups_said`: what the request names;
    None where it names none. Raises BadRequestError, InUseError."""
    if port.port_security_enabled:
        return
    if port.address_pairs:
        raise InUseError(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
    if groups_said:
        raise BadRequestError(
            "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled and port must have an IP address in order to use security groups.",
        )
    if port.security_group_ids:
        raise InUseError(
            "PortSecurityPortHasSecurityGroup",
            "Port has security group associated. Cannot disable port security or IP address until security group is "
            "removed.",
        )


def require_no_interface(change: Change, port: Port, before: Port | None = None) -> None:
    """That a port becomes a router's by that router only, which knows where it cannot be. Raises BadRequestError,
    InUseError."""
    router = change.records.routers.get(port.device_id) if port.device_owner == ROUTER_INTERFACE else None
    if router is None or (before is not None and serves(change, before)):
        return
    if router.project_id != port.project_id and not change.is_admin:
        raise InUseError(
            "DeviceIDNotOwnedByTenant",
            f"The following device_id {port.device_id} is not owned by your project or matches another project router.",
        )
    raise BadRequestError(
        "BadRequest", f"Bad ports request: interfaces of router {router.id} come by add_router_interface."
    )


def require_named_by_floating(change: Change, after: Port) -> None:
    """That floating addresses go on having something to stand for. Raises BadRequestError."""
    held = {one.address for one in after.fixed_ips}
    for floating in change.records.floating_ips.by("port", after.id):
        if floating.fixed_ip is not None and floating.fixed_ip not in held:
            raise BadRequestError(
                "BadRequest",
                f"Bad port request: Cannot update the fixed_ips of the port {after.id}, because its original fixed_ip "
                "has been associated to a floating ip.",
            )


def require_router_stays(change: Change, before: Port, after: Port) -> None:
    """A router's own addresses are changed by its interfaces. Raises BadRequestError."""
    if before.device_owner != ROUTER_INTERFACE or change.records.routers.get(before.device_id) is None:
        return
    if {one for one in before.fixed_ips if "." in one.address} != {
        one for one in after.fixed_ips if "." in one.address
    }:
        raise BadRequestError("BadRequest", f"Bad ports request: IP updates for port {before.id} are not allowed.")


def serves(change: Change, port: Port) -> bool:
    """Whether it is what a router or a floating address has itself."""
    records = change.records
    if port.device_owner == FLOATING_IP:
        floating = records.floating_ips.get(port.device_id)
        return floating is not None and floating.floating_port_id == port.id
    router = records.routers.get(port.device_id)
    if port.device_owner == ROUTER_GATEWAY:
        return router is not None and router.gateway_port_id == port.id
    return port.device_owner == ROUTER_INTERFACE and router is not None


def require_deletable(change: Change, port: Port) -> None:
    """Whose port is a router's or a floating address's takes it from there. Raises InUseError."""
    if serves(change, port):
        raise InUseError(
            "ServicePortInUse",
            f"Port {port.id} cannot be deleted directly via the port API: has device owner {port.device_owner}.",
        )


def require_still_serving(change: Change, record: Port, after: Port) -> None:
    """That what a router or a floating address has itself stays theirs. Raises InUseError."""
    if (record.device_id, record.device_owner) == (after.device_id, after.device_owner):
        is_moved = record.device_owner == FLOATING_IP and record.fixed_ips != after.fixed_ips
    else:
        is_moved = True
    if is_moved and serves(change, record):
        raise InUseError(
            "PortInUse",
            f"Unable to complete operation on port {record.id} for network {record.network_id}. Port already has an "
            f"attached device {record.device_id}.",
        )


def allow_parts(change: Change, operation: str, target: Row, asked: Row) -> None:
    """Of lists, what their entries name: who may have an address of a subnet may not choose which. Raises
    ForbiddenError."""
    wishes: tuple[Wish, ...] = asked.get("fixed_ips", ())
    pairs: tuple[tuple[str, str | None], ...] = asked.get("allowed_address_pairs", ())
    parts = {
        "fixed_ips:ip_address": any(one.address is not None for one in wishes),
        "fixed_ips:subnet_id": any(one.subnet_id is not None for one in wishes),
        "allowed_address_pairs:ip_address": bool(pairs),
        "allowed_address_pairs:mac_address": any(own is not None for _, own in pairs),
    }
    for part, is_named in parts.items():
        if is_named and not change.may(f"{operation}:{part}", target):
            raise ForbiddenError(f"{operation}:{part}")


def require_unplugged(change: Change, record: Port, after: Port) -> None:
    """Raises InUseError where what a server is plugged in by would change below it."""
    plugged = vif_type(change, record)
    if record.mac != after.mac:
        if after.device_owner.startswith(NETWORK_OWNED):
            raise InUseError(
                "UnsupportedPortDeviceOwner",
                f"Operation mac address update is not supported for device_owner {after.device_owner} on port "
                f"{record.id}.",
            )
        require_free_mac(change.records, record.network_id, after.mac)
    if plugged not in (UNBOUND, BINDING_FAILED) and (record.mac, record.vnic_type) != (after.mac, after.vnic_type):
        raise InUseError(
            "PortBound",
            f"Unable to complete operation on port {record.id}, port is already bound, port type: {plugged}, old_mac "
            f"{record.mac}, new_mac {after.mac}.",
        )
