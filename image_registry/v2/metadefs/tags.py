"""`/v2/metadefs/namespaces/{namespace}/tags`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from image_registry.metadefs.definitions import added, changed_to, found, with_all
from image_registry.metadefs.records import Definition, Kind, Namespace
from image_registry.v2.call import Call
from image_registry.v2.metadefs.access import namespace_for, said_of
from image_registry.v2.metadefs.paging import asked_limit, asked_visibility, in_order
from image_registry.v2.metadefs.removal import remove_all, remove_one
from image_registry.v2.metadefs.said import said_tag, said_tags
from image_registry.v2.metadefs.schemas import check_body
from image_registry.v2.metadefs.view import tag_view

_PATH: Final = "/v2/metadefs/namespaces/{namespace}/tags"
_KIND: Final = Kind.TAG
_SORTED: Final[dict[str, Callable[[Definition], Any]]] = {
    "created_at": lambda one: one.created_us,
    "updated_at": lambda one: one.updated_us,
    "name": lambda one: one.name,
}
_YES: Final = ("1", "t", "true", "on", "y", "yes")
"""What oslo.utils takes for a yes, in any case."""


async def list_tags(call: Call) -> Response:
    limit = asked_limit(call)
    asked_visibility(call, ("public", "private", "shared"))
    namespace = await namespace_for(call, "get_metadef_tags")
    rows = in_order(call, namespace.of(_KIND), _SORTED, lambda one: one.name)
    return answer({"tags": [{"name": one.name} for one in rows[:limit]]})


async def create_tags(call: Call) -> Response:
    """In the place of those that are there, or besides them where the header X-OpenStack-Append says so."""
    said = await said_of(call)
    namespace = await namespace_for(call, "add_metadef_tags")
    check_body("tags", said)
    ones = said_tags(said["tags"], call.service.definitions.now_us())
    keeps = call.request.headers.get("x-openstack-append", "").strip().lower() in _YES

    def changed(now: Namespace) -> Namespace:
        after = now if keeps else with_all(now, _KIND, ())
        for one in ones:
            after = added(after, _KIND, one)
        return after

    if ones:
        await call.service.definitions.change(namespace.name, changed)
    return answer({"tags": [{"name": one.name} for one in ones]}, 201)


async def delete_tags(call: Call) -> Response:
    return await remove_all(call, _KIND, "delete_metadef_namespace", "delete_metadef_tags")


async def create_tag(call: Call) -> Response:
    """Of the name in the path."""
    namespace = await namespace_for(call, "add_metadef_tag")
    one = said_tag({"name": call.path("tag_name")}, call.service.definitions.now_us())
    await call.service.definitions.change(namespace.name, lambda now: added(now, _KIND, one))
    return answer(tag_view(one), 201)


async def show_tag(call: Call) -> Response:
    namespace = await namespace_for(call, "get_metadef_tag")
    return answer(tag_view(found(namespace, _KIND, call.path("tag_name"))))


async def update_tag(call: Call) -> Response:
    said, name = await said_of(call), call.path("tag_name")
    namespace = await namespace_for(call, "modify_metadef_tag")
    one = said_tag(said, call.service.definitions.now_us())
    after = await call.service.definitions.change(namespace.name, lambda now: changed_to(now, _KIND, name, one))
    return answer(tag_view(found(after, _KIND, one.name)))


async def delete_tag(call: Call) -> Response:
    return await remove_one(call, _KIND, call.path("tag_name"), "delete_metadef_tag")


ROUTES: Final[Routes[Call]] = {
    _PATH: {"GET": list_tags, "POST": create_tags, "DELETE": delete_tags},
    f"{_PATH}/{{tag_name}}": {"GET": show_tag, "POST": create_tag, "PUT": update_tag, "DELETE": delete_tag},
}
