"""Events of other services. Those of this cloud tell each other directly: what is told here has happened already."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, one_of, text, uuid_of
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

POLICY: Final = "os_compute_api:os-server-external-events:create"
STATUSES: Final = ("failed", "completed", "in-progress")
NAMES: Final = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")
LATER_NAMES: Final = (
    (51, "volume-extended"),
    (76, "power-update"),
    (82, "accelerator-request-bound"),
    (93, "volume-reimaged"),
)
TAGGED: Final = frozenset({"volume-extended", "power-update", "accelerator-request-bound"})
"""Those that name what they are about."""
PARTLY: Final = 207


async def create_events(call: Call) -> Response:
    """200, or 207 where one of them came to nothing."""
    await call.allow(POLICY)
    body = checked(await call.body(), ("events",))
    names = (*NAMES, *(name for since, name in LATER_NAMES if call.since(since)))
    events = [_read(one, names) for one in body.objects("events")]
    if not events:
        raise InvalidError("Invalid input for field/attribute events: it is empty.")
    records = await call.records()
    shown = [event | _outcome(records, event) for event in events]
    return answer({"events": shown}, 200 if all(one["code"] == 200 for one in shown) else PARTLY)


def _read(fields: Fields, names: tuple[str, ...]) -> dict[str, Any]:
    checked(fields, ("name", "server_uuid"), ("status", "tag"))
    event: dict[str, Any] = {
        "name": one_of(fields, "name", names),
        "server_uuid": uuid_of("server_uuid", fields.value("server_uuid")),
    }
    if "status" in fields:
        event["status"] = one_of(fields, "status", STATUSES)
    if "tag" in fields:
        event["tag"] = text(fields, "tag", least=0)
    return event


def _outcome(records: Records, event: dict[str, Any]) -> dict[str, Any]:
    server = records.servers.get(event["server_uuid"])
    if server is None:
        return {"status": "failed", "code": 404}
    if event["name"] in TAGGED and "tag" not in event:
        return {"status": "failed", "code": 400}
    return {"status": "completed", "code": 200} if server.host else {"status": "failed", "code": 422}


ROUTES: Final[Routes[Call]] = {"/os-server-external-events": {"POST": create_events}}
