"""Transfers: a project offers a volume, and whoever has the key takes it into another project."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.quota_records import Amounts
from gateway.rest.reserving import reserving
from gateway.rest.times import shown_us
from gateway.volumes import amounts
from gateway.volumes.call import Call, of
from gateway.volumes.listing import Filters, Listed, page, wants_all
from gateway.volumes.reading import flag_in, id_of, text, text_or_none
from gateway.volumes.records import Snapshot, Volume
from gateway.volumes.standing import change_volume, find_volume, require, snapshot_standing, standing
from gateway.volumes.table import Found
from gateway.volumes.transfer_records import Transfer, hash_of
from gateway.volumes.volume_create import check_size
from gateway.volumes.volume_view import links
from store.core.errors import InvalidError, NotFoundError
from store.registry import Compare, Delete, Put

SNAPSHOTS: Final = 55
HISTORY: Final = 57
KEY_BYTES: Final = 8
SALT_BYTES: Final = 16
SNAPSHOTS_MAX: Final = 30
"""That go with a volume: all of it is one transaction."""
FILTERS: Final = Filters(
    exact=frozenset({"name", "volume_id", "id"}),
    sorts=frozenset({"id", "name", "created_at", "volume_id"}),
)


async def list_transfers(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("transfers", [_summary(call, row["_"]) for row in found.rows]))


async def list_transfers_detail(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("transfers", [_detail(call, row["_"]) for row in found.rows]))


async def show_transfer(call: Call) -> Response:
    return answer({"transfer": _detail(call, (await _find(call, "volume:get_transfer")).record)})


async def create_transfer(call: Call) -> Response:
    """The key is told once."""
    asked = (await call.body()).object("transfer")
    newer = call.since(SNAPSHOTS) and "volume-transfers" in call.request.url.path
    asked.refuse_others({"volume_id", "name", *(("no_snapshots",) if newer else ())})
    volume_id = id_of("volume_id", asked.value("volume_id"))
    name, alone = text_or_none(asked, "name"), flag_in(asked, "no_snapshots")
    volume = (await find_volume(call, "volume:create_transfer", volume_id)).record
    service = call.service
    if not alone:
        await _snapshots(call, volume)
    key, salt = service.random.bytes(KEY_BYTES).hex(), service.random.bytes(SALT_BYTES)
    now = service.clock.wall_us()
    made = Transfer(service.new_id(), volume.project_id, volume.id, name, salt, hash_of(salt, key), alone, now)

    def step(one: Volume, status: str) -> Volume:
        require(status, ("available",), "be transferred")
        return replace(one, transfer_id=made.id)

    await change_volume(service, volume.id, step, lambda _: service.transfers.puts(made))
    return answer({"transfer": _detail(call, made) | {"auth_key": key}}, 202)


async def delete_transfer(call: Call) -> Response:
    """The volume is not offered any more."""
    found = await _find(call, "volume:delete_transfer")
    service, one = call.service, found.record
    deletes = service.transfers.deletes(one)

    def step(volume: Volume, _: str) -> Volume:
        return replace(volume, transfer_id=None) if volume.transfer_id == one.id else volume

    with suppress(NotFoundError):  # of a volume that is gone what is left of the offer goes below
        await change_volume(service, one.volume_id, step, lambda _: deletes)
    await service.registry.transact((), deletes)
    return accepted()


async def accept_transfer(call: Call) -> Response:
    """The volume is the caller's project's, and counts there; in one moment with its snapshots."""
    project = await call.project()
    await call.allow("volume:accept_transfer", of(project))
    key = text((await call.body()).object("accept"), "auth_key")
    found = await call.service.transfers.find(call.path("transfer_id"))
    if not found.record.opens(key):
        raise InvalidError("Invalid auth key: the transfer is not opened by it.")
    await _accept(call, found, project)
    return answer({"transfer": _summary(call, found.record)}, 202)


async def _accept(call: Call, found: Found[Transfer], project: str) -> None:
    service, transfer = call.service, found.record
    volume = await service.volumes.find(transfer.volume_id)
    now = await standing(service, volume.record)
    require(now.status, ("awaiting-transfer",), "be transferred")
    if volume.record.transfer_id != transfer.id:
        raise InvalidError("Invalid volume: it is offered by another transfer.")
    await check_size(call, project, volume.record.size)
    snapshots = [] if transfer.no_snapshots else await _snapshots(call, volume.record)
    mine = replace(volume.record, project_id=project, user_id=await call.user(), transfer_id=None)
    mine = replace(mine, updated_us=service.clock.wall_us())
    operations: list[Put | Delete] = [
        *service.volumes.moves(volume.record, mine),
        *service.transfers.deletes(transfer),
    ]
    counted: Amounts = dict(amounts.of_volume(mine.size, mine.type_id))
    for one in snapshots:
        theirs = one.record
        operations += service.snapshots.moves(theirs, replace(theirs, project_id=project, user_id=mine.user_id))
        for name, amount in amounts.of_snapshot(theirs.size, theirs.type_id).items():
            counted[name] = counted.get(name, 0) + amount
    compares: Sequence[Compare] = [found.same, volume.same, *(one.same for one in snapshots)]
    async with reserving(service.quotas, project, counted) as reservation:
        await service.quotas.hand_over(reservation, volume.record.project_id, operations, compares)


async def _snapshots(call: Call, volume: Volume) -> list[Found[Snapshot]]:
    """Those of the volume's project, which go with it. Raises InvalidError where one is not available."""
    found: list[Found[Snapshot]] = []
    for one in await call.service.snapshots.of_volume(volume.id):
        if one.project_id == volume.project_id:
            held = await call.service.snapshots.find(one.id)
            _, status = await snapshot_standing(call.service, held.record)
            if status != "available":
                raise InvalidError(f"Invalid snapshot: {one.id} has to be available, and is {status}.")
            found.append(held)
    if len(found) > SNAPSHOTS_MAX:
        raise InvalidError(f"Invalid volume: it has more than {SNAPSHOTS_MAX} snapshots.")
    return found


async def _find(call: Call, operation: str) -> Found[Transfer]:
    id_ = call.path("transfer_id")
    found = await call.service.transfers.find(id_)
    missing = NotFoundError(f"Transfer {id_} could not be found.")
    await call.allow_found(operation, found.record.project_id, missing)
    return found


async def _listed(call: Call) -> Listed:
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("volume:get_all_transfers", of(mine))
    table = call.service.transfers
    held = await (table.every() if everywhere else table.of_project(mine))
    rows = [_summary(call, one) | {"created_at": one.created_us, "_": one} for one in held]
    return page(call, rows, FILTERS)


def _summary(call: Call, one: Transfer) -> dict[str, Any]:
    return {
        "id": one.id,
        "volume_id": one.volume_id,
        "name": one.name,
        "links": links(call, "volume-transfers" if call.since(SNAPSHOTS) else "os-volume-transfer", one.id),
    }


def _detail(call: Call, one: Transfer) -> dict[str, Any]:
    shown = _summary(call, one) | {"created_at": shown_us(one.created_us)}
    if call.since(SNAPSHOTS):
        shown["no_snapshots"] = one.no_snapshots
    if call.since(HISTORY):
        shown |= {
            "source_project_id": one.project_id,
            "destination_project_id": None,
            "accepted": False,
        }
    return shown


def _routes(path: str) -> Routes[Call]:
    return {
        path: {"GET": list_transfers, "POST": create_transfer},
        f"{path}/detail": {"GET": list_transfers_detail},
        f"{path}/{{transfer_id}}": {"GET": show_transfer, "DELETE": delete_transfer},
        f"{path}/{{transfer_id}}/accept": {"POST": accept_transfer},
    }


ROUTES: Final[Routes[Call]] = {**_routes("/os-volume-transfer"), **_routes("/volume-transfers")}
