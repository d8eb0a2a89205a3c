"""What servers say on their consoles, and leave to see these."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.consoles.tokens import keep_token, new_token, valid_token
from compute_plugin.hypervisors.interface import Can, UnsupportedError
from compute_plugin.records.server import Server, VmState
from compute_plugin.v2.frame.call import Call, within
from compute_plugin.v2.frame.listing import NEVER
from compute_plugin.v2.frame.reading import body_of, checked, one_of, whole
from compute_plugin.v2.servers.actions import Action
from compute_plugin.v2.servers.beginning import require_can
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

A: Final = "os_compute_api:"
REMOTE: Final = 6
MKS: Final = 8
TOKENS: Final = 31
TYPES: Final = {"novnc": "vnc", "serial": "serial"}
"""What there is, and the protocol that it is asked for by."""
CAN: Final = {"novnc": Can.VNC, "serial": Can.SERIAL_CONSOLE}
"""What the hypervisor has to be able to."""


async def console_log(call: Call, body: Fields) -> Response:
    """The last lines of what the guest said."""
    asked = checked(body.object("os-getConsoleOutput"), (), ("length",))
    length = asked.value("length")
    lines = whole("length", length, -1) if length is not None else None
    server = await find_server(call, f"{A}os-console-output")
    if server.state is VmState.BUILDING and not server.launched_us:
        raise ConflictError("Instance not yet ready")
    if not server.host:
        raise ConflictError(f"Instance {server.id} has no host.")
    said = (await call.service.consoles.log(server)).decode("utf-8", errors="replace")
    said = "".join(one for one in said if one in "\n\r\t" or ord(one) >= 0x20 or one == "\x1b")
    if lines is not None and lines >= 0:
        said = "".join(said.splitlines(keepends=True)[-lines:]) if lines else ""
    return answer({"output": said})


def old_console(type_: str, names: tuple[str, ...]) -> Any:
    """The actions that were there before /remote-consoles."""

    async def perform(call: Call, body: Fields) -> Response:
        name = body.names()[0]
        one_of(checked(body.object(name), ("type",)), "type", names)
        server = await find_server(call, f"{A}os-remote-consoles")
        if type_ == "":
            raise InvalidError(f"Invalid console type {names[0]}")
        return answer({"console": {"type": body.object(name).text("type"), "url": await _url(call, server, type_)}})

    return perform


async def create_console(call: Call) -> Response:
    asked = await body_of(call, "remote_console", ("protocol", "type"))
    protocols = ["vnc", "spice", "rdp", "serial", *(("mks",) if call.since(MKS) else ())]
    kinds = ["novnc", "xvpvnc", "rdp-html5", "spice-html5", "serial", *(("webmks",) if call.since(MKS) else ())]
    protocol, type_ = one_of(asked, "protocol", protocols), one_of(asked, "type", kinds)
    server = await find_server(call, f"{A}os-remote-consoles")
    if TYPES.get(type_) != protocol:
        raise InvalidError(f"Unavailable console type {type_}.")
    url = await _url(call, server, type_)
    return answer({"remote_console": {"protocol": protocol, "type": type_, "url": url}})


async def show_token(call: Call) -> Response:
    """Where a token leads, for a proxy."""
    await call.allow(f"{A}os-console-auth-tokens")
    records = await call.records()
    found = valid_token(records, call.path("token"), call.service.clock.wall_us())
    server = records.servers.get(found.server_id) if found is not None else None
    if server is None:
        raise NotFoundError("Token not found")
    place = call.service.consoles.place(server)
    return answer({"console": {"instance_uuid": server.id, **place}})


async def _url(call: Call, server: Server, type_: str) -> str:
    """With a token that opens this server's console for a while, and no other's."""
    if server.state is VmState.BUILDING and not server.launched_us:
        raise ConflictError("Instance not yet ready")
    if server.state not in (VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED):
        raise ConflictError(f"Cannot 'get_console' instance {server.id} while it is in vm_state {server.state}")
    try:
        require_can(call, server, CAN[type_], f"open a {type_} console of")
    except UnsupportedError as error:
        raise InvalidError(f"Unavailable console type {type_}: {error}") from None
    token, service = new_token(), call.service
    now = service.clock.wall_us()
    until = now + service.settings.console_s * 1_000_000
    await service.store.change(lambda records: keep_token(records, server, token, type_, until, now))
    return service.consoles.url(call.origin, token, type_)


ACTIONS: Final = {
    "os-getConsoleOutput": Action(console_log),
    "os-getVNCConsole": Action(old_console("novnc", ("novnc", "xvpvnc")), 1, REMOTE - 1),
    "os-getSerialConsole": Action(old_console("serial", ("serial",)), 1, REMOTE - 1),
    "os-getSPICEConsole": Action(old_console("", ("spice-html5",)), 1, REMOTE - 1),
    "os-getRDPConsole": Action(old_console("", ("rdp-html5",)), 1, REMOTE - 1),
}
ROUTES: Final[Routes[Call]] = {
    "/servers/{server_id}/remote-consoles": {"POST": within(REMOTE, NEVER, create_console)},
    "/os-console-auth-tokens/{token}": {"GET": within(TOKENS, NEVER, show_token)},
}
