"""`/v2/metadefs/namespaces/{namespace}/properties`."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from image_registry.metadefs.definitions import added, changed_to, found
from image_registry.metadefs.records import Kind
from image_registry.v2.call import Call
from image_registry.v2.metadefs.access import namespace_for, said_of
from image_registry.v2.metadefs.removal import remove_all, remove_one
from image_registry.v2.metadefs.said import said_property
from image_registry.v2.metadefs.view import property_view
from store.core.errors import NotFoundError

_PATH: Final = "/v2/metadefs/namespaces/{namespace}/properties"
_KIND: Final = Kind.PROPERTY


async def list_properties(call: Call) -> Response:
    namespace = await namespace_for(call, "get_metadef_properties")
    return answer({"properties": {one.name: dict(one.said) for one in namespace.of(_KIND)}})


async def create_property(call: Call) -> Response:
    said = await said_of(call)
    namespace = await namespace_for(call, "add_metadef_property")
    one = said_property(said, call.service.definitions.now_us())
    await call.service.definitions.change(namespace.name, lambda now: added(now, _KIND, one))
    return answer(property_view(one), 201)


async def show_property(call: Call) -> Response:
    """By its own name, or by the one that it has on resources of `resource_type`."""
    name, resource_type = call.path("property_name"), call.query.get("resource_type", "")
    namespace = await namespace_for(call, "get_metadef_property")
    if resource_type:
        await namespace_for(call, "get_metadef_resource_type")
        found(namespace, Kind.RESOURCE_TYPE, resource_type)
        prefix = namespace.prefix(resource_type)
        if not prefix or not name.startswith(prefix):
            raise NotFoundError(
                f"Property {name} does not start with the expected resource type association prefix of '{prefix}'."
            )
        name = name.removeprefix(prefix)
    return answer(property_view(found(namespace, _KIND, name)))


async def update_property(call: Call) -> Response:
    said, name = await said_of(call), call.path("property_name")
    namespace = await namespace_for(call, "modify_metadef_property")
    one = said_property(said, call.service.definitions.now_us())
    await call.service.definitions.change(namespace.name, lambda now: changed_to(now, _KIND, name, one))
    return answer(property_view(one))


async def delete_property(call: Call) -> Response:
    return await remove_one(call, _KIND, call.path("property_name"), "remove_metadef_property")


async def delete_properties(call: Call) -> Response:
    return await remove_all(call, _KIND, "delete_metadef_namespace")


ROUTES: Final[Routes[Call]] = {
    _PATH: {"GET": list_properties, "POST": create_property, "DELETE": delete_properties},
    f"{_PATH}/{{property_name}}": {"GET": show_property, "PUT": update_property, "DELETE": delete_property},
}
