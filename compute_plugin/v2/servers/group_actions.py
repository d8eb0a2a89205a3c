"""Actions on the network side of servers: security groups, and addresses of its ports."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, text
from compute_plugin.v2.servers.actions import Action
from compute_plugin.v2.servers.addresses import ports_of
from compute_plugin.v2.servers.beginning import require_unlocked
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import accepted
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

A: Final = "os_compute_api:os-security-groups:"


async def add_group(call: Call, body: Fields) -> Response:
    server, group = await _meant(call, body, "addSecurityGroup", "add")
    networks, caller = call.service.clients.networks, await call.credentials()
    ports = list(ports_of(call.service.network_records(), server))
    if not ports:
        raise InvalidError(f"Security group {group} cannot be added: the server has no port.")
    for port in ports:
        if group not in port.security_group_ids and port.port_security_enabled:
            held = [*port.security_group_ids, group]
            await networks.change_port(caller, port.id, {"security_groups": held})
    return accepted()


async def remove_group(call: Call, body: Fields) -> Response:
    server, group = await _meant(call, body, "removeSecurityGroup", "remove")
    networks, caller = call.service.clients.networks, await call.credentials()
    found = False
    for port in ports_of(call.service.network_records(), server):
        if group in port.security_group_ids:
            found = True
            held = [one for one in port.security_group_ids if one != group]
            await networks.change_port(caller, port.id, {"security_groups": held})
    if not found:
        raise NotFoundError(f"Security group {group} not associated with the instance {server.id}")
    return accepted()


async def _meant(call: Call, body: Fields, action: str, operation: str) -> tuple[Server, str]:
    asked = checked(body.object(action), ("name",))
    name = text(asked, "name")
    server = await find_server(call, f"{A}{operation}")
    require_unlocked(call, server, await call.is_admin())
    if server.transition is not None and server.transition.what == "delete":
        raise ConflictError(f"Instance {server.id} is being deleted.")
    await call.service.network_fresh()
    try:
        group = await call.service.clients.networks.security_group(await call.credentials(), name)
    except InvalidError as error:
        raise NotFoundError(str(error)) from None
    return server, group


ACTIONS: Final = {"addSecurityGroup": Action(add_group), "removeSecurityGroup": Action(remove_group)}
