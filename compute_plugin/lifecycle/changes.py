"""How a transition begins and ends: steps of one change to the records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.lifecycle.table import LINES, Line
from compute_plugin.records.action import ActionEvent, ServerAction
from compute_plugin.records.records import Records
from compute_plugin.records.server import Fault, Server, Transition, VmState
from gateway.rest.policy import Credentials
from store.core.errors import ConflictError, DrystoneError

GIVEN_UP: Final = "given_up"
"""Among a transition's arguments: what was made of an image by one that it overtook."""
ERROR: Final = "Error"
SUCCESS: Final = "Success"


class LostError(DrystoneError):
    """What a host was doing with a server is no more its own: another does it, or something else is done."""


class BusyServerError(ConflictError):
    """Something that clients are not shown is being done with the server, and ends soon."""


def require_state(server: Server, line: Line) -> None:
    """Raises ConflictError where a transition cannot begin, BusyServerError where it could soon."""
    doing = server.transition
    if server.state not in line.begins:
        raise ConflictError(f"Cannot '{line.action}' instance {server.id} while it is in vm_state {server.state}")
    if doing is not None and not line.overtakes:
        if not doing.task_state:
            raise BusyServerError(f"Instance {server.id} is being changed; try again.")
        raise ConflictError(f"Cannot '{line.action}' instance {server.id} while it is in task_state {doing.task_state}")


def begun(
    records: Records,
    server: Server,
    what: str,
    caller: Credentials,
    *,
    id_: str,
    request_id: str,
    now_us: int,
    arguments: Mapping[str, Any] | None = None,
    host: str | None = None,
    task_state: str | None = None,
) -> Server:
    """The server with a transition that begins; what was being done is no more. `host`: who does it; None: the
    server's. Raises ConflictError."""
    line = LINES[what]
    require_state(server, line)
    if line.here and not server.host:
        raise ConflictError(f"Instance {server.id} is not ready: it is on no host.")
    roles = caller.get("roles", ())
    assert isinstance(roles, frozenset | tuple | set)
    project = str(caller.get("project_id") or server.project_id)
    transition = Transition(
        what,
        id_,
        request_id,
        str(caller.get("user_id") or ""),
        project,
        tuple(sorted(roles)),
        server.host if host is None else host,
        "",
        line.task_state if task_state is None else task_state,
        {**(arguments or {}), **_left_behind(server)},
        now_us,
    )
    if server.transition is not None:
        _give_up(records, server, now_us)
    after = replace(server, transition=transition, updated_us=now_us)
    records.servers.put(after)
    records.actions.put(
        ServerAction(
            id=f"{server.id}/{request_id}",
            server_id=server.id,
            request_id=request_id,
            action=line.action,
            project_id=project,
            user_id=transition.user_id,
            started_us=now_us,
            updated_us=now_us,
            events=(ActionEvent(_event(what), now_us, 0, "", transition.host, ""),),
        )
    )
    return after


def stepped(records: Records, server: Server, step: str, now_us: int) -> Server:
    """The server with its transition's next step."""
    assert server.transition is not None
    line = LINES[server.transition.what]
    shown = dict(line.steps).get(step) or server.transition.task_state
    after = replace(server, transition=server.transition._replace(step=step, task_state=shown), updated_us=now_us)
    records.servers.put(after)
    return after


def ended(records: Records, server: Server, now_us: int, state: VmState | None = None) -> Server:
    """The server when its transition is done. `state`: where it ends, if the table does not say it."""
    assert server.transition is not None
    line = LINES[server.transition.what]
    _close(records, server, now_us, SUCCESS, server.host, "")
    after = replace(
        server,
        transition=None,
        state=state or line.ends or server.state,
        fault=None if (state or line.ends or server.state) is not VmState.ERROR else server.fault,
        updated_us=now_us,
    )
    records.servers.put(after)
    return after


def failed(
    records: Records, server: Server, now_us: int, message: str, details: str = "", code: int = 500,
    state: VmState | None = None,
) -> Server:  # fmt: skip
    """The server when its transition has failed."""
    assert server.transition is not None
    line = LINES[server.transition.what]
    _close(records, server, now_us, ERROR, server.host, message)
    after = replace(
        server,
        transition=None,
        state=state or line.fails or server.state,
        fault=Fault(code, message[:255], details, now_us),
        updated_us=now_us,
    )
    records.servers.put(after)
    return after


def given_up(records: Records, server: Server, now_us: int, state: VmState) -> Server:
    """The server in a state that an administrator has said; what was being done is no more. Of a server that was on its
    way to another host or size only the host that has it by now keeps something for it."""
    transition, before = server.transition, server.before
    if transition is not None:
        _give_up(records, server, now_us)
    after = replace(
        server,
        state=state,
        transition=None,
        before=None,
        fault=None if state is VmState.ACTIVE else server.fault,
        updated_us=now_us,
    )
    if before is not None and transition is not None and not transition.arguments.get("left"):
        moves = transition.what in ("resize", "migrate")
        after = replace(after, host=before.host, flavor=before.flavor) if moves else after
    records.servers.put(after)
    return after


def _give_up(records: Records, server: Server, now_us: int) -> None:
    assert server.transition is not None
    _close(records, server, now_us, ERROR, "", "Something else is done with the server.")
    migration_is(records, str(server.transition.arguments.get("migration", "")), "error", now_us)


def _left_behind(server: Server) -> dict[str, Any]:
    """What a transition that is given up has made besides the server: whoever overtakes it puts that away."""
    doing = server.transition
    if doing is None:
        return {}
    if doing.what == "create-image":
        return {GIVEN_UP: {name: doing.arguments[name] for name in ("image", "snapshots") if name in doing.arguments}}
    return {GIVEN_UP: doing.arguments[GIVEN_UP]} if GIVEN_UP in doing.arguments else {}


def removed(records: Records, server: Server, now_us: int) -> None:
    """There is no such server any more; what was done to it stays for a while."""
    if server.transition is not None:
        _close(records, server, now_us, SUCCESS, server.host, "")
    for token in records.console_tokens.by("server", server.id):
        records.console_tokens.delete(token.id)
    records.servers.delete(server.id)


def _close(records: Records, server: Server, now_us: int, result: str, host: str, details: str) -> None:
    transition = server.transition
    assert transition is not None
    action = records.actions.get(f"{server.id}/{transition.request_id}")
    if action is None:
        return
    events = tuple(
        one if one.finished_us else one._replace(finished_us=now_us, result=result, host=host, details=details)
        for one in action.events
    )
    message = ERROR if result == ERROR else action.message
    records.actions.put(replace(action, events=events, updated_us=now_us, message=message))


_EVENTS: Final = {
    "build": "compute__do_build_and_run_instance",
    "delete": "compute_terminate_instance",
    "soft-delete": "compute_soft_delete_instance",
    "reboot": "compute_reboot_instance",
    "hard-reboot": "compute_reboot_instance",
    "resize": "compute_resize_instance",
    "migrate": "compute_resize_instance",
    "confirm-resize": "compute_confirm_resize",
    "revert-resize": "compute_revert_resize",
    "create-image": "compute_snapshot_instance",
    "live-migrate": "compute_live_migration",
    "evacuate": "compute_rebuild_instance",
    "set-password": "compute_set_admin_password",
    "offload": "compute_shelve_offload_instance",
    "interrupt": "compute_trigger_crash_dump",
}


def _event(what: str) -> str:
    return _EVENTS.get(what) or f"compute_{what.replace('-', '_')}" + ("" if "-" in what else "_instance")
