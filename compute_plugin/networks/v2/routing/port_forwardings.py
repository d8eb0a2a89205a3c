"""Port forwardings: some ports of a floating address, for a server's."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.port import FixedIp, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import FloatingIp, PortForwarding
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.below import Below
from compute_plugin.networks.v2.frame.collection import Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import address, one_of, uuid
from compute_plugin.networks.v2.frame.sights import bad
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.routing.floating_ips import FloatingIps
from compute_plugin.networks.v2.routing.floating_places import already_associated, leading_router, own_port
from compute_plugin.networks.v2.routing.floating_releases import drop_forwardings
from compute_plugin.networks.v2.routing.forwarded_ports import (
    RESOURCE,
    Range,
    port,
    port_range,
    require_fit,
    said_range,
    shown_range,
)

PROTOCOLS: Final = ("tcp", "udp", "sctp", "dccp")
"""Those that have ports."""


class PortForwardings(Below[PortForwarding]):
    """`/floatingips/<id>/port_forwardings`."""

    singular = "port_forwarding"
    ruled_as = "floatingip_port_forwarding"
    plural = "port_forwardings"
    path = "/floatingips/{parent_id}/port_forwardings"
    above = FloatingIps()
    above_index = "floating_ip"
    attributes = (
        *DESCRIBED,
        *OWNED,
        Attribute("protocol", lambda value: one_of(PROTOCOLS)(value.lower() if isinstance(value, str) else value),
                  default=REQUIRED),
        Attribute("external_port", port, default=None),
        Attribute("external_port_range", port_range, default=None),
        Attribute("internal_port", port, default=None),
        Attribute("internal_port_range", port_range, default=None),
        Attribute("internal_port_id", uuid, default=REQUIRED),
        Attribute("internal_ip_address", address),
        *shown("id"),
    )  # fmt: skip
    narrowing: ClassVar = {}

    def table(self, records: Records) -> Table[PortForwarding]:
        return records.port_forwardings

    def above_id(self, record: PortForwarding) -> str:
        return record.floating_ip_id

    def show(self, view: View, record: PortForwarding) -> Row:
        return {
            "id": record.id,
            "description": record.description,
            "protocol": record.protocol,
            **shown_range("external", _outer(record)),
            **shown_range("internal", _inner(record)),
            "internal_port_id": record.internal_port_id,
            "internal_ip_address": record.internal_ip,
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> PortForwarding:
        floating = change.records.floating_ips.require(change.parent_id)
        outer, inner = said_range(asked, "external"), said_range(asked, "internal")
        if outer is None or inner is None:
            raise bad(RESOURCE, "The external and the internal port have to be said")
        if floating.port_id is not None:
            raise already_associated(floating, asked["internal_port_id"], str(floating.fixed_ip))
        server = own_port(change, floating, asked["internal_port_id"])
        forwarding = PortForwarding(
            **fresh_fields(change, floating.project_id, asked),
            floating_ip_id=floating.id,
            protocol=asked["protocol"],
            internal_port_id=server.id,
            internal_ip=_address_of(server, asked.get("internal_ip_address")).address,
            external_port=outer.first,
            external_port_end=outer.last,
            internal_port=inner.first,
            internal_port_end=inner.last,
        )
        return _placed(change, floating, forwarding, server)

    def update(self, change: Change, record: PortForwarding, asked: Row) -> PortForwarding:
        floating = change.records.floating_ips.require(record.floating_ip_id)
        server = own_port(change, floating, asked.get("internal_port_id", record.internal_port_id))
        said = asked.get("internal_ip_address", record.internal_ip if server.id == record.internal_port_id else None)
        outer = said_range(asked, "external") or _outer(record)
        inner = said_range(asked, "internal") or _inner(record)
        after = replace(
            record,
            description=asked.get("description", record.description),
            protocol=asked.get("protocol", record.protocol),
            internal_port_id=server.id,
            internal_ip=_address_of(server, said).address,
            external_port=outer.first,
            external_port_end=outer.last,
            internal_port=inner.first,
            internal_port_end=inner.last,
        )
        return _placed(change, floating, after, server)

    def delete(self, change: Change, record: PortForwarding) -> None:
        drop_forwardings(change, [record])


def _outer(record: PortForwarding) -> Range:
    return Range(record.external_port, record.external_port_end)


def _inner(record: PortForwarding) -> Range:
    return Range(record.internal_port, record.internal_port_end)


def _placed(change: Change, floating: FloatingIp, forwarding: PortForwarding, server: Port) -> PortForwarding:
    """With the router that leads there, which is the floating address's from then on."""
    records = change.records
    require_fit(_outer(forwarding), _inner(forwarding))
    bound = records.floating_ips.by("port", server.id)
    if bound:
        raise InUseError(
            "PortHasBindingFloatingIP",
            f"Cannot create port forwarding to floating IP {bound[0].address} ({bound[0].id}) with port {server.id} "
            f"using fixed IP {forwarding.internal_ip}, as that port already has a binding floating IP.",
        )
    fixed = _address_of(server, forwarding.internal_ip)
    router_id = leading_router(records, server, fixed, floating.network_id)
    if router_id is None:
        raise bad(
            RESOURCE,
            f"External network {floating.network_id} is not reachable from subnet {fixed.subnet_id}. Cannot set Port "
            f"forwarding for port {server.id} with Floating IP {floating.id}",
        )
    others = [one for one in records.port_forwardings.by("floating_ip", floating.id) if one.id != forwarding.id]
    if floating.router_id is not None and floating.router_id != router_id and others:
        raise bad(
            RESOURCE,
            f"The Floating IP {floating.id} had been set on router {floating.router_id}, the internal Neutron port "
            f"{server.id} can not reach it",
        )
    _require_apart(change, forwarding, others)
    change.put(records.floating_ips, replace(floating, router_id=router_id))
    return change.put(records.port_forwardings, forwarding)


def _require_apart(change: Change, forwarding: PortForwarding, others: list[PortForwarding]) -> None:
    """That no port goes two ways, outside or inside."""
    for other in others:
        if other.protocol == forwarding.protocol and _outer(other).meets(_outer(forwarding)):
            raise _collides("external_port_range", _outer(other), _outer(forwarding))
    for other in change.records.port_forwardings.by("port", forwarding.internal_port_id):
        same = (other.protocol, other.internal_ip) == (forwarding.protocol, forwarding.internal_ip)
        if other.id != forwarding.id and same and _inner(other).meets(_inner(forwarding)):
            raise _collides("internal_port_range", _inner(other), _inner(forwarding))


def _collides(key: str, held: Range, asked: Range) -> Exception:
    return bad(RESOURCE, f"There is a port collision with the {key}. The following ranges collide: {held} and {asked}")


def _address_of(server: Port, said: str | None) -> FixedIp:
    held = [one for one in server.fixed_ips if ":" not in one.address]
    if not held:
        raise bad(RESOURCE, f"Requested internal port {server.id} must allocate an IPv4 address at least")
    found = held[0] if said is None else next((one for one in held if one.address == said), None)
    if found is None:
        raise bad(
            RESOURCE,
            f"Requested internal IP address {said} is not suitable for internal neutron port {server.id}, as its "
            f"fixed_ips are {[one.address for one in held]}",
        )
    return found
