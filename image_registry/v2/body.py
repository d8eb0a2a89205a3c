"""JSON bodies of any kind, read with the same bounds as objects are everywhere."""

from __future__ import annotations

from typing import Any

from gateway.rest.fields import parse_any
from image_registry.v2.call import Call
from store.core.errors import InvalidError


async def json_body(call: Call) -> Any:
    """Raises InvalidError where there is none."""
    body = await call.raw_body()
    if not body:
        raise InvalidError("Body expected in request.")
    return parse_any(body)


async def object_body(call: Call) -> dict[str, Any]:
    """Raises InvalidError where it is no object."""
    body = await json_body(call)
    if not isinstance(body, dict):
        raise InvalidError("Body expected to be a JSON object.")
    return body
