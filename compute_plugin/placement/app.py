"""`PlacementApp`: Placement's API as an ASGI application."""

from __future__ import annotations

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from compute_plugin.placement.rows import CLASSES, Provider, allocations, providers
from compute_plugin.records.records import Records
from compute_plugin.service import ComputeService
from compute_plugin.v2.frame.call import Call
from gateway.rest.answers import answer, for_later, with_challenge
from gateway.rest.app import Routes, ServiceApp
from gateway.rest.errors import ForbiddenError, TooLargeError, UnauthorizedError
from gateway.rest.healthcheck import healthcheck_routes
from gateway.rest.microversions import Microversion, Microversions, VersionRangeError
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError

PREFIX: Final = "/placement"
MICROVERSIONS: Final = Microversions("placement", Microversion(1, 0), Microversion(1, 39))
LIST: Final = "placement:resource_providers:list"
TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    503: "Service Unavailable",
}


class PlacementApp(ServiceApp[Call]):
    """Serves everything at `/placement` and below."""

    def __init__(self, service: ComputeService) -> None:
        super().__init__(
            PREFIX,
            ROUTES,
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=lambda: fault(500, "An unexpected error prevented the server from fulfilling the request.", ""),
            request_id=lambda: f"req-{service.new_id()}",
            documents={"/": {"GET": show_versions}, **healthcheck_routes(service.registry)},
            microversions=MICROVERSIONS,
        )


async def show_versions(call: Call) -> Response:
    version = {
        "id": "v1.0",
        "max_version": str(MICROVERSIONS.most),
        "min_version": str(MICROVERSIONS.least),
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return answer({"versions": [version]})


# -- providers ---------------------------------------------------------------------------------------------------


async def list_providers(call: Call) -> Response:
    """By name, uuid, aggregates (`member_of`), room (`resources`) and traits (`required`)."""
    _, found = await _providers(call)
    query = call.query
    if "name" in query:
        found = [one for one in found if one.host.name == query["name"]]
    if "uuid" in query:
        found = [one for one in found if one.uuid == query["uuid"]]
    for said in query.getlist("member_of"):
        wanted = set(said.removeprefix("in:").split(","))
        found = [one for one in found if wanted & set(one.aggregates)]
    for said in query.getlist("required"):
        found = [one for one in found if all((trait in one.traits) for trait in said.split(",") if trait)]
    if "resources" in query:
        resources = _resources(query["resources"])
        found = [one for one in found if one.has_room(resources)]
    return answer({"resource_providers": [_shown(one) for one in found]})


async def show_provider(call: Call) -> Response:
    return answer(_shown(await _provider(call)))


async def show_inventories(call: Call) -> Response:
    found = await _provider(call)
    return answer({"resource_provider_generation": 1, "inventories": dict(found.inventories)})


async def show_inventory(call: Call) -> Response:
    found, name = await _provider(call), call.path("resource_class")
    if name not in found.inventories:
        raise NotFoundError(f"No inventory of class {name[:255]} found for {found.uuid}")
    return answer({"resource_provider_generation": 1, **found.inventories[name]})


async def show_usages(call: Call) -> Response:
    found = await _provider(call)
    return answer({"resource_provider_generation": 1, "usages": dict(found.usages)})


async def show_aggregates(call: Call) -> Response:
    found = await _provider(call)
    return answer({"aggregates": list(found.aggregates), "resource_provider_generation": 1})


async def show_traits_of(call: Call) -> Response:
    found = await _provider(call)
    return answer({"traits": list(found.traits), "resource_provider_generation": 1})


async def show_allocations_of(call: Call) -> Response:
    """Of the servers that a provider has."""
    found = await _provider(call)
    uuids = {found.host.name: found.uuid}
    held = {one.id: allocations(one, uuids)[found.uuid] for one in found.host.servers}
    return answer({"resource_provider_generation": 1, "allocations": held})


# -- consumers ---------------------------------------------------------------------------------------------------


async def show_allocations(call: Call) -> Response:
    """Of a server; nothing of what is none."""
    records, found = await _providers(call)
    server = records.servers.get(call.path("consumer"))
    if server is None:
        return answer({"allocations": {}})
    held = allocations(server, {one.host.name: one.uuid for one in found})
    return answer(
        {
            "allocations": {uuid: {**one, "generation": 1} for uuid, one in held.items()},
            "project_id": server.project_id,
            "user_id": server.user_id,
            "consumer_generation": 1,
            "consumer_type": "INSTANCE",
        }
    )


async def show_usages_of(call: Call) -> Response:
    """Of a project."""
    project = call.query.get("project_id")
    if project is None:
        raise InvalidError("project_id is needed")
    records, found = await _providers(call)
    uuids = {one.host.name: one.uuid for one in found}
    total = dict.fromkeys(CLASSES, 0)
    for server in records.servers.by("project", project):
        for one in allocations(server, uuids).values():
            for name, amount in one["resources"].items():
                total[name] += amount
    return answer({"usages": total})


async def show_candidates(call: Call) -> Response:
    """Providers that have room for what is asked for."""
    if "resources" not in call.query:
        raise InvalidError("resources is needed, such as VCPU:1,MEMORY_MB:512")
    resources = _resources(call.query["resources"])
    _, found = await _providers(call)
    able = [one for one in found if one.has_room(resources)]
    summaries = {
        one.uuid: {
            "resources": {name: {"capacity": one.capacity(name), "used": one.usages[name]} for name in one.inventories},
            "traits": list(one.traits),
            "parent_provider_uuid": None,
            "root_provider_uuid": one.uuid,
        }
        for one in able
    }
    requests = [{"allocations": {one.uuid: {"resources": resources}}, "mappings": {"": [one.uuid]}} for one in able]
    return answer({"allocation_requests": requests, "provider_summaries": summaries})


async def list_classes(call: Call) -> Response:
    await call.allow(LIST)
    rows = [{"name": name, "links": [{"rel": "self", "href": f"/resource_classes/{name}"}]} for name in CLASSES]
    return answer({"resource_classes": rows})


async def list_traits(call: Call) -> Response:
    _, found = await _providers(call)
    return answer({"traits": sorted({trait for one in found for trait in one.traits})})


# -- the rest ----------------------------------------------------------------------------------------------------


async def _providers(call: Call) -> tuple[Records, list[Provider]]:
    await call.allow(LIST)
    records, service = await call.records(), call.service
    return records, list(providers(records, service.states.states, service.settings))


async def _provider(call: Call) -> Provider:
    """Raises NotFoundError."""
    _, found = await _providers(call)
    uuid = call.path("uuid")
    for one in found:
        if one.uuid == uuid:
            return one
    raise NotFoundError(f"No resource provider with uuid {uuid[:64]} found")


def _resources(said: str) -> dict[str, int]:
    """Such as `VCPU:1,MEMORY_MB:512`. Raises InvalidError."""
    found: dict[str, int] = {}
    for one in said.split(","):
        name, _, amount = one.partition(":")
        if not name or not amount.isdecimal() or len(amount) > 9 or int(amount) < 1:
            raise InvalidError(f"Badly formed resources parameter: {one[:64]!a}; such as VCPU:1,MEMORY_MB:512")
        found[name] = int(amount)
    return found


def _shown(one: Provider) -> dict[str, Any]:
    path = f"{PREFIX}/resource_providers/{one.uuid}"
    parts = ("inventories", "usages", "aggregates", "traits", "allocations")
    return {
        "uuid": one.uuid,
        "name": one.host.name,
        "generation": 1,
        "parent_provider_uuid": None,
        "root_provider_uuid": one.uuid,
        "links": [{"rel": "self", "href": path}, *({"rel": part, "href": f"{path}/{part}"} for part in parts)],
    }


def fault(status: int, detail: str, request_id: str) -> Response:
    """An error in Placement's form."""
    error = {"status": status, "title": TITLES.get(status, "Error"), "detail": detail, "request_id": request_id}
    return answer({"errors": [error]}, status)


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case UnauthorizedError():
            return with_challenge(fault(401, "Authentication required", call.request_id), call)
        case ForbiddenError():
            return fault(403, f"Policy does not allow {error} to be performed.", call.request_id)
        case NotFoundError():
            return fault(404, str(error), call.request_id)
        case VersionRangeError():
            return fault(406, str(error), call.request_id)
        case ConflictError():
            return fault(409, str(error), call.request_id)
        case TooLargeError():
            return fault(413, str(error), call.request_id)
        case InvalidError():
            return fault(400, str(error), call.request_id)
        case RetryableError():
            return for_later(fault(503, "The service cannot do this now; try again.", call.request_id))
        case HTTPException(status_code=405):
            return fault(405, "This is not done here: hosts and servers say it themselves.", call.request_id)
        case HTTPException(status_code=status):
            return fault(status, "The resource could not be found.", call.request_id)
    return None


ROUTES: Final[Routes[Call]] = {
    "/resource_providers": {"GET": list_providers},
    "/resource_providers/{uuid}": {"GET": show_provider},
    "/resource_providers/{uuid}/inventories": {"GET": show_inventories},
    "/resource_providers/{uuid}/inventories/{resource_class}": {"GET": show_inventory},
    "/resource_providers/{uuid}/usages": {"GET": show_usages},
    "/resource_providers/{uuid}/aggregates": {"GET": show_aggregates},
    "/resource_providers/{uuid}/traits": {"GET": show_traits_of},
    "/resource_providers/{uuid}/allocations": {"GET": show_allocations_of},
    "/allocations/{consumer}": {"GET": show_allocations},
    "/usages": {"GET": show_usages_of},
    "/allocation_candidates": {"GET": show_candidates},
    "/resource_classes": {"GET": list_classes},
    "/traits": {"GET": list_traits},
}
