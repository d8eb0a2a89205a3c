"""Servers are made: what is asked for is checked, counted and put on hosts in one change of the records; the agents of
these hosts do the rest."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.lifecycle.changes import begun, failed
from compute_plugin.records.amounts import require_members, require_room
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.keypair import KeyPair, keypair_id
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, ServerNic, VmState
from compute_plugin.scheduling.choice import NoHostError
from compute_plugin.scheduling.requests import place
from compute_plugin.v2.flavors.finding import usable
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.servers.disk_choice import Chosen, choose_disks
from compute_plugin.v2.servers.nic_choice import choose_nics
from compute_plugin.v2.servers.wanted import HOSTNAME_MAX, Wanted, default_hostname, read_wanted
from gateway.rest.answers import answer
from gateway.rest.errors import OverLimitError
from store.core.errors import InvalidError

ID_HEX: Final = 8
AT_ONCE: Final = 40
"""Servers of one change of the records; more are made by further ones."""
PASSWORD_CHARACTERS: Final = 12
SERVERS: Final = "os_compute_api:servers:"


@dataclass(frozen=True, slots=True)
class _Order:
    """All that is known of servers before they are made."""

    wanted: Wanted
    flavor: Flavor
    chosen: Chosen
    nics: tuple[ServerNic, ...]
    key: KeyPair | None
    project: str
    user: str
    reservation: str
    password: str


async def create_server(call: Call) -> Response:
    """Raises InvalidError, ForbiddenError, ConflictError, OverLimitError; where no host has room the server is there,
    and in error."""
    await call.allow(f"{SERVERS}create", _target(await call.project(), await call.user()))
    wanted = read_wanted(call, await call.body())
    order = await _order(call, wanted)
    made = await _make(call, order)
    if wanted.tells_reservation:
        return answer({"reservation_id": order.reservation}, 202)
    server = made[0]
    shown: dict[str, Any] = {
        "id": server.id,
        "links": call.links(f"servers/{server.id}"),
        "OS-DCF:diskConfig": "AUTO" if server.auto_disk else "MANUAL",
        "security_groups": [{"name": name} for name in order.wanted.groups or ("default",)],
        "adminPass": order.password,
    }
    response = answer({"server": shown}, 202)
    response.headers["Location"] = f"{call.base}/servers/{server.id}"
    return response


async def _order(call: Call, wanted: Wanted) -> _Order:
    project, user = await call.project(), await call.user()
    target = _target(project, user)
    await _allow_parts(call, wanted, target)
    records = await call.records()
    flavor = records.flavors.get(wanted.flavor)
    if flavor is None or flavor.disabled or not (usable(flavor, project) or await call.is_admin()):
        raise InvalidError(f"Flavor {wanted.flavor[:255]} could not be found.")
    _check_zone(call, records, wanted)
    key = _key(records, user, wanted)
    if wanted.most > 1 and any(disk.source == "volume" for disk in wanted.disks):
        raise InvalidError("Cannot attach one or more volumes to multiple instances")
    chosen = await choose_disks(call, wanted, flavor)
    if chosen.min_ram > flavor.ram:
        raise InvalidError("Flavor's memory is too small for requested image.")
    nics = await choose_nics(call, wanted)
    if nics and any(not nic.port_id for nic in nics):
        for group in wanted.groups:
            await call.service.clients.networks.security_group(await call.credentials(), group)
    reservation = f"r-{''.join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(ID_HEX))}"
    return _Order(
        wanted, flavor, chosen, nics, key, project, user, reservation, wanted.admin_password or new_password()
    )


def new_password() -> str:
    """For the administrator of a guest."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(PASSWORD_CHARACTERS))


async def _allow_parts(call: Call, wanted: Wanted, target: dict[str, str]) -> None:
    parts = {
        "create:attach_volume": bool(wanted.disks),
        "create:attach_network": bool(wanted.nics),
        "create:forced_host": bool(wanted.forced_host),
    }
    for part, needed in parts.items():
        if needed:
            await call.allow(f"{SERVERS}{part}", target)
    if wanted.host:
        await call.allow("compute:servers:create:requested_destination", target)


def _check_zone(call: Call, records: Records, wanted: Wanted) -> None:
    settings, states = call.service.settings, call.service.states.states
    zones = {one.metadata["availability_zone"] for one in records.aggregates if "availability_zone" in one.metadata}
    if wanted.zone and wanted.zone not in zones | {settings.zone}:
        raise InvalidError("The requested availability zone is not available")
    host = wanted.host or wanted.forced_host
    if host and states.hosts.get(host) is None:
        raise InvalidError(f"Compute host {host} could not be found.")


def _key(records: Records, user: str, wanted: Wanted) -> KeyPair | None:
    if wanted.key_name is None:
        return None
    found = records.keypairs.get(keypair_id(user, wanted.key_name))
    if found is None:
        raise InvalidError("Invalid key_name provided.")
    return found


def _target(project: str, user: str) -> dict[str, str]:
    return {"project_id": project, "user_id": user}


async def _make(call: Call, order: _Order) -> list[Server]:
    """In as many changes as it takes; the first decides how many there are."""
    wanted, caller = order.wanted, await call.credentials()
    made: list[Server] = []
    count = wanted.most
    while len(made) < count:
        done = len(made)

        def step(records: Records, done: int = done, count: int = count) -> tuple[list[Server], int]:
            total = count if done else _affordable(call, records, order, wanted.least)
            more = min(total - done, AT_ONCE)
            if done:
                _require(call, records, order, more)
            numbers = range(done, done + more)
            return [_one(call, records, order, number, total, caller) for number in numbers], total

        try:
            servers, count = await call.service.store.change(step)
        except OverLimitError:
            if len(made) < wanted.least:
                raise
            break  # others of the project were faster: it has as many as there was room for
        made += servers
    return made


def _affordable(call: Call, records: Records, order: _Order, least: int) -> int:
    """How many the project can have of those that are asked for. Raises OverLimitError where these are too few."""
    _require(call, records, order, least)
    few, many = least, order.wanted.most + 1
    while many - few > 1:  # whoever may have some may have fewer
        middle = (few + many) // 2
        try:
            _require(call, records, order, middle)
        except OverLimitError:
            many = middle
        else:
            few = middle
    return few


def _require(call: Call, records: Records, order: _Order, count: int) -> None:
    settings, flavor = call.service.settings, order.flavor
    limits = settings.limits_of(records, order.project)
    items = limits["metadata_items"]
    if items != -1 and len(order.wanted.metadata) > items:
        raise OverLimitError(f"Maximum number of metadata items exceeds {items}")
    wanted = {"instances": count, "cores": count * flavor.vcpus, "ram": count * flavor.ram}
    require_room(records, settings, order.project, wanted, order.user)
    group = order.wanted.hints.get("group")
    if group:
        found = records.groups.get(str(group))
        if found is None or found.project_id != order.project:
            raise InvalidError(f"Instance group {group} could not be found.")
        require_members(records, settings, order.project, found.id, order.user, count)


def _one(call: Call, records: Records, order: _Order, number: int, total: int, caller: Any) -> Server:
    """A server on a host; or one that no host could take, in error."""
    service, wanted = call.service, order.wanted
    id_, now = service.new_id(), service.clock.wall_us()
    name = f"{wanted.name}-{number + 1}" if total > 1 else wanted.name
    hostname = wanted.hostname or default_hostname(wanted.name, id_)
    group = wanted.hints.get("group")
    server = Server(
        id=id_,
        number=records.next_number("server"),
        project_id=order.project,
        user_id=order.user,
        name=name,
        hostname=_numbered(hostname, number) if total > 1 else hostname,
        flavor=order.flavor,
        created_us=now,
        updated_us=now,
        description=wanted.description if wanted.description is not None or call.since(19) else name,
        image_id=order.chosen.image_id,
        image_properties=order.chosen.properties,
        key_name=order.key.name if order.key is not None else None,
        public_key=order.key.public_key if order.key is not None else "",
        key_type=order.key.type if order.key is not None else "ssh",
        user_data=wanted.user_data,
        metadata=wanted.metadata,
        tags=wanted.tags,
        security_groups=wanted.groups,
        config_drive=wanted.config_drive or order.chosen.properties.get("img_config_drive") == "mandatory",
        zone=wanted.zone,
        wanted_host=wanted.host or wanted.forced_host,
        hints=wanted.hints,
        group_id=str(group) if group else None,
        auto_disk=True if wanted.auto_disk is None else wanted.auto_disk,
        disks=order.chosen.disks,
        nics=order.nics,
        reservation_id=order.reservation,
        index=number,
        admin_password=order.password,
        access4=wanted.access4,
        access6=wanted.access6,
    )
    records.servers.put(server)
    try:
        host = place(records, service.states.states, service.settings, server, host=server.wanted_host).name
    except NoHostError as error:
        return _nowhere(call, records, server, caller, error)
    server = replace(server, host=host)
    return begun(records, server, "build", caller, id_=service.new_id(), request_id=call.request_id, now_us=now)


def _numbered(hostname: str, number: int) -> str:
    """Of one among several, no longer than the name of a host may be."""
    suffix = f"-{number + 1}"
    return hostname if len(hostname) > HOSTNAME_MAX else hostname[: HOSTNAME_MAX - len(suffix)].rstrip("-.") + suffix


def _nowhere(call: Call, records: Records, server: Server, caller: Any, error: NoHostError) -> Server:
    now = call.service.clock.wall_us()
    doing = begun(
        records, server, "build", caller, id_=call.service.new_id(), request_id=call.request_id, now_us=now, host=""
    )
    return failed(records, doing, now, str(error), state=VmState.ERROR)
