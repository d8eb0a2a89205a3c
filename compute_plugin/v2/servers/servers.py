"""/servers and /servers/{server_id}."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import body_of, description, name_of
from compute_plugin.v2.servers import (
    address_actions,
    console_actions,
    group_actions,
    image_actions,
    moving_actions,
    power_actions,
)
from compute_plugin.v2.servers.actions import Action, act
from compute_plugin.v2.servers.beginning import begin, change_server, require_unlocked
from compute_plugin.v2.servers.create import create_server
from compute_plugin.v2.servers.finding import find_server
from compute_plugin.v2.servers.lists import list_servers, list_servers_detail
from compute_plugin.v2.servers.view import sight_of, whole
from compute_plugin.v2.servers.wanted import DISK_CONFIG, address, disk_config, read_hostname
from gateway.rest.answers import accepted, answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields

A: Final = "os_compute_api:servers:"


async def show_server(call: Call) -> Response:
    server = await find_server(call, f"{A}show")
    return answer({"server": whole(await sight_of(call, server.project_id), server, single=True)})


async def update_server(call: Call) -> Response:
    """What people say of it; a hostname is told to its guest."""
    known = ["name", DISK_CONFIG, "accessIPv4", "accessIPv6"]
    known += ["description"] if call.since(19) else []
    known += ["hostname"] if call.since(90) else []
    asked = await body_of(call, "server", (), known)
    changes: dict[str, Any] = {}
    if "name" in asked:
        changes["name"] = name_of("name", asked.value("name"))
    if (auto := disk_config(asked)) is not None:
        changes["auto_disk"] = auto
    for name, field, version in (("accessIPv4", "access4", 4), ("accessIPv6", "access6", 6)):
        if name in asked:
            changes[field] = address(asked, name, version)
    if "description" in asked:
        changes["description"] = description(asked)
    if hostname := read_hostname(call, asked):
        changes["hostname"] = hostname
    server = await find_server(call, f"{A}update")
    now = call.service.clock.wall_us()
    after = await change_server(call, server, lambda _, server: replace(server, **changes, updated_us=now))
    sight = await sight_of(call, after.project_id)
    return answer({"server": whole(sight, after, rebuilt=True)})


async def delete_server(call: Call) -> Response:
    server = await find_server(call, f"{A}delete")
    await _delete(call, server, soft=call.service.settings.reclaim_s > 0)
    return nothing()


async def force_delete(call: Call, _: Fields) -> Response:
    """For good, whatever it was to be kept for."""
    server = await find_server(call, "os_compute_api:os-deferred-delete:force")
    await _delete(call, server, soft=False)
    return accepted()


async def _delete(call: Call, server: Server, *, soft: bool) -> None:
    require_unlocked(call, server, await call.is_admin())
    if server.transition is not None and server.transition.what == "delete":
        return  # it goes already
    if soft and server.state is VmState.SOFT_DELETED:
        return  # asked twice: it can be restored all the same
    what = "soft-delete" if soft and server.host and server.launched_us else "delete"

    def marked(_: Records, server: Server) -> Server:
        return replace(server, terminated_us=call.service.clock.wall_us())

    await begin(call, server, what, before=marked)


async def act_on_server(call: Call) -> Response:
    return await act(call, ACTIONS)


ACTIONS: Final[dict[str, Action]] = {
    **power_actions.ACTIONS,
    **moving_actions.ACTIONS,
    **image_actions.ACTIONS,
    **group_actions.ACTIONS,
    **address_actions.ACTIONS,
    **console_actions.ACTIONS,
    "forceDelete": Action(force_delete),
}
ROUTES: Final[Routes[Call]] = {
    "/servers": {"GET": list_servers, "POST": create_server},
    "/servers/detail": {"GET": list_servers_detail},
    "/servers/{server_id}": {"GET": show_server, "PUT": update_server, "DELETE": delete_server},
    "/servers/{server_id}/action": {"POST": act_on_server},
}
