"""What is in the store already becomes the API's: volumes and snapshots that an administrator made, or let go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.volumes.call import Call, Handler, from_minor, of
from gateway.volumes.listing import Filters, Row, page
from gateway.volumes.reading import flag_in, id_of, metadata, named, text, text_or_none
from gateway.volumes.records import GIB, Snapshot, Volume, volume_name
from gateway.volumes.snapshots import changed_snapshot, start_snapshot
from gateway.volumes.volume_create import find_type, start_volume
from gateway.volumes.volumes import changed
from gateway.volumes.work import creating
from store.blocks.interface import VolumeRow
from store.core.errors import InvalidError, NotFoundError

SINCE: Final = 8
ROWS: Final = 500
OWNED: Final = ("image-",)
"""What names of other services' volumes begin with."""
FILTERS: Final = Filters(exact=frozenset(), sorts=frozenset({"size", "reference", "created_at"}))
BAD_REFERENCE: Final = "Failed to manage existing volume due to invalid backend reference"


async def manage_volume(call: Call) -> Response:
    """It gets the name that volumes of the API have."""
    project = await call.project()
    await call.allow("volume_extension:volume_manage", of(project))
    asked = (await call.body()).object("volume")
    asked.refuse_others(
        {"description", "availability_zone", "bootable", "volume_type", "name", "host", "ref", "metadata"}
    )
    policy, source = _policy(call, text(asked, "host")), _reference(asked)
    row = await _row(call, source)
    if row.policy != policy:
        raise InvalidError(f"{BAD_REFERENCE}: it is under the storage policy {row.policy}.")
    why = _why_not(source, {volume_name(one.id) for one in await call.service.volumes.every()})
    if why:
        raise InvalidError(f"{BAD_REFERENCE}: {why}.")
    service, type_ = call.service, await find_type(call, asked) or await call.service.types.of_project(project)
    if service.types.policy_of(type_) != policy:
        raise InvalidError(f"Invalid volume type {type_.name}: it is of another storage policy.")
    zone = text_or_none(asked, "availability_zone") or service.zone
    if zone != service.zone:
        raise InvalidError(f"Availability zone '{zone}' is invalid.")
    name, description = named(asked)
    now = service.clock.wall_us()
    made = Volume(
        id=service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=name,
        description=description,
        size=-(-row.size // GIB),
        type_id=type_.id,
        zone=zone,
        created_us=now,
        updated_us=now,
        metadata=metadata("metadata", asked.value("metadata")),
        bootable=flag_in(asked, "bootable"),
        multiattach=type_.multiattach,
    )
    return await changed(call, await start_volume(call, made, {"name": source}, creating.TAKE_IN), 202)


async def manage_snapshot(call: Call) -> Response:
    """One of a volume of the API. It keeps its name in the store."""
    project = await call.project()
    await call.allow("snapshot_extension:snapshot_manage", of(project))
    asked = (await call.body()).object("snapshot")
    asked.refuse_others({"description", "metadata", "name", "ref", "volume_id"})
    volume = (await call.service.volumes.find(id_of("volume_id", asked.value("volume_id")))).record
    source, known = _reference(asked), {one.store_snapshot for one in await call.service.snapshots.of_volume(volume.id)}
    there = {row.name for row in await call.service.store.snapshots(volume_name(volume.id))}
    if source not in there or source in known:
        raise InvalidError("Failed to manage existing snapshot due to invalid backend reference.")
    name, description = named(asked)
    now = call.service.clock.wall_us()
    made = Snapshot(
        id=call.service.new_id(),
        project_id=project,
        user_id=await call.user(),
        volume_id=volume.id,
        name=name,
        description=description,
        size=volume.size,
        type_id=volume.type_id,
        created_us=now,
        updated_us=now,
        metadata=metadata("metadata", asked.value("metadata")),
        taken_in=source,
    )
    return await changed_snapshot(call, await start_snapshot(call, made, ("available", "in-use")), 202)


def _lists(operation: str, plural: str, *, detail: bool) -> Handler:
    async def listed(call: Call) -> Response:
        await call.allow(operation, of(""))
        policy = _policy(call, call.query.get("host") or "")
        rows = await (_volumes(call, policy) if plural == "volumes" else _snapshots(call, policy))
        found = page(call, rows, FILTERS, lambda name: name in ("host", "cluster"))
        hidden = {"id", "created_at", *(() if detail else ("reason_not_safe", "cinder_id", "extra_info"))}
        shown = [{name: value for name, value in row.items() if name not in hidden} for row in found.rows]
        return answer(found.document(f"manageable-{plural}", shown))

    return listed


async def _volumes(call: Call, policy: str) -> list[Row]:
    ids = {volume_name(one.id): one.id for one in await call.service.volumes.every()}
    rows: list[Row] = []
    async for row in _all(call):
        if row.policy == policy:
            why = _why_not(row.name, ids)
            rows.append(_row_of(row.name, {"source-name": row.name}, row.size, why, ids.get(row.name)))
    return rows


async def _snapshots(call: Call, policy: str) -> list[Row]:
    rows: list[Row] = []
    for volume in await call.service.volumes.every():
        name = volume_name(volume.id)
        try:
            row, there = await call.service.store.row(name), await call.service.store.snapshots(name)
        except NotFoundError:
            continue  # one that is in error, or goes
        ids = {one.store_snapshot: one.id for one in await call.service.snapshots.of_volume(volume.id)}
        for one in there if row.policy == policy else ():
            why = "already managed" if one.name in ids else None
            found = _row_of(f"{name}@{one.name}", {"source-name": one.name}, one.size, why, ids.get(one.name))
            rows.append(found | {"source_reference": {"source-name": name}})
    return rows


async def _all(call: Call) -> AsyncIterator[VolumeRow]:
    after = ""
    while rows := await call.service.store.rows(after, ROWS):
        for row in rows:
            yield row
        after = rows[-1].name


def _row_of(id_: str, reference: dict[str, str], size: int, why: str | None, cinder_id: str | None) -> Row:
    return {
        "id": id_,
        "created_at": 0,
        "reference": reference,
        "size": -(-size // GIB),
        "safe_to_manage": why is None,
        "reason_not_safe": why,
        "cinder_id": cinder_id,
        "extra_info": None,
    }


def _why_not(name: str, managed: Iterable[str]) -> str | None:
    """Why a volume of the store cannot be taken in; None where it can."""
    known = set(managed)
    if name in known:
        return "already managed"
    if name.startswith(OWNED):
        return "it is of another service"
    if any(name.startswith((f"{one}-before-", f"{one}-new-")) for one in known):
        return "it holds snapshots of a volume that is managed"
    return None


def _policy(call: Call, host: str) -> str:
    places = call.service.places
    for policy in places.policies:
        if host in (places.pool(policy), places.back_end(policy)):
            return policy
    raise InvalidError("Invalid input received: host is none of the service's.")


def _reference(asked: Fields) -> str:
    ref = asked.value("ref")
    return text(asked.object("ref"), "source-name") if isinstance(ref, dict) else text(asked, "ref")


async def _row(call: Call, name: str) -> VolumeRow:
    try:
        return await call.service.store.row(name)
    except NotFoundError as error:
        raise InvalidError(f"{BAD_REFERENCE}: there is no such volume.") from error


def _routes() -> Routes[Call]:
    found: dict[str, dict[str, Handler]] = {}
    for plural, manage, operation, older in (
        ("volumes", manage_volume, "volume_extension:list_manageable", "os-volume-manage"),
        ("snapshots", manage_snapshot, "snapshot_extension:list_manageable", "os-snapshot-manage"),
    ):
        brief, full = (_lists(operation, plural, detail=detail) for detail in (False, True))
        found[f"/manageable_{plural}"] = {"GET": from_minor(SINCE, brief), "POST": from_minor(SINCE, manage)}
        found[f"/manageable_{plural}/detail"] = {"GET": from_minor(SINCE, full)}
        found[f"/{older}"] = {"GET": from_minor(SINCE, brief), "POST": manage}
        found[f"/{older}/detail"] = {"GET": from_minor(SINCE, full)}
    return found


ROUTES: Final[Routes[Call]] = _routes()
