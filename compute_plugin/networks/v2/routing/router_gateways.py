"""Where routers lead outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import ROUTER_GATEWAY, Port
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.v2.addressing.address_readers import fixed_ips
from compute_plugin.networks.v2.frame.attributes import wrong
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.readers import WrongValueError, flag, or_none, table, uuid
from compute_plugin.networks.v2.frame.sights import bad
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.network_access import seen_network
from compute_plugin.networks.v2.ports.port_making import Wish, make_port, remove_port, set_addresses
from compute_plugin.networks.v2.qos.qos_use import require_qos_change
from compute_plugin.networks.v2.routing.router_routes import require_routes
from compute_plugin.networks.v2.routing.router_subnets import interfaces, require_apart, subnets_of
from gateway.rest.errors import ForbiddenError

_ONE: Final = table(
    {"network_id": uuid, "enable_snat": flag, "external_fixed_ips": fixed_ips, "qos_policy_id": or_none(uuid)},
    ("network_id",),
)


def gateway(value: Any) -> Row | None:
    """What a client says of a gateway; null and {} are none."""
    if value is None or value == {}:
        return None
    found: Row = _ONE(value)
    return found


def shown_gateway(view: View, router: Router) -> Row | None:
    """`external_gateway_info`."""
    if router.gateway_network_id is None or router.gateway_port_id is None:
        return None
    port = view.records.ports.get(router.gateway_port_id)
    row: Row = {
        "network_id": router.gateway_network_id,
        "external_fixed_ips": [
            {"subnet_id": one.subnet_id, "ip_address": one.address} for one in (port.fixed_ips if port else ())
        ],
        "enable_snat": router.enable_snat,
    }
    if router.qos_policy_id is not None:
        row["qos_policy_id"] = router.qos_policy_id
    return row


def allow_gateway(change: Change, line: str, target: Row, said: Row | None) -> None:
    """What it says one by one: which address and whether there is SNAT is for administrators. Raises ForbiddenError."""
    for name in said or {}:
        part = f"{line}:{name}"
        if part in change.policy.operations and not change.may(part, target):
            raise ForbiddenError(part)


def with_gateway(change: Change, router: Router, said: Row | None) -> Router:
    """The router as it is to be, which has not been put; its port has. Raises what the client is to be told."""
    after = without_gateway(change, router) if said is None else _led(change, router, said)
    require_routes(change, after)
    return after


def _led(change: Change, router: Router, said: Row) -> Router:
    network = _require_external(change, said["network_id"])
    wishes: Sequence[Wish] = said.get("external_fixed_ips", ())
    _require_not_its_gateway(change, network, wishes)
    if router.gateway_network_id != network.id:
        router = _moved(change, without_gateway(change, router), network, wishes)
    elif wishes:
        port = change.records.ports.require(router.gateway_port_id or "")
        set_addresses(change, port, wishes)
    policy = said.get("qos_policy_id", router.qos_policy_id)
    require_qos_change(change, router.qos_policy_id, policy)
    return replace(router, enable_snat=said.get("enable_snat", True), qos_policy_id=policy)


def without_gateway(change: Change, router: Router) -> Router:
    """Raises InUseError as long as floating addresses need it."""
    if router.gateway_network_id is None:
        return router
    if change.records.floating_ips.has("router", router.id):
        raise InUseError(
            "RouterExternalGatewayInUseByFloatingIp",
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{router.gateway_network_id} is required by one or more floating IPs.",
        )
    port = change.records.ports.get(router.gateway_port_id or "")
    if port is not None:
        remove_port(change, port)
    return replace(router, gateway_network_id=None, gateway_port_id=None, enable_snat=True, qos_policy_id=None)


def _moved(change: Change, router: Router, network: Network, wishes: Sequence[Wish]) -> Router:
    inside = subnets_of(change.records, interfaces(change.records, router.id))
    require_apart(change.records.subnets.by("network", network.id), inside)
    port: Port = make_port(change, network, "", owner=ROUTER_GATEWAY, device=router.id, wishes=wishes or None)
    return replace(router, gateway_network_id=network.id, gateway_port_id=port.id)


def _require_external(change: Change, id_: str) -> Network:
    network = seen_network(change, id_)
    if not network.external:
        raise bad("router", f"Network {network.id} is not an external network")
    return network


def _require_not_its_gateway(change: Change, network: Network, wishes: Sequence[Wish]) -> None:
    taken = {one.gateway_ip for one in change.records.subnets.by("network", network.id)} - {None}
    for wish in wishes:
        if wish.address in taken:
            raise bad("router", f"External IP {wish.address} is the same as the gateway IP")


# -- the same as a list: a router has one gateway ------------------------------------------------------------------


def add_external_gateways(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """PUT .../add_external_gateways."""
    said = _list(body)
    if said and router.gateway_network_id is not None:
        raise _only_one(router)
    return _changed(kind, change, router, said, "add_external_gateways") if said else _row(kind, change, router)


def update_external_gateways(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """PUT .../update_external_gateways; [] takes the gateway away."""
    return _changed(kind, change, router, _list(body), "update_external_gateways")


def remove_external_gateways(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """PUT .../remove_external_gateways. {} in the place of a list is what openstackclient says for all."""
    if isinstance(body.get("router"), dict) and body["router"].get("external_gateways") == {}:
        return _changed(kind, change, router, [], "remove_external_gateways")
    said = _list(body)
    for one in said:
        if one["network_id"] != router.gateway_network_id or not _has(change, router, one):
            raise InUseError(
                "UnableToMatchGateways",
                f"Unable to match a requested gateway port to existing gateway ports for router {router.id}",
            )
    return _changed(kind, change, router, [], "remove_external_gateways") if said else _row(kind, change, router)


def _has(change: Change, router: Router, said: Row) -> bool:
    port = change.records.ports.require(router.gateway_port_id or "")
    asked = {one.address for one in said.get("external_fixed_ips", ())} - {None}
    return not asked or any(fixed.address in asked for fixed in port.fixed_ips)


def _list(body: Row) -> list[Row]:
    router = body.get("router")
    found = router.get("external_gateways", []) if isinstance(router, dict) else None
    if not isinstance(found, list):
        raise BadRequestError("HTTPBadRequest", "external_gateways has to be a list")
    try:
        return [_ONE(one) for one in found]
    except WrongValueError as error:
        raise wrong("external_gateways", str(error)) from error


def _changed(kind: Collection[Any], change: Change, router: Router, said: list[Row], action: str) -> Row:
    if len(said) > 1:
        raise _only_one(router)
    target = kind.target(change, router)
    change.allow(f"{action}:external_gateways", target)
    for one in said:
        allow_gateway(change, f"{action}:external_gateways", target, one)
    after = with_gateway(change, router, said[0] if said else None)
    return _row(kind, change, change.put(change.records.routers, after))


def _row(kind: Collection[Any], change: Change, router: Router) -> Row:
    return {"router": kind.show(change, router)}


def _only_one(router: Router) -> InUseError:
    return InUseError(
        "UnableToAddExtraGateways",
        f"Unable to add extra gateways to a router {router.id}: a router has one gateway here",
    )
