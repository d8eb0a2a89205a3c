"""Actions that change a server's size, host or system."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.lifecycle.migrations import migration_is, new_migration, unconfirmed
from compute_plugin.records.amounts import require_room
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.keypair import keypair_id
from compute_plugin.records.records import Records
from compute_plugin.records.server import Before, Server, VmState
from compute_plugin.scheduling.choice import NoHostError
from compute_plugin.scheduling.requests import place
from compute_plugin.v2.flavors.finding import usable
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, description, flag_in, host_of, metadata, name_of, text
from compute_plugin.v2.servers.actions import Action
from compute_plugin.v2.servers.beginning import begin
from compute_plugin.v2.servers.create import new_password
from compute_plugin.v2.servers.disk_choice import GIB, image_of, require_bytes
from compute_plugin.v2.servers.finding import find_server
from compute_plugin.v2.servers.view import sight_of
from compute_plugin.v2.servers.view import whole as shown_whole
from compute_plugin.v2.servers.wanted import (
    DISK_CONFIG,
    address,
    disk_config,
    read_certificates,
    read_hostname,
    read_user_data,
)
from gateway.rest.answers import accepted, answer, nothing
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError

A: Final = "os_compute_api:"
RECORDED: Final = 93
"""From this microversion on a volume that a server boots from can be made anew."""


# -- another size ------------------------------------------------------------------------------------------------


async def resize(call: Call, body: Fields) -> Response:
    asked = checked(body.object("resize"), ("flavorRef",), (DISK_CONFIG,))
    said = asked.value("flavorRef")
    wanted = str(said) if isinstance(said, int) and not isinstance(said, bool) else text(asked, "flavorRef")
    auto = disk_config(asked)
    server = await find_server(call, f"{A}servers:resize")
    records = await call.records()
    flavor = records.flavors.get(wanted.rpartition("/")[2])
    if flavor is None or flavor.disabled or not (usable(flavor, server.project_id) or await call.is_admin()):
        raise InvalidError("Unable to locate requested flavor.")
    if flavor.id == server.flavor.id:
        raise InvalidError("When resizing, instances must change flavor!")
    _require_disk(server, flavor)
    migration, now = call.service.new_id(), call.service.clock.wall_us()
    caller = await call.credentials()

    def along(records: Records, server: Server) -> Server:
        more = {
            "cores": flavor.vcpus - server.flavor.vcpus,
            "ram": flavor.ram - server.flavor.ram,
        }
        require_room(records, call.service.settings, server.project_id, more, server.user_id)
        host = _placed(call, records, server, flavor)
        new_migration(
            records, server, migration, "resize", caller, target=host, new_flavor=flavor.id, status="migrating",
            now_us=now,
        )  # fmt: skip
        moved = _moving(server, host, flavor)
        return moved if auto is None else replace(moved, auto_disk=auto)

    await begin(call, server, "resize", {"migration": migration}, before=along, host=server.host)
    return accepted()


def _require_disk(server: Server, flavor: Flavor) -> None:
    root = next((disk for disk in server.disks if disk.boot_index == 0), None)
    if root is None or root.destination == "volume":
        return
    if flavor.disk == 0 and server.flavor.disk:
        raise InvalidError("Resize to zero disk flavor is not allowed.")
    if 0 < flavor.disk < server.flavor.disk:
        raise InvalidError("Flavor's disk is too small: a disk cannot become smaller.")


def _elsewhere(call: Call, records: Records, server: Server, host: str) -> str:
    """The other host that is to have it; `host`: the one that is asked for. Raises InvalidError where there is none."""
    service = call.service
    others_than = frozenset({server.host})
    try:
        return place(records, service.states.states, service.settings, server, host=host, others_than=others_than).name
    except NoHostError as error:
        raise InvalidError(str(error)) from None


def _placed(call: Call, records: Records, server: Server, flavor: Flavor) -> str:
    """The host that is to have it. Raises InvalidError where there is none. The one that it is on gives back what it
    takes now only when the move is confirmed, so it counts as taken there, too."""
    service = call.service
    try:
        return place(records, service.states.states, service.settings, server, flavor).name
    except NoHostError as error:
        raise InvalidError(str(error)) from None


def _moving(server: Server, host: str, flavor: Flavor) -> Server:
    return replace(server, before=Before(server.flavor, server.host, server.state), host=host, flavor=flavor)


async def confirm(call: Call, _: Fields) -> Response:
    server = await find_server(call, f"{A}servers:confirm_resize")
    records = await call.records()
    migration = unconfirmed(records, server)
    if server.state is VmState.RESIZED and migration is None:
        raise InvalidError("Instance has not been resized.")
    await begin(call, server, "confirm-resize", {"migration": migration.id if migration is not None else ""})
    return nothing()


async def revert(call: Call, _: Fields) -> Response:
    server = await find_server(call, f"{A}servers:revert_resize")
    records = await call.records()
    migration = unconfirmed(records, server)
    if server.state is VmState.RESIZED and migration is None:
        raise InvalidError("Instance has not been resized.")
    now = call.service.clock.wall_us()

    def along(records: Records, server: Server) -> Server:
        if migration is not None:
            migration_is(records, migration.id, "reverting", now)
        return server

    arguments = {"migration": migration.id if migration is not None else ""}
    await begin(call, server, "revert-resize", arguments, before=along)
    return accepted()


# -- another host ------------------------------------------------------------------------------------------------


async def migrate(call: Call, body: Fields) -> Response:
    """While it does not run."""
    host = ""
    if body.value("migrate") is not None:
        asked = checked(body.object("migrate"), (), ("host",) if call.since(56) else ())
        host = host_of(asked) if asked.value("host") is not None else ""
    server = await find_server(call, f"{A}os-migrate-server:migrate")
    if host:
        await call.allow(f"{A}os-migrate-server:migrate:host", {"project_id": server.project_id})
    migration, now, caller = call.service.new_id(), call.service.clock.wall_us(), await call.credentials()
    if host and host == server.host:
        raise InvalidError("The target host can't be the same one.")

    def along(records: Records, server: Server) -> Server:
        chosen = _elsewhere(call, records, server, host)
        new_migration(
            records, server, migration, "migration", caller, target=chosen, new_flavor=server.flavor.id,
            status="migrating", now_us=now,
        )  # fmt: skip
        return _moving(server, chosen, server.flavor)

    await begin(call, server, "migrate", {"migration": migration}, before=along, host=server.host)
    return accepted()


async def evacuate(call: Call, body: Fields) -> Response:
    """Its host is gone."""
    known = ["host", *(("adminPass",)), *(("onSharedStorage",) if not call.since(14) else ())]
    if call.since(29) and not call.since(68):
        known.append("force")
    asked = checked(body.object("evacuate"), (), known)
    host = host_of(asked) if asked.value("host") is not None else ""
    server = await find_server(call, f"{A}os-evacuate")
    states, records = call.service.states.states, await call.records()
    note = records.host_notes.get(server.host)
    if states.hosts.get(server.host) is not None and not (note is not None and note.forced_down):
        raise InvalidError(f"Compute service of {server.host} is still in use.")
    if host and states.hosts.get(host) is None:
        raise InvalidError(f"Compute host {host} not found.")
    if host and host == server.host:
        raise InvalidError("The target host can't be the same one.")
    password = text(asked, "adminPass") if "adminPass" in asked else new_password()
    migration, now, caller = call.service.new_id(), call.service.clock.wall_us(), await call.credentials()
    stays_off = server.state is VmState.STOPPED or call.since(95)

    def along(records: Records, server: Server) -> Server:
        chosen = _elsewhere(call, records, server, host)
        new_migration(
            records, server, migration, "evacuation", caller, target=chosen, new_flavor=server.flavor.id,
            status="accepted", now_us=now,
        )  # fmt: skip
        return replace(server, host=chosen, before=None, saved=False)

    arguments = {"migration": migration, "stays_off": stays_off}
    await begin(call, server, "evacuate", arguments, before=along)
    return answer({"adminPass": password}) if not call.since(14) else Response(status_code=200)


async def live_migrate(call: Call, body: Fields) -> Response:
    """While it runs."""
    if call.since(25):
        known = ["host", "block_migration"] + (["force"] if call.since(30) and not call.since(68) else [])
        asked = checked(body.object("os-migrateLive"), ("host", "block_migration"), known)
    else:
        asked = checked(body.object("os-migrateLive"), ("host", "block_migration", "disk_over_commit"))
    block = asked.value("block_migration")
    if not (call.since(25) and block == "auto"):
        block = flag_in(asked, "block_migration")
    if "disk_over_commit" in asked:
        flag_in(asked, "disk_over_commit")
    host = host_of(asked) if asked.value("host") is not None else ""
    server = await find_server(call, f"{A}os-migrate-server:migrate_live")
    if host:
        await call.allow(f"{A}os-migrate-server:migrate_live:host", {"project_id": server.project_id})
    if host and call.service.states.states.hosts.get(host) is None:
        raise InvalidError(f"Compute host {host} could not be found.")
    if host and host == server.host:
        raise InvalidError(f"Unable to migrate instance ({server.id}) to current host ({host}).")
    if block is True:
        raise InvalidError(f"{server.host} is not on local storage: block migration can not be used.")
    migration, now, caller = call.service.new_id(), call.service.clock.wall_us(), await call.credentials()
    target: dict[str, Any] = {"migration": migration}

    def along(records: Records, server: Server) -> Server:
        chosen = _elsewhere(call, records, server, host)
        new_migration(
            records, server, migration, "live-migration", caller, target=chosen, new_flavor=server.flavor.id,
            status="queued", now_us=now,
        )  # fmt: skip
        target["target"] = chosen
        return replace(server, before=Before(server.flavor, chosen, server.state))

    await begin(call, server, "live-migrate", target, before=along)
    return accepted()


# -- another system ----------------------------------------------------------------------------------------------


async def rebuild(call: Call, body: Fields) -> Response:
    known = {
        "adminPass", "name", "metadata", "preserve_ephemeral", DISK_CONFIG, "accessIPv4", "accessIPv6",
        *(("personality",) if not call.since(57) else ()), *(("description",) if call.since(19) else ()),
        *(("key_name",) if call.since(54) else ()), *(("user_data",) if call.since(57) else ()),
        *(("trusted_image_certificates",) if call.since(63) else ()), *(("hostname",) if call.since(90) else ()),
    }  # fmt: skip
    asked = checked(body.object("rebuild"), ("imageRef",), known)
    image = text(asked, "imageRef").rpartition("/")[2]
    keep = flag_in(asked, "preserve_ephemeral")
    read_certificates(asked)
    changes = _rebuilt(call, asked)
    server = await find_server(call, f"{A}servers:rebuild")
    facts = await image_of(call, image)
    require_bytes(facts)
    root = next((disk for disk in server.disks if disk.boot_index == 0), None)
    of_volume = root is not None and root.destination == "volume"
    if of_volume and not call.since(RECORDED) and image != str(server.image_properties.get("image_id", "")):
        raise InvalidError("Unable to rebuild with a different image for a volume-backed server.")
    if facts.min_ram > server.flavor.ram:
        raise InvalidError("Flavor's memory is too small for requested image.")
    if (
        not of_volume
        and server.flavor.disk
        and server.flavor.disk * GIB < max(facts.virtual_size, facts.min_disk * GIB)
    ):
        raise InvalidError("Flavor's disk is too small for requested image.")
    if call.since(54) and "key_name" in asked:
        changes |= _key(await call.records(), await call.user(), asked)
    password = text(asked, "adminPass") if "adminPass" in asked else new_password()
    runs = server.state is not VmState.STOPPED
    properties = dict(facts.properties)

    def along(_: Records, server: Server) -> Server:
        after = replace(server, **changes, admin_password=password, rescue_disk=None, saved=False)
        if of_volume:
            return after
        return replace(after, image_id=image, image_properties=properties)

    arguments = {
        "image": image, "runs": runs, "keep_ephemeral": keep, "reimage": of_volume and call.since(RECORDED),
    }  # fmt: skip
    after = await begin(call, server, "rebuild", arguments, before=along)
    shown = shown_whole(await sight_of(call, after.project_id), after, rebuilt=True)
    if call.since(54):
        shown["key_name"] = after.key_name
    if call.since(57):  # stock Nova has it under this name here, for whoever may rebuild
        shown.pop("OS-EXT-SRV-ATTR:user_data", None)
        shown["user_data"] = after.user_data or None
    shown["adminPass"] = password
    response = answer({"server": shown}, 202)
    response.headers["Location"] = f"{call.base}/servers/{server.id}"
    return response


def _rebuilt(call: Call, asked: Fields) -> dict[str, Any]:
    """What a rebuild changes of the server itself."""
    changes: dict[str, Any] = {}
    if "name" in asked:
        changes["name"] = name_of("name", asked.value("name"))
    if "metadata" in asked:
        changes["metadata"] = {key: value or "" for key, value in metadata("metadata", asked.value("metadata")).items()}
    if (auto := disk_config(asked)) is not None:
        changes["auto_disk"] = auto
    for name, field, version in (("accessIPv4", "access4", 4), ("accessIPv6", "access6", 6)):
        if name in asked:
            changes[field] = address(asked, name, version)
    if "description" in asked:
        changes["description"] = description(asked)
    if "user_data" in asked:
        changes["user_data"] = read_user_data(asked)
    if hostname := read_hostname(call, asked):
        changes["hostname"] = hostname
    if asked.value("personality"):
        raise InvalidError("Files cannot be put into servers here: use user_data.")
    return changes


def _key(records: Records, user: str, asked: Fields) -> dict[str, Any]:
    if asked.value("key_name") is None:
        return {"key_name": None, "public_key": ""}
    name = text(asked, "key_name")
    found = records.keypairs.get(keypair_id(user, name))
    if found is None:
        raise InvalidError("Invalid key_name provided.")
    return {"key_name": name, "public_key": found.public_key, "key_type": found.type}


# -- off its host ------------------------------------------------------------------------------------------------


async def shelve(call: Call, _: Fields) -> Response:
    server = await find_server(call, f"{A}os-shelve:shelve")
    await begin(call, server, "shelve")
    return accepted()


async def offload(call: Call, _: Fields) -> Response:
    server = await find_server(call, f"{A}os-shelve:shelve_offload")
    await begin(call, server, "offload")
    return accepted()


async def unshelve(call: Call, body: Fields) -> Response:
    """On any host, of another zone if that is asked for."""
    zone: str | None = None
    host, unpin = "", False
    if body.value("unshelve") is not None:
        known = ["availability_zone"] if call.since(77) else []
        known += ["host"] if call.since(91) else []
        asked = checked(body.object("unshelve"), (), known)
        if not asked.names():
            raise InvalidError("unshelve: null, or what is wanted of it")
        if "availability_zone" in asked:
            unpin = call.since(91) and asked.value("availability_zone") is None
            zone = "" if unpin else text(asked, "availability_zone")
        host = host_of(asked) if "host" in asked else ""
    server = await find_server(call, f"{A}os-shelve:unshelve")
    if host:
        await call.allow(f"{A}os-shelve:unshelve_to_host", {"project_id": server.project_id})
    if zone is not None and server.state is not VmState.OFFLOADED:
        raise ConflictError(f"Cannot 'unshelve' instance {server.id} while it is in vm_state {server.state}")
    if zone:
        records = await call.records()
        zones = {one.metadata["availability_zone"] for one in records.aggregates if "availability_zone" in one.metadata}
        if zone not in zones | {call.service.settings.zone}:
            raise InvalidError("The requested availability zone is not available")

    def along(records: Records, server: Server) -> Server:
        wanted = server if zone is None else replace(server, zone=zone)
        if server.host:
            return wanted
        service = call.service
        try:
            chosen = place(records, service.states.states, service.settings, wanted, host=host)
        except NoHostError as error:
            raise ConflictError(str(error)) from None
        return replace(wanted, host=chosen.name)

    await begin(call, server, "unshelve", before=along)
    return accepted()


ACTIONS: Final = {
    "resize": Action(resize),
    "confirmResize": Action(confirm),
    "revertResize": Action(revert),
    "migrate": Action(migrate),
    "os-migrateLive": Action(live_migrate),
    "evacuate": Action(evacuate),
    "rebuild": Action(rebuild),
    "shelve": Action(shelve),
    "shelveOffload": Action(offload),
    "unshelve": Action(unshelve),
}
