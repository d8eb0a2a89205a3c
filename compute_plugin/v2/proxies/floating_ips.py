"""Floating addresses, and the networks that they are taken from."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import text
from compute_plugin.v2.proxies.askers import ask, called, proxied
from compute_plugin.v2.proxies.networks import networks
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.errors import OverLimitError
from gateway.rest.fields import parse
from store.core.errors import ConflictError, NotFoundError

POLICY: Final = "os_compute_api:os-floating-ips:"

Row = dict[str, Any]


async def list_addresses(call: Call) -> Response:
    query = {"project_id": await call.project()}
    found = (await ask(call, networks, "GET", "/floatingips", query=query))["floatingips"]
    return answer({"floating_ips": [await _shown(call, one) for one in found]})


async def show_address(call: Call) -> Response:
    with called(f"Floating IP not found for ID {call.path('id')[:255]}"):
        found = (await ask(call, networks, "GET", f"/floatingips/{call.path('id')}"))["floatingip"]
    return answer({"floating_ip": await _shown(call, found)})


async def create_address(call: Call) -> Response:
    """Of the pool that is named, or of any."""
    raw = await call.raw_body()
    fields = parse(raw) if raw.strip() not in (b"", b"null") else None
    pool = text(fields, "pool") if fields is not None and fields.value("pool") is not None else None
    found = [one for one in await _pools(call) if pool in (None, one["id"], one["name"])]
    if not found:
        raise NotFoundError("Floating IP pool not found.")
    body = {"floatingip": {"floating_network_id": found[0]["id"]}}
    try:
        made = (await ask(call, networks, "POST", "/floatingips", body))["floatingip"]
    except OverLimitError as error:
        raise OverLimitError(f"IP allocation over quota in pool {found[0]['name']}.") from error
    except ConflictError as error:
        raise NotFoundError(f"No more floating IPs in pool {found[0]['name']}.") from error
    return answer({"floating_ip": await _shown(call, made)})


async def delete_address(call: Call) -> Response:
    with called(f"Floating IP not found for ID {call.path('id')[:255]}"):
        await ask(call, networks, "DELETE", f"/floatingips/{call.path('id')}")
    return accepted()


async def list_pools(call: Call) -> Response:
    return answer({"floating_ip_pools": [{"name": one["name"] or one["id"]} for one in await _pools(call)]})


async def _pools(call: Call) -> list[Row]:
    found: list[Row] = (await ask(call, networks, "GET", "/networks", query={"router:external": "True"}))["networks"]
    return found


async def _shown(call: Call, address: Row) -> Row:
    server = None
    if address["port_id"]:
        port = (await ask(call, networks, "GET", f"/ports/{address['port_id']}"))["port"]
        server = port["device_id"] or None
    id_ = address["floating_network_id"]
    name = next((one["name"] for one in await _pools(call) if one["id"] == id_), "")
    return {
        "id": address["id"],
        "ip": address["floating_ip_address"],
        "fixed_ip": address["fixed_ip_address"],
        "instance_id": server,
        "pool": name or id_,
    }


ROUTES: Final[Routes[Call]] = {
    "/os-floating-ips": {
        "GET": proxied(f"{POLICY}list", list_addresses),
        "POST": proxied(f"{POLICY}create", create_address),
    },
    "/os-floating-ips/{id}": {
        "GET": proxied(f"{POLICY}show", show_address),
        "DELETE": proxied(f"{POLICY}delete", delete_address),
    },
    "/os-floating-ip-pools": {"GET": proxied("os_compute_api:os-floating-ip-pools", list_pools)},
}
