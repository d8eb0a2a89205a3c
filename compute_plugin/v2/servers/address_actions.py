"""Actions on the addresses of servers, as clients asked for them before they asked the network service (until 2.43)."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.records.port import Port
from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, uuid_of, wrong
from compute_plugin.v2.servers.actions import Action
from compute_plugin.v2.servers.addresses import ports_of
from compute_plugin.v2.servers.beginning import require_unlocked
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import accepted
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

LAST: Final = 43
FLOATING: Final = "os_compute_api:os-floating-ips:"
MULTINIC: Final = "os_compute_api:os-multinic:"
Row = dict[str, Any]


async def add_floating(call: Call, body: Fields) -> Response:
    """One of the project's stands for an address of the server."""
    asked = checked(body.object("addFloatingIp"), ("address",), ("fixed_address",))
    wanted = _address(asked, "fixed_address") if asked.value("fixed_address") is not None else ""
    server, floating = await _meant(call, asked, f"{FLOATING}add")
    if server.transition is not None and server.transition.what == "build":
        raise InvalidError("No fixed IPs associated to instance")
    port, fixed = _fixed(list(ports_of(await call.service.network_fresh(), server)), wanted)
    changes = {"port_id": port.id, "fixed_ip_address": fixed}
    try:
        await call.service.clients.networks.change_floating(await call.credentials(), floating["id"], changes)
    except ConflictError as error:  # another leads there already
        raise InvalidError(str(error)) from error
    return accepted()


async def remove_floating(call: Call, body: Fields) -> Response:
    asked = checked(body.object("removeFloatingIp"), ("address",))
    server, floating = await _meant(call, asked, f"{FLOATING}remove")
    if floating["port_id"] not in {port.id for port in ports_of(await call.service.network_fresh(), server)}:
        address = floating["floating_ip_address"]
        raise ConflictError(f"Floating IP {address} is not associated with instance {server.id}.")
    await call.service.clients.networks.change_floating(await call.credentials(), floating["id"], {"port_id": None})
    return accepted()


async def add_fixed(call: Call, body: Fields) -> Response:
    """Any address of a network for the port that the server has there."""
    asked = checked(body.object("addFixedIp"), ("networkId",))
    network = uuid_of("networkId", asked.value("networkId"))
    server = await find_server(call, f"{MULTINIC}add")
    require_unlocked(call, server, await call.is_admin())
    records = await call.service.network_fresh()
    port = next((one for one in ports_of(records, server) if one.network_id == network), None)
    if port is None:
        raise InvalidError(f"Network {network} is none of the server's.")
    subnets = [one.id for one in records.subnets.by("network", network) if one.ip_version == 4]
    if not subnets:
        raise InvalidError(f"Network {network} has no addresses.")
    held: list[Row] = [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in port.fixed_ips]
    changes = {"fixed_ips": [*held, {"subnet_id": subnets[0]}]}
    await call.service.clients.networks.change_port(await call.credentials(), port.id, changes)
    return accepted()


async def remove_fixed(call: Call, body: Fields) -> Response:
    asked = checked(body.object("removeFixedIp"), ("address",))
    address = _address(asked, "address")
    server = await find_server(call, f"{MULTINIC}remove")
    require_unlocked(call, server, await call.is_admin())
    for port in ports_of(await call.service.network_fresh(), server):
        if address in {one.address for one in port.fixed_ips}:
            kept = [
                {"subnet_id": one.subnet_id, "ip_address": one.address}
                for one in port.fixed_ips
                if one.address != address
            ]
            await call.service.clients.networks.change_port(await call.credentials(), port.id, {"fixed_ips": kept})
            return accepted()
    raise InvalidError(f"Fixed IP {address} is none of the server's.")


async def _meant(call: Call, asked: Fields, operation: str) -> tuple[Server, Row]:
    address = _address(asked, "address")
    server = await find_server(call, operation)
    require_unlocked(call, server, await call.is_admin())
    floating = await call.service.clients.networks.floating(await call.credentials(), address)
    if floating is None:
        raise NotFoundError("floating IP not found")
    return server, floating


def _fixed(ports: list[Port], wanted: str) -> tuple[Port, str]:
    """Where a floating address is to lead: the address that is wanted, or the first of IPv4. Raises InvalidError."""
    for port in ports:
        for one in port.fixed_ips:
            if one.address == wanted or (not wanted and ":" not in one.address):
                return port, one.address
    why = "Specified fixed address not assigned to instance" if wanted else "No fixed IPs associated to instance"
    raise InvalidError(why)


def _address(asked: Fields, name: str) -> str:
    value = asked.value(name)
    no_address = wrong(name, "not an 'ipv4' or an 'ipv6'")
    if not isinstance(value, str):
        raise no_address
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise no_address from error


ACTIONS: Final = {
    "addFloatingIp": Action(add_floating, 1, LAST),
    "removeFloatingIp": Action(remove_floating, 1, LAST),
    "addFixedIp": Action(add_fixed, 1, LAST),
    "removeFixedIp": Action(remove_fixed, 1, LAST),
}
