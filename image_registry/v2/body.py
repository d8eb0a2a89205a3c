"""JSON bodies of any kind, read with the same bounds as objects are everywhere."""

from __future__ import annotations

import json
from typing import Any

from gateway.rest.fields import parse_any
from image_registry.v2.call import Call
from store.core.errors import InvalidError


async def json_body(call: Call) -> Any:
    """Raises InvalidError where there is none, or text in it that is no Unicode: nothing could keep that."""
    body = await call.raw_body()
    if not body:
        raise InvalidError("Body expected in request.")
    said = parse_any(body)
    try:
        json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidError("The body has half a surrogate pair in a text.") from error
    return said


async def object_body(call: Call) -> dict[str, Any]:
    """Raises InvalidError where it is no object."""
    body = await json_body(call)
    if not isinstance(body, dict):
        raise InvalidError("Body expected to be a JSON object.")
    return body
