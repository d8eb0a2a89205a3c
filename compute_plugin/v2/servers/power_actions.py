"""Actions that start and stop, and those of locks."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from compute_plugin.lifecycle.changes import given_up, require_state
from compute_plugin.lifecycle.table import LINES
from compute_plugin.records.amounts import require_room
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, one_of, text
from compute_plugin.v2.servers.actions import Action, simple
from compute_plugin.v2.servers.beginning import begin, change_server, require_unlocked
from compute_plugin.v2.servers.create import new_password
from compute_plugin.v2.servers.disk_choice import image_of, require_bytes
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import accepted, answer
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError

A: Final = "os_compute_api:"


async def reboot(call: Call, body: Fields) -> Response:
    asked = checked(body.object("reboot"), ("type",))
    type_ = one_of(asked, "type", ("HARD", "Hard", "hard", "SOFT", "Soft", "soft")).upper()
    server = await find_server(call, f"{A}servers:reboot")
    if type_ == "SOFT" and server.state is not VmState.ACTIVE:
        raise ConflictError(f"Cannot 'reboot' instance {server.id} while it is in vm_state {server.state}")
    await begin(call, server, "reboot" if type_ == "SOFT" else "hard-reboot")
    return accepted()


async def lock(call: Call, body: Fields) -> Response:
    """Who is no administrator can do nothing with it, the project's own people neither."""
    reason = None
    if body.value("lock") is not None and call.since(73):  # before, nothing in it was looked at
        asked = checked(body.object("lock"), (), ("locked_reason",))
        reason = text(asked, "locked_reason") if "locked_reason" in asked else None
    server = await find_server(call, f"{A}os-lock-server:lock")
    by = "owner" if (await call.credentials()).get("project_id") == server.project_id else "admin"

    def locked(_: Records, server: Server) -> Server:
        # What an administrator has locked stays so.
        return replace(server, locked="admin" if server.locked == "admin" else by, locked_reason=reason)

    await change_server(call, server, locked)
    return accepted()


async def unlock(call: Call, _: Fields) -> Response:
    server = await find_server(call, f"{A}os-lock-server:unlock")
    by = "owner" if (await call.credentials()).get("project_id") == server.project_id else "admin"
    if server.locked and server.locked != by:
        await call.allow(f"{A}os-lock-server:unlock:unlock_override", {"project_id": server.project_id})
    await change_server(call, server, lambda _, server: replace(server, locked="", locked_reason=None))
    return accepted()


async def change_password(call: Call, body: Fields) -> Response:
    asked = checked(body.object("changePassword"), ("adminPass",))
    password = text(asked, "adminPass")
    server = await find_server(call, f"{A}os-admin-password")
    await begin(call, server, "set-password", {"password": password})
    return accepted()


async def rescue(call: Call, body: Fields) -> Response:
    asked = checked(
        Fields({}) if body.value("rescue") is None else body.object("rescue"), (), ("adminPass", "rescue_image_ref")
    )
    server = await find_server(call, f"{A}os-rescue")
    root = next((disk for disk in server.disks if disk.boot_index == 0), None)
    if root is not None and root.destination == "volume" and not call.since(87):
        raise InvalidError(f"Instance {server.id} cannot be rescued: Cannot rescue a volume-backed instance")
    image = text(asked, "rescue_image_ref").rpartition("/")[2] if "rescue_image_ref" in asked else ""
    image = image or server.image_id or server.image_properties.get("image_id", "")
    if not image:
        raise InvalidError(f"Instance {server.id} cannot be rescued: no image is known; say rescue_image_ref")
    require_bytes(await image_of(call, image))
    password = text(asked, "adminPass") if "adminPass" in asked else new_password()
    await begin(
        call,
        server,
        "rescue",
        {"image": image},
        before=lambda _, server: replace(server, admin_password=password),
    )
    return answer({"adminPass": password})


async def reset_state(call: Call, body: Fields) -> Response:
    """An administrator says what is so; whatever was being done is given up."""
    asked = checked(body.object("os-resetState"), ("state",))
    state = VmState.ACTIVE if one_of(asked, "state", ("active", "error")) == "active" else VmState.ERROR
    server = await find_server(call, f"{A}os-admin-actions:reset_state")

    now = call.service.clock.wall_us()
    given_up_ = await change_server(call, server, lambda records, server: given_up(records, server, now, state))
    doing = server.transition
    if given_up_.transition is None and doing is not None and doing.what == "create-image":
        await call.service.clients.images.abandon(str(doing.arguments["image"]), "It was given up.")
    return accepted()


async def restore(call: Call, _: Fields) -> Response:
    """What was deleted counted no more; it does again."""
    server = await find_server(call, f"{A}os-deferred-delete:restore")
    settings = call.service.settings

    def counted(records: Records, server: Server) -> Server:
        require_state(server, LINES["restore"])
        more = {"instances": 1, "cores": server.flavor.vcpus, "ram": server.flavor.ram}
        require_room(records, settings, server.project_id, more, server.user_id)
        return server

    await begin(call, server, "restore", before=counted)
    return accepted()


async def stop(call: Call, _: Fields) -> Response:
    server = await find_server(call, f"{A}servers:stop")
    await begin(call, server, "stop")
    return accepted()


async def nothing_to_do(call: Call, _: Fields) -> Response:
    """Networks need no word of servers here."""
    server = await find_server(call, f"{A}os-admin-actions:inject_network_info")
    require_unlocked(call, server, await call.is_admin())
    return accepted()


ACTIONS: Final = {
    "os-start": Action(simple("start", f"{A}servers:start")),
    "os-stop": Action(stop),
    "reboot": Action(reboot),
    "pause": Action(simple("pause", f"{A}os-pause-server:pause")),
    "unpause": Action(simple("unpause", f"{A}os-pause-server:unpause")),
    "suspend": Action(simple("suspend", f"{A}os-suspend-server:suspend")),
    "resume": Action(simple("resume", f"{A}os-suspend-server:resume")),
    "lock": Action(lock),
    "unlock": Action(unlock),
    "changePassword": Action(change_password),
    "rescue": Action(rescue),
    "unrescue": Action(simple("unrescue", f"{A}os-unrescue")),
    "os-resetState": Action(reset_state),
    "injectNetworkInfo": Action(nothing_to_do),
    "resetNetwork": Action(nothing_to_do),
    "trigger_crash_dump": Action(simple("interrupt", f"{A}servers:trigger_crash_dump"), 17),
    "restore": Action(restore),
}
