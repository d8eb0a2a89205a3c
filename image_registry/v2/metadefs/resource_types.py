"""`/v2/metadefs/resource_types`, and which of them a namespace is associated with."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from image_registry.metadefs.definitions import added, removed
from image_registry.metadefs.records import Kind, Namespace
from image_registry.v2.call import Call
from image_registry.v2.metadefs.access import allowed, is_seen, namespace_for, refuse_protected, require, said_of
from image_registry.v2.metadefs.said import said_type
from image_registry.v2.metadefs.view import resource_type_view
from image_registry.v2.view import time_view
from store.core.errors import NotFoundError

KNOWN: Final = (
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Nova::Aggregate",
    "OS::Nova::Flavor",
    "OS::Nova::Server",
)
"""What is always there; others are there as long as a namespace is associated with them."""
_PATH: Final = "/v2/metadefs/namespaces/{namespace}/resource_types"
_KIND: Final = Kind.RESOURCE_TYPE


async def list_types(call: Call) -> Response:
    """Of the namespaces that the caller sees."""
    await require(call, "list_metadef_resource_types")
    rows: dict[str, dict[str, Any]] = {name: {"name": name} for name in KNOWN}
    for namespace in await call.service.definitions.all():
        if await is_seen(call, namespace):
            for one in namespace.of(_KIND):
                made = time_view(one.created_us)
                rows.setdefault(one.name, {"name": one.name, "created_at": made, "updated_at": made})
    return answer({"resource_types": list(rows.values())})


async def list_associations(call: Call) -> Response:
    namespace = await namespace_for(call, "list_metadef_resource_types")
    shown = await allowed(call, namespace, "get_metadef_resource_type")
    rows = [resource_type_view(one) for one in namespace.of(_KIND)] if shown else []
    return answer({"resource_type_associations": rows})


async def create_association(call: Call) -> Response:
    said = await said_of(call)
    namespace = await namespace_for(call, "add_metadef_resource_type_association")
    one = said_type(said, call.service.definitions.now_us())
    await call.service.definitions.change(namespace.name, lambda now: added(now, _KIND, one))
    return answer(resource_type_view(one), 201)


async def delete_association(call: Call) -> Response:
    name = call.path("resource_type")
    namespace = await namespace_for(call, "remove_metadef_resource_type_association")

    def without(now: Namespace) -> Namespace:
        if now.find(_KIND, name) is None:
            raise NotFoundError(f"Failed to find resource type {name} to delete")
        refuse_protected(now, _KIND, name)
        return removed(now, _KIND, name)

    await call.service.definitions.change(namespace.name, without)
    return nothing()


ROUTES: Final[Routes[Call]] = {
    "/v2/metadefs/resource_types": {"GET": list_types},
    _PATH: {"GET": list_associations, "POST": create_association},
    f"{_PATH}/{{resource_type}}": {"DELETE": delete_association},
}
