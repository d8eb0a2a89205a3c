"""Networks, by their ids and names alone."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.proxies.askers import Askers, ask, called, proxied
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.inside import Asker

MISSING: Final = "Network not found"
FIELDS: Final = (
    "cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6",
)  # fmt: skip
ADMIN_FIELDS: Final = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip
"""What was said of networks once, and is null now."""

Row = dict[str, Any]


def networks(them: Askers) -> Asker:
    return them.networks


async def list_networks(call: Call) -> Response:
    admin = await call.is_admin()
    return answer({"networks": [_shown(one, admin=admin) for one in await _all(call)]})


async def show_network(call: Call) -> Response:
    return answer({"network": _shown(await _one(call), admin=await call.is_admin())})


async def list_tenant_networks(call: Call) -> Response:
    return answer({"networks": [_shown_to_tenants(one) for one in await _all(call)]})


async def show_tenant_network(call: Call) -> Response:
    return answer({"network": _shown_to_tenants(await _one(call))})


async def _all(call: Call) -> list[Row]:
    found: list[Row] = (await ask(call, networks, "GET", "/networks"))["networks"]
    return found


async def _one(call: Call) -> Row:
    with called(MISSING):
        found: Row = (await ask(call, networks, "GET", f"/networks/{call.path('network_id')}"))["network"]
    return found


def _shown(network: Row, *, admin: bool) -> Row:
    nulls = (*FIELDS, *ADMIN_FIELDS) if admin else FIELDS
    return {"id": network["id"], "label": network["name"], **dict.fromkeys(nulls)}


def _shown_to_tenants(network: Row) -> Row:
    return {"id": network["id"], "cidr": "None", "label": network["name"]}


ROUTES: Final[Routes[Call]] = {
    "/os-networks": {"GET": proxied("os_compute_api:os-networks:list", list_networks)},
    "/os-networks/{network_id}": {"GET": proxied("os_compute_api:os-networks:show", show_network)},
    "/os-tenant-networks": {"GET": proxied("os_compute_api:os-tenant-networks:list", list_tenant_networks)},
    "/os-tenant-networks/{network_id}": {"GET": proxied("os_compute_api:os-tenant-networks:show", show_tenant_network)},
}
