"""POST /servers/{server_id}/action: what is done with a server, by the one name in the body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.servers.beginning import begin
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import accepted
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

NEVER: Final = 10_000

Perform = Callable[[Call, Fields], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Action:
    """From one microversion 2.x to another."""

    perform: Perform
    """Is given the whole body."""
    least: int = 1
    most: int = NEVER


def simple(what: str, operation: str, *, null: bool = True) -> Perform:
    """An action that begins a transition and says nothing about it. `null`: whether the body may hold anything."""

    async def perform(call: Call, body: Fields) -> Response:
        server = await find_server(call, operation)
        await begin(call, server, what)
        return accepted()

    return perform


async def act(call: Call, actions: dict[str, Action]) -> Response:
    """The action that the body names. Raises InvalidError where it names none."""
    body = await call.body()
    names = body.names()
    if len(names) != 1:
        raise InvalidError("There is no such action: a body has one." if len(names) < 1 else "Only one action at once.")
    action = actions.get(names[0])
    minor = call.version.minor if call.version is not None else 1
    if action is None or not action.least <= minor <= action.most:
        raise InvalidError(f"There is no such action: {names[0][:64]}")
    return await action.perform(call, body)
