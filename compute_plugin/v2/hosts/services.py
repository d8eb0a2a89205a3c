"""Services: one of each host, which an administrator takes out of use or declares dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import asked, know
from compute_plugin.v2.frame.reading import checked, flag, host_of, is_uuid, one_of, text, whole
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.hosts.noted import with_hosts
from compute_plugin.v2.hosts.rows import BINARY, HostRow, host_rows, row_of, servers_on
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

POLICY: Final = "os_compute_api:os-services:"
FORCED: Final = 11
UUIDS: Final = 53
"""From this microversion on services have UUIDs, and are changed by them."""
MOVING: Final = frozenset(
    {"accepted", "pre-migrating", "queued", "preparing", "running", "migrating", "post-migrating"}
)
"""Migrations that go on, by their status."""

Change = Callable[[HostNote], HostNote]


async def list_services(call: Call) -> Response:
    know(call, "host", "binary")
    await call.allow(f"{POLICY}list")
    records = await with_hosts(call.service)
    host, binary = asked(call, "host"), asked(call, "binary")
    rows = host_rows(records, call.service.states.states, call.service.settings)
    shown = [_shown(call, one) for one in rows if (not host or one.name == host) and (not binary or binary == BINARY)]
    return answer({"services": shown})


async def update_service(call: Call) -> Response:
    """By a UUID, or with a word such as `disable` in its place as old clients do."""
    await call.allow(f"{POLICY}update")
    if call.since(UUIDS):
        return await _update(call, call.path("service_id"))
    return await _act(call, call.path("service_id"))


async def delete_service(call: Call) -> Response:
    """Of a host that has no servers any more. One whose agent lives is noted again."""
    await call.allow(f"{POLICY}delete")
    id_ = _id(call)
    await with_hosts(call.service)

    def step(records: Records) -> None:
        note = _find(records, id_)
        if servers_on(records, note.id):
            raise ConflictError(
                "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
            )
        if any(note.id in (one.source, one.target) and one.status in MOVING for one in records.migrations):
            raise ConflictError("Unable to delete compute service that has in-progress migrations.")
        for aggregate in records.aggregates.by("host", note.id):
            hosts = tuple(one for one in aggregate.hosts if one != note.id)
            records.aggregates.put(replace(aggregate, hosts=hosts))
        records.host_notes.delete(note.id)

    await call.service.store.change(step)
    return nothing()


async def _update(call: Call, id_: str) -> Response:
    if not is_uuid(id_):
        raise InvalidError(f"Invalid uuid {id_[:255]}")
    body = checked(await call.body(), (), ("status", "disabled_reason", "forced_down"))
    changes = _changes(body)
    await with_hosts(call.service)

    def step(records: Records) -> HostNote:
        note = _find(records, id_)
        if not changes:
            raise InvalidError("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
        return _put(call, records, note, changes)

    note = await call.service.store.change(step)
    row = row_of(await call.records(), call.service.states.states, call.service.settings, note)
    return answer({"service": _shown(call, row)})


def _changes(body: Fields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    reason = text(body, "disabled_reason") if "disabled_reason" in body else None
    if "status" in body:
        disabled = one_of(body, "status", ("enabled", "disabled")) == "disabled"
        if reason and not disabled:
            raise InvalidError("Specifying 'disabled_reason' with status 'enabled' is invalid.")
        changes |= {"disabled": disabled, "disabled_reason": reason}
    if "forced_down" in body:
        changes["forced_down"] = flag("forced_down", body.value("forced_down"))
    return changes


async def _act(call: Call, action: str) -> Response:
    forced = ("forced_down",) if call.since(FORCED) else ()
    body = checked(await call.body(), ("host", "binary"), ("disabled_reason", *forced))
    host, binary = host_of(body), text(body, "binary")
    reason = text(body, "disabled_reason") if "disabled_reason" in body else None
    said: dict[str, Any] = {"host": host, "binary": binary}
    match action:
        case "enable":
            changes: dict[str, Any] = {"disabled": False, "disabled_reason": None}
            said["status"] = "enabled"
        case "disable":
            changes = {"disabled": True, "disabled_reason": None}
            said["status"] = "disabled"
        case "disable-log-reason":
            if reason is None:
                raise InvalidError("Missing disabled reason field")
            changes = {"disabled": True, "disabled_reason": reason}
            said |= {"status": "disabled", "disabled_reason": reason}
        case "force-down" if call.since(FORCED):
            if "forced_down" not in body:
                raise InvalidError("Missing forced_down field")
            changes = {"forced_down": flag("forced_down", body.value("forced_down"))}
            said |= changes
        case _:
            raise HTTPException(404)
    if binary != BINARY:
        raise InvalidError(f"Updating a {binary} service is not supported. Only nova-compute services can be updated.")
    await with_hosts(call.service)

    def step(records: Records) -> None:
        note = records.host_notes.get(host)
        if note is None:
            raise NotFoundError(f"Could not find binary {binary} on host {host}.")
        _put(call, records, note, changes)

    await call.service.store.change(step)
    return answer({"service": said})


def _put(call: Call, records: Records, note: HostNote, changes: dict[str, Any]) -> HostNote:
    if changes.get("forced_down") is False and any(
        one.source == note.id and one.type == "evacuation" and one.status == "done" for one in records.migrations
    ):
        raise InvalidError(
            f"Unable to force up host {note.id} as `done` evacuation migration records remain associated with the host."
        )
    note = replace(note, **changes, updated_us=call.service.clock.wall_us())
    records.host_notes.put(note)
    return note


def _id(call: Call) -> str:
    id_ = call.path("service_id")
    if call.since(UUIDS):
        if not is_uuid(id_):
            raise InvalidError(f"Invalid uuid {id_[:255]}")
        return id_
    return str(whole("id", id_, 0))


def _find(records: Records, id_: str) -> HostNote:
    for note in records.host_notes:
        if id_ in (note.service_id, str(note.number)):
            return note
    raise NotFoundError(f"Service {id_} could not be found.")


def _shown(call: Call, row: HostRow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row.note.service_id if call.since(UUIDS) else row.note.number,
        "binary": BINARY,
        "host": row.name,
        "zone": row.zone,
        "status": "disabled" if row.disabled else "enabled",
        "state": "up" if row.up else "down",
        "updated_at": time_of(row.updated_us),
        "disabled_reason": row.disabled_reason,
    }
    return shown | {"forced_down": row.note.forced_down} if call.since(FORCED) else shown


ROUTES: Final[Routes[Call]] = {
    "/os-services": {"GET": list_services},
    "/os-services/{service_id}": {"PUT": update_service, "DELETE": delete_service},
}
