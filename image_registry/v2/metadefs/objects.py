"""`/v2/metadefs/namespaces/{namespace}/objects`."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from image_registry.metadefs.definitions import added, changed_to, found
from image_registry.metadefs.records import Kind
from image_registry.v2.call import Call
from image_registry.v2.metadefs.access import LINKED, allowed, namespace_for, said_of
from image_registry.v2.metadefs.paging import asked_limit, asked_visibility, is_descending
from image_registry.v2.metadefs.removal import remove_all, remove_one
from image_registry.v2.metadefs.said import said_object
from image_registry.v2.metadefs.view import object_view

_PATH: Final = "/v2/metadefs/namespaces/{namespace}/objects"
_KIND: Final = Kind.OBJECT


async def list_objects(call: Call) -> Response:
    """All of them: stock Glance looks at what is asked of pages, and tells of all."""
    asked_limit(call, least=1)
    is_descending(call)
    asked_visibility(call, ("public", "private", "shared"))
    namespace = await namespace_for(call, "get_metadef_objects")
    shown = await allowed(call, namespace, "get_metadef_object")
    rows = [object_view(namespace, one) for one in namespace.of(_KIND)] if shown else []
    return answer({"objects": rows, "schema": "v2/schemas/metadefs/objects"})


async def create_object(call: Call) -> Response:
    said = await said_of(call, *LINKED)
    namespace = await namespace_for(call, "add_metadef_object")
    one = said_object(said, call.service.definitions.now_us())
    after = await call.service.definitions.change(namespace.name, lambda now: added(now, _KIND, one))
    return answer(object_view(after, one), 201)


async def show_object(call: Call) -> Response:
    namespace = await namespace_for(call, "get_metadef_object")
    return answer(object_view(namespace, found(namespace, _KIND, call.path("object_name"))))


async def update_object(call: Call) -> Response:
    said, name = await said_of(call, *LINKED), call.path("object_name")
    namespace = await namespace_for(call, "modify_metadef_object")
    one = said_object(said, call.service.definitions.now_us())
    after = await call.service.definitions.change(namespace.name, lambda now: changed_to(now, _KIND, name, one))
    return answer(object_view(after, found(after, _KIND, one.name)))


async def delete_object(call: Call) -> Response:
    return await remove_one(call, _KIND, call.path("object_name"), "delete_metadef_object")


async def delete_objects(call: Call) -> Response:
    return await remove_all(call, _KIND, "delete_metadef_namespace")


ROUTES: Final[Routes[Call]] = {
    _PATH: {"GET": list_objects, "POST": create_object, "DELETE": delete_objects},
    f"{_PATH}/{{object_name}}": {"GET": show_object, "PUT": update_object, "DELETE": delete_object},
}
