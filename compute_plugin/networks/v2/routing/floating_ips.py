"""Floating addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import FLOATING_IP, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import FloatingIp
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import address, or_none, uuid
from compute_plugin.networks.v2.frame.sights import bad
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.network_access import seen_network
from compute_plugin.networks.v2.ports.port_making import Wish, make_port
from compute_plugin.networks.v2.ports.port_readers import dns_domain, dns_name
from compute_plugin.networks.v2.ports.port_rows import port_row
from compute_plugin.networks.v2.qos.qos_use import require_qos_change
from compute_plugin.networks.v2.routing.floating_places import NOWHERE, place_for
from compute_plugin.networks.v2.routing.floating_releases import drop_floating

DETAILS = ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
"""What is shown of the port that one stands for."""


class FloatingIps(Collection[FloatingIp]):
    """`/floatingips`."""

    singular = "floatingip"
    plural = "floatingips"
    path = "/floatingips"
    quota = "floatingip"
    tagged = True
    narrowing: ClassVar = {
        "port_id": "port",
        "router_id": "router",
        "floating_network_id": "network",
        "project_id": "project",
        "tenant_id": "project",
    }
    attributes = (
        *DESCRIBED,
        *OWNED,
        Attribute("floating_network_id", uuid, update=False, default=REQUIRED),
        Attribute("floating_ip_address", or_none(address), update=False, default=None),
        Attribute("subnet_id", or_none(uuid), update=False, default=None),
        Attribute("port_id", or_none(uuid), default=None),
        Attribute("fixed_ip_address", or_none(address), default=None),
        Attribute("qos_policy_id", or_none(uuid), default=None),
        Attribute("dns_name", dns_name, update=False, default=""),
        Attribute("dns_domain", dns_domain, update=False, default=""),
        *shown(
            "id", "status", "router_id", "port_details", "port_forwardings", "qos_network_policy_id", "tags",
            "created_at", "updated_at", "revision_number",
        ),
    )  # fmt: skip

    def table(self, records: Records) -> Table[FloatingIp]:
        return records.floating_ips

    # -- seeing --------------------------------------------------------------------------------------------------

    def show(self, view: View, record: FloatingIp) -> Row:
        network = view.records.networks.get(record.network_id)
        forwardings = view.records.port_forwardings.by("floating_ip", record.id)
        return {
            **standard_row(record, named=False),
            "floating_network_id": record.network_id,
            "floating_ip_address": record.address,
            "port_id": record.port_id,
            "fixed_ip_address": record.fixed_ip,
            "router_id": record.router_id,
            "status": "ACTIVE" if view.states.routers.get(record.router_id or "") is not None else "DOWN",
            "port_details": _details(view, record),
            "port_forwardings": [
                {
                    "id": one.id,
                    "protocol": one.protocol,
                    "external_port": one.external_port,
                    "internal_port": one.internal_port,
                    "internal_port_id": one.internal_port_id,
                    "internal_ip_address": one.internal_ip,
                }
                for one in forwardings
            ],
            "qos_policy_id": record.qos_policy_id,
            "qos_network_policy_id": network.qos_policy_id if network is not None else None,
            "dns_name": record.dns_name,
            "dns_domain": record.dns_domain,
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> FloatingIp:
        network = _require_external(change, asked["floating_network_id"])
        require_qos_change(change, None, asked["qos_policy_id"])
        fields = fresh_fields(change, project, asked)
        port = _outside(change, network, fields["id"], asked)
        floating = FloatingIp(
            **fields,
            network_id=network.id,
            floating_port_id=port.id,
            address=next(one.address for one in port.fixed_ips if ":" not in one.address),
            qos_policy_id=asked["qos_policy_id"],
            dns_name=asked["dns_name"],
            dns_domain=asked["dns_domain"],
        )
        return change.put(change.records.floating_ips, _placed(change, floating, asked))

    def update(self, change: Change, record: FloatingIp, asked: Row) -> FloatingIp:
        held = {one: asked[one] for one in ("description", "qos_policy_id") if one in asked}
        after = replace(record, **held)
        require_qos_change(change, record.qos_policy_id, after.qos_policy_id)
        if "port_id" in asked or "fixed_ip_address" in asked:
            after = _placed(change, after, {"port_id": record.port_id, **asked})
        return change.put(change.records.floating_ips, after)

    def delete(self, change: Change, record: FloatingIp) -> None:
        _require_unforwarded(change, record)
        drop_floating(change, record)


def _details(view: View, floating: FloatingIp) -> Row | None:
    port = view.records.ports.get(floating.port_id or "")
    if port is None:
        return None
    row = port_row(view, port)
    return {name: row[name] for name in DETAILS}


def _require_external(change: Change, id_: str) -> Network:
    network = seen_network(change, id_)
    if not network.external:
        raise bad("floatingip", f"Network {id_} is not a valid external network")
    if all(one.ip_version != 4 for one in change.records.subnets.by("network", id_)):
        raise bad("floatingip", f"Network {id_} does not contain any IPv4 subnet")
    return network


def _outside(change: Change, network: Network, id_: str, asked: Row) -> Port:
    """The port with the address itself, which is nobody's."""
    wish = Wish(asked["subnet_id"], asked["floating_ip_address"])
    wishes = [wish] if wish != Wish(None, None) else None
    port = make_port(change, network, "", owner=FLOATING_IP, device=id_, wishes=wishes)
    if all(":" in one.address for one in port.fixed_ips):
        raise BadRequestError(
            "ExternalIpAddressExhausted", f"Unable to find any IP address on external network {network.id}."
        )
    return port


def _placed(change: Change, floating: FloatingIp, asked: Row) -> FloatingIp:
    """With what it is to stand for; for port forwardings it goes on standing."""
    port_id, fixed_ip = asked.get("port_id"), asked.get("fixed_ip_address")
    if port_id is None:
        if fixed_ip is not None:
            raise bad("floatingip", "fixed_ip_address cannot be specified without a port_id")
        if floating.port_id is None:
            return floating
        place = NOWHERE
    else:
        _require_unforwarded(change, floating)
        place = place_for(change, floating, port_id, fixed_ip)
    return replace(floating, port_id=place.port_id, fixed_ip=place.fixed_ip, router_id=place.router_id)


def _require_unforwarded(change: Change, floating: FloatingIp) -> None:
    if change.records.port_forwardings.has("floating_ip", floating.id):
        raise InUseError("FipInUseByPortForwarding", f"Floating IP {floating.id} in use by Port Forwarding resources.")
