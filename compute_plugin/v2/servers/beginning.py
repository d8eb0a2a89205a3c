"""Transitions are begun for whoever asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import trio

from compute_plugin.hypervisors.interface import Can, UnsupportedError
from compute_plugin.lifecycle.changes import BusyServerError, begun
from compute_plugin.lifecycle.table import LINES, WITH_GUEST
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call
from store.core.errors import ConflictError, NotFoundError

SOON_S: Final = 30.0
"""How long a request waits for the end of what clients are not shown, such as a volume that is being attached."""

Made = Callable[[Records, Server], Server]


async def begin(
    call: Call,
    server: Server,
    what: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    before: Made = lambda _, server: server,
    host: str | None = None,
) -> Server:
    """Have a transition of a server begin. `before`: what goes along, with the server as it is then; it may raise.
    `host`: who does it, where that is not the server's. Raises ConflictError where it cannot begin now,
    NotFoundError."""
    caller, service = await call.credentials(), call.service
    line = LINES[what]
    require_unlocked(call, server, await call.is_admin(), line.locked)

    def step(records: Records) -> Server:
        now = _found(records, server.id)
        require_able(call, now, what)
        return begun(
            records,
            before(records, now),
            what,
            caller,
            id_=service.new_id(),
            request_id=call.request_id,
            now_us=service.clock.wall_us(),
            arguments=arguments,
            host=host,
        )

    return await soon(call, step)


async def soon(call: Call, step: Callable[[Records], Server]) -> Server:
    """Do a change, once nothing is done any more with the server that clients are not shown."""
    store = call.service.store
    with trio.move_on_after(SOON_S):
        while True:
            revision = store.revision
            try:
                return await store.change(step)
            except BusyServerError:
                await store.later_than(revision)
    return await store.change(step)


async def change_server(call: Call, server: Server, changed: Made) -> Server:
    """Have a server be otherwise, whatever is done with it."""

    def step(records: Records) -> Server:
        after = changed(records, _found(records, server.id))
        records.servers.put(after)
        return after

    return await call.service.store.change(step)


def require_unlocked(call: Call, server: Server, is_admin: bool, may: bool = False) -> None:
    """Raises ConflictError where a server is locked, but to administrators."""
    if server.locked and not is_admin and not may:
        raise ConflictError(f"Instance {server.id} is locked")


def require_able(call: Call, server: Server, what: str) -> None:
    """Raises UnsupportedError where the hypervisor of the server's host cannot do that."""
    line = LINES[what]
    require_can(call, server, line.can, what)
    if server.state in WITH_GUEST:
        require_can(call, server, line.guest_can, what)


def require_can(call: Call, server: Server, can: Can | None, what: str) -> None:
    """The same of one ability."""
    state = call.service.states.states.hosts.get(server.host) if server.host else None
    if can is not None and state is not None and state.can and can not in state.can:
        raise UnsupportedError(f"Unable to {what} instance {server.id}: {state.kind} cannot.")


def _found(records: Records, id_: str) -> Server:
    found = records.servers.get(id_)
    if found is None:
        raise NotFoundError(f"Instance {id_} could not be found.")
    return found
