"""Routers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import ConntrackHelper, Router
from compute_plugin.networks.records.store import ROOM
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.addressing.address_readers import host_routes
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, Attribute, invalid, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag, items, or_none, text
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.operating.zones import require_zones
from compute_plugin.networks.v2.routing.router_gateways import (
    add_external_gateways,
    allow_gateway,
    gateway,
    remove_external_gateways,
    shown_gateway,
    update_external_gateways,
    with_gateway,
    without_gateway,
)
from compute_plugin.networks.v2.routing.router_interfaces import add_router_interface, remove_router_interface
from compute_plugin.networks.v2.routing.router_routes import (
    add_extraroutes,
    remove_extraroutes,
    require_routes,
    shown_routes,
)
from compute_plugin.networks.v2.routing.router_subnets import interfaces


class Routers(Collection[Router]):
    """`/routers`. A router is on one host at a time, and on another one where that fails."""

    singular = "router"
    plural = "routers"
    path = "/routers"
    quota = "router"
    tagged = True
    narrowing: ClassVar = {"project_id": "project", "tenant_id": "project"}
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("admin_state_up", flag, default=True),
        Attribute("external_gateway_info", gateway, default=None),
        Attribute("routes", host_routes, create=False),
        Attribute("distributed", flag),
        Attribute("ha", flag),
        Attribute("availability_zone_hints", items(text()), update=False, default=()),
        Attribute("flavor_id", or_none(text(36)), update=False, default=None),
        *shown(
            "id", "status", "external_gateways", "availability_zones", "conntrack_helpers", "tags", "created_at",
            "updated_at", "revision_number",
        ),
    )  # fmt: skip
    actions: ClassVar = {
        "add_router_interface": add_router_interface,
        "remove_router_interface": remove_router_interface,
        "add_extraroutes": add_extraroutes,
        "remove_extraroutes": remove_extraroutes,
        "add_external_gateways": add_external_gateways,
        "update_external_gateways": update_external_gateways,
        "remove_external_gateways": remove_external_gateways,
    }

    def table(self, records: Records) -> Table[Router]:
        return records.routers

    # -- seeing --------------------------------------------------------------------------------------------------

    def show(self, view: View, record: Router) -> Row:
        outside = shown_gateway(view, record)
        return {
            **standard_row(record),
            "admin_state_up": record.admin_state_up,
            "status": "ACTIVE",
            "external_gateway_info": outside,
            "external_gateways": [outside] if outside is not None else [],
            "routes": shown_routes(record),
            "distributed": False,
            "ha": False,
            "availability_zone_hints": list(record.availability_zone_hints),
            "availability_zones": [view.settings.zone] if view.states.routers.get(record.id) is not None else [],
            "flavor_id": record.flavor_id,
            "conntrack_helpers": [shown_helper(one) for one in view.records.conntrack_helpers.by("router", record.id)],
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> Router:
        outside = asked.pop("external_gateway_info")
        target = self.create_target(change, project, asked)
        allow_gateway(change, "create_router:external_gateway_info", target, outside)
        _refuse_elsewhere(asked)
        require_zones(change, asked["availability_zone_hints"])
        if asked["flavor_id"] is not None:
            _require_flavor(change, asked["flavor_id"])
        router = Router(**fresh_fields(change, project, asked), **asked)
        return change.put(change.records.routers, with_gateway(change, router, outside))

    def update(self, change: Change, record: Router, asked: Row) -> Router:
        _refuse_elsewhere(asked)
        if "external_gateway_info" in asked:
            outside = asked.pop("external_gateway_info")
            line = "update_router:external_gateway_info"
            allow_gateway(change, line, self.target(change, record), outside)
            after = with_gateway(change, replace(record, **asked), outside)
        else:
            after = replace(record, **asked)
            require_routes(change, after)
        return change.put(change.records.routers, after)

    def thin_out(self, change: Change, record: Router) -> bool:
        helpers = change.records.conntrack_helpers.by("router", record.id)
        if len(helpers) <= ROOM:
            return False
        _require_unused(change.records, record)
        for helper in helpers[:ROOM]:
            change.records.conntrack_helpers.delete(helper.id)
        return True

    def delete(self, change: Change, record: Router) -> None:
        records = change.records
        _require_unused(records, record)
        without_gateway(change, record)
        for helper in records.conntrack_helpers.by("router", record.id):
            records.conntrack_helpers.delete(helper.id)
        records.routers.delete(record.id)


def _require_unused(records: Records, router: Router) -> None:
    """Raises InUseError."""
    inside = interfaces(records, router.id)
    if inside:
        named = ", ".join(one.id for one in inside[:20])
        raise InUseError("RouterInUse", f"Router {router.id} has ports still attached: {named}")


def shown_helper(helper: ConntrackHelper) -> Row:
    """With its router."""
    return {"protocol": helper.protocol, "port": helper.port, "helper": helper.helper}


def _refuse_elsewhere(asked: Row) -> None:
    for name in ("distributed", "ha"):
        if asked.pop(name, False):
            raise invalid(f"Provider single_node does not support {name}=True")


def _require_flavor(change: Change, id_: str) -> None:
    flavor = change.records.flavors.require(id_)
    if not flavor.enabled:
        raise InUseError("FlavorDisabled", "Flavor is not enabled.")
