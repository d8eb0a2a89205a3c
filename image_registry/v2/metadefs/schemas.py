"""The JSON schemas of metadata definitions: clients read them, and bodies are held against them. As in stock Glance;
what is described is said in words of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from image_registry.metadefs.definitions import NAME_CHARACTERS_MAX
from image_registry.metadefs.records import PRIVATE, PUBLIC
from image_registry.v2.schemas import Schema, check

_TYPES: Final = ["array", "boolean", "integer", "number", "object", "string", None]
_NAME: Final[Schema] = {"type": "string", "maxLength": NAME_CHARACTERS_MAX}
_TEXT: Final[Schema] = {"type": "string"}
_LINK: Final[Schema] = {"readOnly": True, "type": "string"}
_PAGES: Final[Schema] = {"first": _TEXT, "next": _TEXT, "schema": _TEXT}
_LINKS: Final = [
    {"rel": "first", "href": "{first}"},
    {"rel": "next", "href": "{next}"},
    {"rel": "describedby", "href": "{schema}"},
]


def _times(of: str) -> Schema:
    return {
        name: {"type": "string", "readOnly": True, "description": f"When the {of} was {what}", "format": "date-time"}
        for name, what in (("created_at", "made"), ("updated_at", "changed last"))
    }


_PROPERTY_PROPERTIES: Final[Schema] = {
    "name": _NAME,
    "title": _TEXT,
    "description": _TEXT,
    "operators": {"type": "array", "items": _TEXT},
    "type": {"type": "string", "enum": _TYPES},
    "required": {"$ref": "#/definitions/stringArray"},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": {"$ref": "#/definitions/positiveInteger"},
    "minLength": {"$ref": "#/definitions/positiveIntegerDefault0"},
    "pattern": {"type": "string", "format": "regex"},
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": _TYPES}, "enum": {"type": "array"}},
    },
    "maxItems": {"$ref": "#/definitions/positiveInteger"},
    "minItems": {"$ref": "#/definitions/positiveIntegerDefault0"},
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": {"type": "boolean"},
}
_PLAIN_DEFINITIONS: Final[Schema] = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
    "stringArray": {"type": "array", "items": _TEXT, "uniqueItems": True},
}
_DEFINITIONS: Final[Schema] = {
    **_PLAIN_DEFINITIONS,
    "property": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["title", "type"],
            "properties": _PROPERTY_PROPERTIES,
        },
    },
}
_PROPERTY_DEFINITIONS: Final[Schema] = {
    **_PLAIN_DEFINITIONS,
    "stringArray": {**_PLAIN_DEFINITIONS["stringArray"], "minItems": 1},
}

_OBJECT_PROPERTIES: Final[Schema] = {
    "name": _NAME,
    "description": _TEXT,
    "required": {"$ref": "#/definitions/stringArray"},
    "properties": {"$ref": "#/definitions/property"},
    "schema": _LINK,
    "self": _LINK,
    **_times("object"),
}
_RESOURCE_TYPE_PROPERTIES: Final[Schema] = {
    "name": {**_NAME, "description": "A resource type, named as in Heat where Heat has one"},
    "prefix": {**_NAME, "description": "Stands before each property's name on such resources, with its separator"},
    "properties_target": {**_NAME, "description": "Which of several sets of properties of such resources is meant"},
    **_times("association"),
}
_NAMESPACE_PROPERTIES: Final[Schema] = {
    "namespace": {**_NAME, "description": "The name, which no other namespace has"},
    "display_name": {**_NAME, "description": "The name that people are shown"},
    "description": {"type": "string", "description": "What the namespace is for", "maxLength": 500},
    "visibility": {"type": "string", "description": "Who sees the namespace", "enum": [PUBLIC, PRIVATE]},
    "protected": {"type": "boolean", "description": "Whether it cannot be deleted"},
    "owner": {"type": "string", "description": "The project whose it is", "maxLength": 255},
    **_times("namespace"),
    "schema": _LINK,
    "self": _LINK,
    "resource_type_associations": {
        "type": "array",
        "items": {"type": "object", "properties": {"name": _TEXT, "prefix": _TEXT, "properties_target": _TEXT}},
    },
    "properties": {"$ref": "#/definitions/property"},
    "objects": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": _TEXT,
                "description": _TEXT,
                "required": {"$ref": "#/definitions/stringArray"},
                "properties": {"$ref": "#/definitions/property"},
            },
        },
    },
    "tags": {"type": "array", "items": {"type": "object", "properties": {"name": _TEXT}}},
}


def _one(name: str, properties: Schema, required: list[str], definitions: Schema | None = None) -> Schema:
    schema: Schema = {"name": name, "properties": properties, "additionalProperties": False}
    if definitions:
        schema["definitions"] = definitions
    return {**schema, "required": required}


def _many(name: str, item: Schema, *, by_name: bool = False) -> Schema:
    """A list, or an object by name."""
    inner = {key: value for key, value in item.items() if key != "definitions"}
    held: Schema = {"type": "object", "additionalProperties": inner} if by_name else {"type": "array", "items": inner}
    schema: Schema = {"name": name, "properties": {name: held, **_PAGES}, "links": _LINKS}
    return {**schema, "definitions": item["definitions"]} if "definitions" in item else schema


NAMESPACE: Final = _one("namespace", _NAMESPACE_PROPERTIES, ["namespace"], _DEFINITIONS)
OBJECT: Final = _one("object", _OBJECT_PROPERTIES, ["name"], _DEFINITIONS)
PROPERTY: Final = _one("property", _PROPERTY_PROPERTIES, ["type", "title", "name"], _PROPERTY_DEFINITIONS)
RESOURCE_TYPE: Final = _one("resource_type_association", _RESOURCE_TYPE_PROPERTIES, ["name"])
TAG: Final = _one("tag", {"name": _NAME, **_times("tag")}, ["name"])
_PROPERTY_BY_NAME: Final[Schema] = {**PROPERTY, "required": ["type", "title"]}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "namespace": NAMESPACE,
    "namespaces": _many("namespaces", NAMESPACE),
    "object": OBJECT,
    "objects": _many("objects", OBJECT),
    "property": PROPERTY,
    "properties": _many("properties", _PROPERTY_BY_NAME, by_name=True),
    "resource_type": RESOURCE_TYPE,
    "resource_types": _many("resource_type_associations", RESOURCE_TYPE),
    "tag": TAG,
    "tags": _many("tags", TAG),
}
"""By the name in the path."""

_TAG_LIST: Final = _one(
    "tags",
    {
        "tags": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": _NAME}, "required": ["name"]},
        }
    },
    ["tags"],
)


def _validator(schema: Schema) -> Any:
    return jsonschema.Draft202012Validator(schema)


_INNER_PROPERTY: Final = _validator(
    {
        **_PROPERTY_BY_NAME,
        "properties": {**_PROPERTY_PROPERTIES, "confidential": {"type": "boolean"}},
        "definitions": _PLAIN_DEFINITIONS,
    }
)
"""Stock Glance takes `confidential` here, and here alone."""
_VALIDATORS: Final = {
    schema["name"]: _validator(schema) for schema in (NAMESPACE, OBJECT, PROPERTY, RESOURCE_TYPE, TAG, _TAG_LIST)
}


def check_body(name: str, said: object) -> None:
    """Raises InvalidError, with what is wrong, where this is none of the schema with that name."""
    check(_VALIDATORS[name], name, said)


def check_inner_properties(said: Mapping[str, Any]) -> None:
    """The same for properties by name, in an object or a namespace."""
    for name, one in said.items():
        check(_VALIDATORS["tag"], "property", {"name": name})
        check(_INNER_PROPERTY, "property", one)
