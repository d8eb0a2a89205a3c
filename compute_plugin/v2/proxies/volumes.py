"""Volumes and their snapshots."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import cut
from compute_plugin.v2.frame.reading import body_of, flag_in, text, whole
from compute_plugin.v2.proxies.askers import Askers, ask, called, proxied
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.inside import Asker

POLICY: Final = "os_compute_api:os-volumes:"
TEXTS: Final = {
    "display_name": "name",
    "display_description": "description",
    "volume_type": "volume_type",
    "snapshot_id": "snapshot_id",
    "availability_zone": "availability_zone",
}
"""As the volume service calls them."""

Row = dict[str, Any]


def volumes(them: Askers) -> Asker:
    return them.volumes


async def list_volumes(call: Call) -> Response:
    found = (await ask(call, volumes, "GET", "/volumes/detail"))["volumes"]
    return answer({"volumes": [_volume(one) for one in cut(call, found)]})


async def show_volume(call: Call) -> Response:
    return answer({"volume": _volume((await _one(call, "volume"))["volume"])})


async def create_volume(call: Call) -> Response:
    fields = await body_of(call, "volume", ("size",), (*TEXTS, "metadata"))
    asked = {"size": whole("size", fields.value("size"), 1), **_texts(fields)}
    if "metadata" in fields:
        asked["metadata"] = fields.object("metadata").others(frozenset())
    with called("Snapshot could not be found."):
        made = (await ask(call, volumes, "POST", "/volumes", {"volume": asked}))["volume"]
    return answer({"volume": _volume(made)})


async def delete_volume(call: Call) -> Response:
    return await _delete(call, "volume")


async def list_snapshots(call: Call) -> Response:
    found = (await ask(call, volumes, "GET", "/snapshots/detail"))["snapshots"]
    return answer({"snapshots": [_snapshot(one) for one in cut(call, found)]})


async def show_snapshot(call: Call) -> Response:
    return answer({"snapshot": _snapshot((await _one(call, "snapshot"))["snapshot"])})


async def create_snapshot(call: Call) -> Response:
    fields = await body_of(call, "snapshot", ("volume_id",), ("force", "display_name", "display_description"))
    asked = {"volume_id": text(fields, "volume_id"), "force": flag_in(fields, "force"), **_texts(fields)}
    with called(f"Volume {asked['volume_id']} could not be found."):
        made = (await ask(call, volumes, "POST", "/snapshots", {"snapshot": asked}))["snapshot"]
    return answer({"snapshot": _snapshot(made)})


async def delete_snapshot(call: Call) -> Response:
    return await _delete(call, "snapshot")


async def _one(call: Call, kind: str) -> Row:
    id_ = call.path("id")
    with called(f"{kind.capitalize()} {id_[:255]} could not be found."):
        found: Row = await ask(call, volumes, "GET", f"/{kind}s/{id_}")
    return found


async def _delete(call: Call, kind: str) -> Response:
    id_ = call.path("id")
    with called(f"{kind.capitalize()} {id_[:255]} could not be found."):
        await ask(call, volumes, "DELETE", f"/{kind}s/{id_}")
    return accepted()


def _texts(fields: Fields) -> Row:
    return {
        theirs: text(fields, ours, least=0)
        for ours, theirs in TEXTS.items()
        if ours in fields and fields.value(ours) is not None
    }


def _volume(volume: Row) -> Row:
    id_ = volume["id"]
    attachments: list[Row] = [
        {"id": id_, "volumeId": id_, "serverId": one["server_id"], "device": one["device"]}
        for one in volume.get("attachments", ())[:1]
        if one["server_id"]
    ]
    return {
        "id": id_,
        "status": volume["status"],
        "size": volume["size"],
        "availabilityZone": volume["availability_zone"],
        "createdAt": volume["created_at"],
        "attachments": attachments or [{}],
        "displayName": volume["name"],
        "displayDescription": volume["description"],
        "volumeType": volume["volume_type"],
        "snapshotId": volume["snapshot_id"],
        "metadata": volume["metadata"],
    }


def _snapshot(snapshot: Row) -> Row:
    return {
        "id": snapshot["id"],
        "status": snapshot["status"],
        "size": snapshot["size"],
        "createdAt": snapshot["created_at"],
        "displayName": snapshot["name"],
        "displayDescription": snapshot["description"],
        "volumeId": snapshot["volume_id"],
    }


ROUTES: Final[Routes[Call]] = {
    "/os-volumes": {"GET": proxied(f"{POLICY}list", list_volumes), "POST": proxied(f"{POLICY}create", create_volume)},
    "/os-volumes/detail": {"GET": proxied(f"{POLICY}detail", list_volumes)},
    "/os-volumes/{id}": {
        "GET": proxied(f"{POLICY}show", show_volume),
        "DELETE": proxied(f"{POLICY}delete", delete_volume),
    },
    "/os-snapshots": {
        "GET": proxied(f"{POLICY}snapshots:list", list_snapshots),
        "POST": proxied(f"{POLICY}snapshots:create", create_snapshot),
    },
    "/os-snapshots/detail": {"GET": proxied(f"{POLICY}snapshots:detail", list_snapshots)},
    "/os-snapshots/{id}": {
        "GET": proxied(f"{POLICY}snapshots:show", show_snapshot),
        "DELETE": proxied(f"{POLICY}snapshots:delete", delete_snapshot),
    },
}
