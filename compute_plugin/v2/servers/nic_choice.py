"""Which ports a server has."""

from __future__ import annotations

from compute_plugin.records.server import ServerNic
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.servers.wanted import Wanted, WantedNic
from gateway.rest.errors import ForbiddenError
from store.core.errors import ConflictError, InvalidError, NotFoundError

EXTERNAL = "network:attach_external_network"


async def choose_nics(call: Call, wanted: Wanted) -> tuple[ServerNic, ...]:
    """Raises InvalidError where a network or port is not there for the caller, ConflictError where it has another
    server, or where it is not clear which network is meant."""
    if wanted.nics is None:
        return await _by_itself(call, auto=wanted.auto_networks)
    if wanted.most > 1 and any(one.port_id for one in wanted.nics):
        raise InvalidError("Unable to launch multiple instances with a single configured port ID.")
    if wanted.most > 1 and any(one.fixed_ip for one in wanted.nics):
        raise InvalidError("Unable to launch multiple instances with a specified fixed IP address.")
    ports = [one.port_id for one in wanted.nics if one.port_id]
    if len(set(ports)) != len(ports):
        raise InvalidError("Each port can be used once.")
    return tuple([await choose_nic(call, one) for one in wanted.nics])


async def choose_nic(call: Call, wanted: WantedNic) -> ServerNic:
    networks, caller = call.service.clients.networks, await call.credentials()
    if not wanted.port_id:
        network = await networks.network(caller, wanted.network_id)
        if network["router:external"] and not network["shared"] and not await call.may(EXTERNAL, {}):
            raise ForbiddenError(EXTERNAL)
        if not network["subnets"] and network.get("port_security_enabled", True):
            raise InvalidError(f"Network requires port_security_enabled and subnet associated: {wanted.network_id}")
        return ServerNic(network_id=wanted.network_id, fixed_ip=wanted.fixed_ip, tag=wanted.tag, own=True)
    try:
        port = await networks.port(caller, wanted.port_id)
    except NotFoundError:
        raise InvalidError(f"Port id {wanted.port_id} could not be found.") from None
    if port["device_id"]:
        raise ConflictError(f"Port {wanted.port_id} is still in use.")
    if not port["fixed_ips"] and port["port_security_enabled"]:
        raise InvalidError(f"Port {wanted.port_id} requires a FixedIP in order to be used.")
    return ServerNic(port_id=wanted.port_id, network_id=port["network_id"], tag=wanted.tag)


async def _by_itself(call: Call, *, auto: bool) -> tuple[ServerNic, ...]:
    """The one network that the project has; with `auto` there has to be one."""
    found = await call.service.clients.networks.usable(await call.credentials(), await call.project())
    if len(found) > 1:
        raise ConflictError("Multiple possible networks found, use a Network ID to be more specific.")
    if not found:
        if auto:
            project = await call.project()
            raise InvalidError(f"Unable to automatically allocate a network for project {project}")
        return ()
    return (ServerNic(network_id=found[0]["id"], own=True),)
