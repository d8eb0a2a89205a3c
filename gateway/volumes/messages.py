"""Messages: why something that was asked for was not done. They go after 30 days."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.times import shown_us
from gateway.volumes.call import Call, from_minor, of
from gateway.volumes.listing import Filters, page, wants_all
from gateway.volumes.message_records import Message
from gateway.volumes.volume_view import links
from store.core.errors import NotFoundError

SINCE: Final = 3
FILTERS: Final = Filters(
    exact=frozenset({"resource_uuid", "resource_type", "event_id", "request_id", "message_level"}),
    sorts=frozenset({"id", "created_at", "event_id", "resource_type", "resource_uuid", "message_level", "request_id"}),
)
NUMBERS: Final = ("creating", "deleting", "extending", "uploading", "retyping", "reverting", "downloading")


async def list_messages(call: Call) -> Response:
    mine = str((await call.credentials()).get("project_id") or "")
    everywhere = await wants_all(call)
    await call.allow("message:get_all", of(mine))
    table, now = call.service.messages, call.service.clock.wall_us()
    held = await (table.every() if everywhere else table.of_project(mine))
    found = page(call, [_shown(call, one) for one in held if one.expires_us > now], FILTERS)
    return answer(found.document("messages", found.rows))


async def show_message(call: Call) -> Response:
    return answer({"message": _shown(call, await _find(call, "message:get"))})


async def delete_message(call: Call) -> Response:
    one = await _find(call, "message:delete")
    await call.service.registry.transact((), call.service.messages.deletes(one))
    return nothing()


async def _find(call: Call, operation: str) -> Message:
    id_ = call.path("message_id")
    one = (await call.service.messages.find(id_)).record
    missing = NotFoundError(f"Message {id_} could not be found.")
    await call.allow_found(operation, one.project_id, missing)
    if one.expires_us <= call.service.clock.wall_us():
        raise missing
    return one


def _shown(call: Call, one: Message) -> dict[str, Any]:
    number = NUMBERS.index(one.what) + 1 if one.what in NUMBERS else 0
    return {
        "id": one.id,
        "event_id": f"VOLUME_{one.resource_type}_{number:03}_001",
        "user_message": f"{one.what}: {one.text}",
        "message_level": "ERROR",
        "created_at": shown_us(one.created_us),
        "guaranteed_until": shown_us(one.expires_us),
        "request_id": "",
        "resource_type": one.resource_type,
        "resource_uuid": one.resource_id,
        "links": links(call, "messages", one.id),
    }


ROUTES: Final[Routes[Call]] = {
    "/messages": {"GET": from_minor(SINCE, list_messages)},
    "/messages/{message_id}": {
        "GET": from_minor(SINCE, show_message),
        "DELETE": from_minor(SINCE, delete_message),
    },
}
