"""Metadata definitions as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from image_registry.metadefs.records import Definition, Kind, Namespace
from image_registry.v2.view import time_view

Row = dict[str, Any]


def namespace_view(namespace: Namespace) -> Row:
    """Without what is in it."""
    return _without_none(
        {
            "namespace": namespace.name,
            "display_name": namespace.display_name,
            "description": namespace.description,
            "visibility": namespace.visibility,
            "protected": namespace.protected,
            "owner": namespace.owner,
            "created_at": time_view(namespace.created_us),
            "updated_at": time_view(namespace.updated_us),
            "self": f"/v2/metadefs/namespaces/{namespace.name}",
            "schema": "/v2/schemas/metadefs/namespace",
        }
    )


def with_types(namespace: Namespace) -> Row:
    """With the resource types that it is associated with, if there are any: as in lists."""
    types = [resource_type_view(one) for one in namespace.of(Kind.RESOURCE_TYPE)]
    return {**namespace_view(namespace), **({"resource_type_associations": types} if types else {})}


def whole_view(namespace: Namespace, resource_type: str = "") -> Row:
    """With all that is in it; names of properties are those on resources of that type."""
    prefix = namespace.prefix(resource_type)
    properties = {f"{prefix}{one.name}": dict(one.said) for one in namespace.of(Kind.PROPERTY)}
    objects = [_prefixed(object_view(namespace, one), prefix) for one in namespace.of(Kind.OBJECT)]
    tags = [{"name": one.name} for one in namespace.of(Kind.TAG)]
    held = {"objects": objects, "properties": properties, "tags": tags}
    return {**with_types(namespace), **{name: value for name, value in held.items() if value}}


def object_view(namespace: Namespace, one: Definition) -> Row:
    return _without_none(
        {
            "name": one.name,
            "description": one.said.get("description"),
            "required": one.said.get("required", []),
            "properties": one.said.get("properties", {}),
            **_times(one),
            "self": f"/v2/metadefs/namespaces/{namespace.name}/objects/{one.name}",
            "schema": "/v2/schemas/metadefs/object",
        }
    )


def property_view(one: Definition) -> Row:
    return {**one.said, "name": one.name}


def tag_view(one: Definition) -> Row:
    return {"name": one.name, **_times(one)}


def resource_type_view(one: Definition) -> Row:
    return {"name": one.name, **one.said, **_times(one)}


def _prefixed(row: Row, prefix: str) -> Row:
    properties: Mapping[str, Any] = row["properties"]
    return {
        **row,
        "properties": {f"{prefix}{name}": value for name, value in properties.items()},
        "required": [f"{prefix}{name}" for name in row["required"]],
    }


def _times(one: Definition) -> Row:
    return {"created_at": time_view(one.created_us), "updated_at": time_view(one.updated_us)}


def _without_none(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
