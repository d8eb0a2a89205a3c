"""Actions: a POST whose body has one field, the name of what is to be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from gateway.rest.fields import Fields
from gateway.volumes.call import Call, Handler
from store.core.errors import InvalidError, NotFoundError


@dataclass(frozen=True, slots=True)
class Action:
    """What is done, and since which microversion 3.`since`."""

    do: Callable[[Call, Fields], Awaitable[Response]]
    since: int = 0


def acting(actions: Mapping[str, Action]) -> Handler:
    """The handler of a path's actions. What an action takes may be null."""

    async def act(call: Call) -> Response:
        body = await call.body()
        if len(body.names()) != 1:
            raise InvalidError("The body has one field, the name of an action.")
        (name,) = body.names()
        action = actions.get(name)
        if action is None:
            raise InvalidError(f"There is no such action: {name[:64]}.")
        if not call.since(action.since):
            raise NotFoundError(f"There is no action {name} in this microversion.")
        asked = body.object(name) if isinstance(body.value(name), dict) else Fields({}, name)
        return await action.do(call, asked)

    return act
