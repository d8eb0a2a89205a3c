"""Which projects may use a flavor that is not public."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.projects import require_project
from compute_plugin.v2.frame.reading import checked, text
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError

ACCESS: Final = "os_compute_api:os-flavor-access"
PRIVATE_ONLY: Final = 7
"""From this microversion on access to a public flavor cannot be given."""


async def list_access(call: Call) -> Response:
    await call.allow(ACCESS)
    flavor = (await call.records()).flavors.require(call.path("flavor_id"))
    if flavor.public:
        raise NotFoundError("Access list not available for public flavors.")
    return _shown(flavor)


async def act(call: Call) -> Response:
    """`addTenantAccess` or `removeTenantAccess`."""
    body = await call.body()
    match body.names():
        case ["addTenantAccess"]:
            return await _add(call, body.object("addTenantAccess"))
        case ["removeTenantAccess"]:
            return await _remove(call, body.object("removeTenantAccess"))
    raise InvalidError("There is no such action; there are addTenantAccess and removeTenantAccess.")


async def _add(call: Call, asked: Fields) -> Response:
    await call.allow(f"{ACCESS}:add_tenant_access")
    project = text(checked(asked, ("tenant",)), "tenant")
    await require_project(call, project)
    id_ = call.path("flavor_id")

    def step(records: Records) -> Flavor:
        flavor = records.flavors.require(id_)
        if flavor.public and call.since(PRIVATE_ONLY):
            raise ConflictError("Can not add access to a public flavor.")
        if project in flavor.projects:
            raise ConflictError(f"Flavor access already exists for flavor {id_} and project {project} combination.")
        flavor = replace(flavor, projects=(*flavor.projects, project))
        records.flavors.put(flavor)
        return flavor

    return _shown(await call.service.store.change(step))


async def _remove(call: Call, asked: Fields) -> Response:
    """Also of a project that is gone."""
    await call.allow(f"{ACCESS}:remove_tenant_access")
    project = text(checked(asked, ("tenant",)), "tenant")
    id_ = call.path("flavor_id")

    def step(records: Records) -> Flavor:
        flavor = records.flavors.require(id_)
        if project not in flavor.projects:
            raise NotFoundError(f"Flavor access not found for {id_} / {project} combination.")
        flavor = replace(flavor, projects=tuple(one for one in flavor.projects if one != project))
        records.flavors.put(flavor)
        return flavor

    return _shown(await call.service.store.change(step))


def _shown(flavor: Flavor) -> Response:
    return answer({"flavor_access": [{"flavor_id": flavor.id, "tenant_id": one} for one in flavor.projects]})


ROUTES: Final[Routes[Call]] = {
    "/flavors/{flavor_id}/os-flavor-access": {"GET": list_access},
    "/flavors/{flavor_id}/action": {"POST": act},
}
