"""Aggregates: hosts that have something in common, and the zones that some of them are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.grouping import Aggregate
from compute_plugin.records.records import Records
from compute_plugin.scheduling.hosts import ZONE
from compute_plugin.v2.frame.call import Call, within
from compute_plugin.v2.frame.listing import NEVER
from compute_plugin.v2.frame.reading import DB_INT_MAX, body_of, checked, named, uuid_of, whole
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.hosts.zone_rules import require_no_servers, require_one_zone
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

PATH: Final = "os-aggregates"
POLICY: Final = "os_compute_api:os-aggregates:"
UUIDS: Final = 41
IMAGES: Final = 81


async def list_aggregates(call: Call) -> Response:
    await call.allow(f"{POLICY}index")
    held = sorted((await call.records()).aggregates, key=lambda one: one.number)
    return answer({"aggregates": [shown(call, one) for one in held]})


async def show_aggregate(call: Call) -> Response:
    await call.allow(f"{POLICY}show")
    return answer({"aggregate": shown(call, find(await call.records(), path_number(call)))})


async def create_aggregate(call: Call) -> Response:
    """200, as stock nova answers."""
    await call.allow(f"{POLICY}create")
    fields = await body_of(call, "aggregate", ("name",), ("availability_zone",))
    name, zone = named(fields), _zone(fields)
    uuid, now_us = call.service.new_id(), call.service.clock.wall_us()

    def step(records: Records) -> Aggregate:
        _require_name(records, name)
        number = records.next_number("aggregate")
        aggregate = Aggregate(
            id=str(number),
            uuid=uuid,
            number=number,
            name=name,
            metadata={ZONE: zone} if zone else {},
            created_us=now_us,
        )
        records.aggregates.put(aggregate)
        return aggregate

    found = shown(call, await call.service.store.change(step))
    return answer({"aggregate": {key: value for key, value in found.items() if key not in ("hosts", "metadata")}})


async def update_aggregate(call: Call) -> Response:
    """Its name, or the zone that it is."""
    await call.allow(f"{POLICY}update")
    number = path_number(call)
    fields = await body_of(call, "aggregate", (), ("name", "availability_zone"))
    if not fields.names():
        raise InvalidError("'name' or 'availability_zone' is a required property")
    name = named(fields) if "name" in fields else None
    zone = _zone(fields)

    def change(records: Records, aggregate: Aggregate) -> Aggregate:
        if name is not None and name != aggregate.name:
            _require_name(records, name)
            aggregate = replace(aggregate, name=name)
        if "availability_zone" in fields:
            aggregate = _in_zone(records, aggregate, zone, "Cannot update aggregate")
        return aggregate

    return await changed(call, number, change)


async def delete_aggregate(call: Call) -> Response:
    """Of no hosts any more."""
    await call.allow(f"{POLICY}delete")
    number = path_number(call)

    def step(records: Records) -> None:
        aggregate = find(records, number)
        if aggregate.hosts:
            raise InvalidError(f"Cannot remove host from aggregate {number}. Reason: Host aggregate is not empty.")
        records.aggregates.delete(aggregate.id)

    await call.service.store.change(step)
    return Response(status_code=200)


async def set_metadata(call: Call, number: int, metadata: dict[str, str | None]) -> Response:
    """Of what is said already the rest stays; null takes something away."""

    def change(records: Records, aggregate: Aggregate) -> Aggregate:
        if ZONE in metadata:
            aggregate = _in_zone(records, aggregate, metadata[ZONE], "Cannot update metadata of aggregate")
        kept = {key: value for key, value in aggregate.metadata.items() if key not in metadata}
        return replace(aggregate, metadata=kept | {key: value for key, value in metadata.items() if value is not None})

    return await changed(call, number, change)


async def cache_images(call: Call) -> Response:
    """Disks of servers are clones of images: there is nothing to be fetched before."""
    await call.allow("compute:aggregates:images")
    number = path_number(call)
    body = checked(await call.body(), ("cache",))
    images = [uuid_of("id", checked(one, ("id",)).value("id")) for one in body.objects("cache")]
    if not images:
        raise InvalidError("Invalid input for field/attribute cache: it is empty.")
    if len(set(images)) != len(images):
        raise InvalidError("Duplicate images in request")
    find(await call.records(), number)
    return accepted()


async def changed(call: Call, number: int, change: Callable[[Records, Aggregate], Aggregate]) -> Response:
    """The aggregate after a change, durably."""
    now_us = call.service.clock.wall_us()

    def step(records: Records) -> Aggregate:
        aggregate = replace(change(records, find(records, number)), updated_us=now_us)
        records.aggregates.put(aggregate)
        return aggregate

    return answer({"aggregate": shown(call, await call.service.store.change(step))})


def path_number(call: Call) -> int:
    """Of the path. Raises InvalidError for what is no number."""
    return whole("id", call.path("aggregate_id"), -DB_INT_MAX)


def find(records: Records, number: int) -> Aggregate:
    """Raises NotFoundError."""
    found = records.aggregates.get(str(number))
    if found is None:
        raise NotFoundError(f"Aggregate {number} could not be found.")
    return found


def shown(call: Call, aggregate: Aggregate) -> dict[str, Any]:
    """As clients see it."""
    found = {
        "id": aggregate.number,
        "name": aggregate.name,
        "availability_zone": aggregate.metadata.get(ZONE),
        "hosts": list(aggregate.hosts),
        "metadata": aggregate.metadata,
        "created_at": time_of(aggregate.created_us),
        "updated_at": time_of(aggregate.updated_us),
        "deleted": False,
        "deleted_at": None,
    }
    return found | {"uuid": aggregate.uuid} if call.since(UUIDS) else found


def _zone(fields: Fields) -> str | None:
    value = fields.value("availability_zone")
    return None if value is None else named(fields, "availability_zone", but=":")


def _require_name(records: Records, name: str) -> None:
    if any(one.name == name for one in records.aggregates):
        raise ConflictError(f"Aggregate {name} already exists.")


def _in_zone(records: Records, aggregate: Aggregate, zone: str | None, what: str) -> Aggregate:
    """The aggregate as that zone."""

    def refuse(why: str) -> InvalidError:
        return InvalidError(f"{what} {aggregate.number}. Reason: {why}.")

    if not zone:
        raise refuse(f"Aggregate {aggregate.name} does not support empty named availability zone")
    require_one_zone(records, aggregate, zone, aggregate.hosts, refuse)
    if aggregate.metadata.get(ZONE) != zone:
        require_no_servers(records, aggregate.hosts, refuse)
    return replace(aggregate, metadata={**aggregate.metadata, ZONE: zone})


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": list_aggregates, "POST": create_aggregate},
    f"/{PATH}/{{aggregate_id}}": {"GET": show_aggregate, "PUT": update_aggregate, "DELETE": delete_aggregate},
    f"/{PATH}/{{aggregate_id}}/images": {"POST": within(IMAGES, NEVER, cache_images)},
}
