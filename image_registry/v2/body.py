"""JSON bodies of any kind, read with the same bounds as objects are everywhere."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from gateway.rest.fields import parse_any
from image_registry.v2.call import Call
from store.core.errors import InvalidError

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


async def json_body(call: Call) -> Any:
    """Raises InvalidError where there is none, or where it has half a character (a lone surrogate), which nothing can
    keep or say."""
    body = await call.raw_body()
    if not body:
        raise InvalidError("Body expected in request.")
    parsed = parse_any(body)
    if _SURROGATE.search(body) and not _is_text(parsed):
        raise InvalidError("Body expected to have whole characters.")
    return parsed


def _is_text(parsed: Any) -> bool:
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


async def object_body(call: Call) -> dict[str, Any]:
    """Raises InvalidError where it is no object."""
    body = await json_body(call)
    if not isinstance(body, dict):
        raise InvalidError("Body expected to be a JSON object.")
    return body
