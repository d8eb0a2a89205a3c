"""`/v2/metadefs/namespaces`: make, show, list, change and delete namespaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from image_registry.metadefs.definitions import added
from image_registry.metadefs.records import PRIVATE, PUBLIC, Definition, Kind, Namespace
from image_registry.v2.call import Call
from image_registry.v2.listing import LIMIT_DEFAULT
from image_registry.v2.metadefs.access import LINKED, is_seen, namespace_for, refuse_protected, require, said_of
from image_registry.v2.metadefs.paging import asked_limit, asked_visibility, in_order
from image_registry.v2.metadefs.said import said_objects, said_properties, said_tags, said_types
from image_registry.v2.metadefs.schemas import check_body
from image_registry.v2.metadefs.view import namespace_view, whole_view, with_types
from store.core.errors import InvalidError

PATH: Final = "/v2/metadefs/namespaces"
_SORTED: Final[dict[str, Callable[[Namespace], Any]]] = {
    "created_at": lambda one: one.created_us,
    "updated_at": lambda one: one.updated_us,
    "namespace": lambda one: one.name,
    "display_name": lambda one: one.display_name or "",
    "description": lambda one: one.description or "",
    "visibility": lambda one: one.visibility,
    "protected": lambda one: one.protected,
    "owner": lambda one: one.owner,
}
_POLICY: Final = {
    Kind.RESOURCE_TYPE: "add_metadef_resource_type_association",
    Kind.OBJECT: "add_metadef_object",
    Kind.PROPERTY: "add_metadef_property",
    Kind.TAG: "add_metadef_tag",
}


async def list_namespaces(call: Call) -> Response:
    await require(call, "get_metadef_namespaces", "list_metadef_resource_types")
    query = call.query
    visibility = asked_visibility(call, (PUBLIC, PRIVATE))
    limit = asked_limit(call)
    limit = LIMIT_DEFAULT if limit is None else limit
    types = set(query["resource_types"].split(",")) if "resource_types" in query else None
    rows = [
        one
        for one in await call.service.definitions.all()
        if await is_seen(call, one)
        and (not visibility or one.visibility == visibility)
        and (types is None or any(held.name in types for held in one.of(Kind.RESOURCE_TYPE)))
    ]
    chosen = in_order(call, rows, _SORTED, lambda one: one.name)
    page = chosen[:limit]
    asked = [(name, value) for name, value in query.multi_items() if name != "marker"]
    body: dict[str, Any] = {
        "namespaces": [with_types(one) for one in page],
        "first": f"{PATH}?{urlencode(asked, errors='replace')}" if asked else PATH,
        "schema": "/v2/schemas/metadefs/namespaces",
    }
    if page and len(chosen) > limit:
        body["next"] = f"{PATH}?{urlencode([*asked, ('marker', page[-1].name)], errors='replace')}"
    return answer(body)


async def create_namespace(call: Call) -> Response:
    """With all that the body says is in it, or not at all."""
    said = await said_of(call, *LINKED)
    _check(said)
    now = call.service.definitions.now_us()
    held: dict[Kind, list[Definition]] = {
        Kind.RESOURCE_TYPE: said_types(said.get("resource_type_associations", []), now),
        Kind.OBJECT: said_objects(said.get("objects", []), now),
        Kind.PROPERTY: said_properties(said.get("properties", {}), now),
        Kind.TAG: said_tags(said.get("tags", []), now),
    }
    await require(call, "add_metadef_namespace", *(_POLICY[kind] for kind, ones in held.items() if ones))
    namespace = await _said(call, said, Namespace(said["namespace"], "", now, now))
    for kind, ones in held.items():
        for one in ones:
            namespace = added(namespace, kind, one)
    await call.service.definitions.create(namespace)
    response = answer(whole_view(namespace), 201)
    response.headers["Location"] = f"{PATH}/{quote(namespace.name, safe=':')}"
    return response


async def show_namespace(call: Call) -> Response:
    asked_visibility(call, (PUBLIC, PRIVATE))
    namespace = await namespace_for(
        call,
        "list_metadef_resource_types",
        "get_metadef_objects",
        "get_metadef_properties",
        "get_metadef_tags",
    )
    return answer(whole_view(namespace, call.query.get("resource_type", "")))


async def update_namespace(call: Call) -> Response:
    """All that is said of it, its name included; what is in it stays."""
    said = await said_of(call, *LINKED)
    _check(said)
    namespace = await namespace_for(call, "modify_metadef_namespace")
    now = call.service.definitions.now_us()
    owner = said.get("owner") or await call.project()

    def changed(before: Namespace) -> Namespace:
        return replace(_with(before, said, owner), name=said["namespace"], updated_us=now)

    return answer(namespace_view(await call.service.definitions.change(namespace.name, changed)))


async def delete_namespace(call: Call) -> Response:
    namespace = await namespace_for(call, "delete_metadef_namespace")
    await call.service.definitions.delete(namespace.name, refuse_protected)
    return nothing()


ROUTES: Final[Routes[Call]] = {
    PATH: {"GET": list_namespaces, "POST": create_namespace},
    f"{PATH}/{{namespace}}": {"GET": show_namespace, "PUT": update_namespace, "DELETE": delete_namespace},
}


def _check(said: dict[str, Any]) -> None:
    check_body("namespace", said)
    name = said["namespace"]
    if not name or "/" in name:
        raise InvalidError("A namespace has a name, without slashes: no path would lead to it otherwise.")


async def _said(call: Call, said: dict[str, Any], namespace: Namespace) -> Namespace:
    return _with(namespace, said, said.get("owner") or await call.project())


def _with(namespace: Namespace, said: dict[str, Any], owner: str) -> Namespace:
    return replace(
        namespace,
        owner=owner,
        display_name=said.get("display_name"),
        description=said.get("description"),
        visibility=said.get("visibility", PRIVATE),
        protected=said.get("protected", False),
    )
