"""/servers/{server_id}/os-interface: ports of a server; and the old actions on its addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.records.port import Port
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, ServerNic
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, uuid_of, wrong
from compute_plugin.v2.servers.addresses import ports_of
from compute_plugin.v2.servers.beginning import begin, require_unlocked
from compute_plugin.v2.servers.finding import find_server
from compute_plugin.v2.servers.nic_choice import choose_nic
from compute_plugin.v2.servers.wanted import WantedNic, check_tag
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

A: Final = "os_compute_api:os-attach-interfaces:"
TAGGED: Final = 49
SHOWN_TAG: Final = 70


async def list_interfaces(call: Call) -> Response:
    server = await find_server(call, f"{A}list")
    networks = await call.service.network_fresh()
    return answer({"interfaceAttachments": [_shown(call, server, one) for one in ports_of(networks, server)]})


async def show_interface(call: Call) -> Response:
    server = await find_server(call, f"{A}show")
    id_ = call.path("port_id")
    for port in ports_of(await call.service.network_fresh(), server):
        if port.id == id_:
            return answer({"interfaceAttachment": _shown(call, server, port)})
    raise NotFoundError(f"Instance {server.id} does not have a port with id {id_[:64]}")


async def attach(call: Call) -> Response:
    """A port that is there, or a new one of a network; it is the server's before it is answered."""
    known = ["port_id", "net_id", "fixed_ips", *(("tag",) if call.since(TAGGED) else ())]
    body = await call.body()
    asked = checked(
        body.object("interfaceAttachment") if body.value("interfaceAttachment") is not None else Fields({}), (), known
    )
    wanted = _wanted(asked)
    server = await find_server(call, f"{A}create")
    require_unlocked(call, server, await call.is_admin())
    nic = await _nic(call, server, wanted)
    networks, caller = call.service.clients.networks, await call.credentials()
    zone = call.service.settings.zone
    if nic.port_id:
        await networks.take_port(caller, nic.port_id, server.id, zone, server.hostname)
    else:
        row = await networks.create_port(
            caller, server=server.id, network=nic.network_id, project=server.project_id, zone=zone,
            fixed_ip=nic.fixed_ip, name=server.hostname,
        )  # fmt: skip
        nic = replace(nic, port_id=row["id"])

    def along(_: Records, server: Server) -> Server:
        if _has(server, nic):
            raise ConflictError(f"Port {nic.port_id} is attached to instance {server.id} already.")
        return replace(server, nics=(*server.nics, nic))

    try:
        after = await begin(call, server, "attach-interface", {"port": nic.port_id}, before=along)
    except Exception:
        now = call.service.store.records.servers.get(server.id)
        if now is None or not _has(now, nic):
            await (networks.delete_port(nic.port_id) if nic.own else networks.release_port(nic.port_id))
        raise
    port = next(one for one in ports_of(await call.service.network_fresh(), after) if one.id == nic.port_id)
    return answer({"interfaceAttachment": _shown(call, after, port)})


def _has(server: Server, nic: ServerNic) -> bool:
    return any(one.port_id == nic.port_id for one in server.nics)


async def detach(call: Call) -> Response:
    server = await find_server(call, f"{A}delete")
    require_unlocked(call, server, await call.is_admin())
    id_ = call.path("port_id")
    if all(nic.port_id != id_ for nic in server.nics):
        raise NotFoundError(f"Port {id_[:64]} not found")
    await begin(call, server, "detach-interface", {"port": id_})
    return accepted()


def _wanted(asked: Fields) -> WantedNic:
    port = uuid_of("port_id", asked.value("port_id")) if "port_id" in asked else ""
    network = uuid_of("net_id", asked.value("net_id")) if "net_id" in asked else ""
    if port and network:
        raise InvalidError("Must not input both network_id and port_id")
    address = ""
    if "fixed_ips" in asked:
        said = asked.objects("fixed_ips")
        if len(said) != 1:
            raise wrong("fixed_ips", "one of them")
        value = checked(said[0], ("ip_address",)).value("ip_address")
        try:
            address = str(ipaddress.ip_address(value)) if isinstance(value, str) else ""
        except ValueError:
            address = ""
        if not address:
            raise wrong("fixed_ips.ip_address", "not an address")
        if not network:
            raise InvalidError("Must input network_id when request IP address")
    if asked.value("tag") is not None:
        check_tag(asked.value("tag"))
    return WantedNic(network, port, address, asked.value("tag"))


async def _nic(call: Call, server: Server, wanted: WantedNic) -> ServerNic:
    if wanted.port_id or wanted.network_id:
        try:
            return await choose_nic(call, wanted)
        except ConflictError as error:
            raise InvalidError(str(error)) from None
    found = await call.service.clients.networks.usable(await call.credentials(), server.project_id)
    if len(found) > 1:
        raise ConflictError("Multiple possible networks found, use a Network ID to be more specific.")
    if not found:
        raise InvalidError("No network is there for the server.")
    return ServerNic(network_id=found[0]["id"], tag=wanted.tag, own=True)


def _shown(call: Call, server: Server, port: Port) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": "ACTIVE" if call.service.port_is_up(port.id) else "DOWN",
        "fixed_ips": [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in port.fixed_ips],
    }
    if call.since(SHOWN_TAG):
        shown["tag"] = next((nic.tag for nic in server.nics if nic.port_id == port.id), None)
    return shown


ROUTES: Final[Routes[Call]] = {
    "/servers/{server_id}/os-interface": {"GET": list_interfaces, "POST": attach},
    "/servers/{server_id}/os-interface/{port_id}": {"GET": show_interface, "DELETE": detach},
}
