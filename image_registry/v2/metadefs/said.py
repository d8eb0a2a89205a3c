"""What clients say of the things in a namespace, held against the schemas, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from image_registry.metadefs.records import Definition
from image_registry.v2.metadefs.schemas import check_body, check_inner_properties


def said_object(said: Mapping[str, Any], now_us: int) -> Definition:
    """Raises InvalidError."""
    check_body("object", said)
    check_inner_properties(said.get("properties", {}))
    return _definition(said, now_us)


def said_property(said: Mapping[str, Any], now_us: int) -> Definition:
    """Raises InvalidError."""
    check_body("property", said)
    return _definition(said, now_us)


def said_tag(said: Mapping[str, Any], now_us: int) -> Definition:
    """Raises InvalidError."""
    check_body("tag", said)
    return Definition(said["name"], now_us, now_us)


def said_type(said: Mapping[str, Any], now_us: int) -> Definition:
    """Raises InvalidError."""
    check_body("resource_type_association", said)
    return _definition(said, now_us)


def said_objects(said: Sequence[Mapping[str, Any]], now_us: int) -> list[Definition]:
    """Raises InvalidError."""
    return [said_object(one, now_us) for one in said]


def said_properties(said: Mapping[str, Mapping[str, Any]], now_us: int) -> list[Definition]:
    """By name. Raises InvalidError."""
    check_inner_properties(said)
    return [
        Definition(name, now_us, now_us, {key: value for key, value in one.items() if key != "name"})
        for name, one in said.items()
    ]


def said_tags(said: Sequence[Mapping[str, Any]], now_us: int) -> list[Definition]:
    """Raises InvalidError."""
    return [said_tag(one, now_us) for one in said]


def said_types(said: Sequence[Mapping[str, Any]], now_us: int) -> list[Definition]:
    """Raises InvalidError."""
    return [said_type(one, now_us) for one in said]


def _definition(said: Mapping[str, Any], now_us: int) -> Definition:
    return Definition(said["name"], now_us, now_us, {key: value for key, value in said.items() if key != "name"})
