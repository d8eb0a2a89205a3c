"""What clients keep with images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from compute_plugin.records.amounts import NO_LIMIT
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import metadata
from compute_plugin.v2.proxies.askers import ask, called, proxied
from compute_plugin.v2.proxies.image_view import properties
from compute_plugin.v2.proxies.images import MISSING, find_image
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import OverLimitError
from store.core.errors import InvalidError, NotFoundError

LAST: Final = 38
"""The last microversion that has them."""


async def show_all(call: Call) -> Response:
    return answer({"metadata": properties(await find_image(call, call.path("image_id")))})


async def show_one(call: Call) -> Response:
    held, key = properties(await find_image(call, call.path("image_id"))), call.path("key")
    if key not in held:
        raise HTTPException(404)
    return answer({"meta": {key: held[key]}})


async def create(call: Call) -> Response:
    """Those that are there and not named stay."""
    said = await _said(call, "metadata")
    held = properties(await find_image(call, call.path("image_id")))
    return answer({"metadata": await _put(call, held, held | said)})


async def replace_all(call: Call) -> Response:
    said = await _said(call, "metadata")
    held = properties(await find_image(call, call.path("image_id")))
    return answer({"metadata": await _put(call, held, said)})


async def replace_one(call: Call) -> Response:
    said = await _said(call, "meta")
    if len(said) != 1 or call.path("key") not in said:
        raise InvalidError("Request body and URI mismatch")
    held = properties(await find_image(call, call.path("image_id")))
    await _put(call, held, held | said)
    return answer({"meta": said})


async def delete_one(call: Call) -> Response:
    held, key = properties(await find_image(call, call.path("image_id"))), call.path("key")
    if key not in held:
        raise NotFoundError("Invalid metadata key")
    await _put(call, held, {name: value for name, value in held.items() if name != key})
    return nothing()


async def _said(call: Call, name: str) -> dict[str, str]:
    body = await call.body()
    body.refuse_others((name,))
    return {key: value or "" for key, value in metadata(name, body.value(name)).items()}


async def _put(call: Call, before: Mapping[str, str], after: Mapping[str, str]) -> Mapping[str, str]:
    """What is to be there instead."""
    limit = call.service.settings.limits_of(await call.records(), await call.project())["metadata_items"]
    if limit != NO_LIMIT and len(after) > limit:
        raise OverLimitError(f"Image metadata limit of {limit} items is exceeded.")
    changes = [{"op": "remove", "path": _pointer(name)} for name in before.keys() - after.keys()]
    changes += [
        {"op": "replace" if name in before else "add", "path": _pointer(name), "value": value}
        for name, value in after.items()
        if before.get(name) != value
    ]
    if changes:
        with called(MISSING):
            path = f"/images/{call.path('image_id')}"
            await ask(call, lambda them: them.image_patches, "PATCH", path, json.dumps(changes).encode())
    return after


def _pointer(name: str) -> str:
    """RFC 6901."""
    return f"/{name.replace('~', '~0').replace('/', '~1')}"


ROUTES: Final[Routes[Call]] = {
    "/images/{image_id}/metadata": {
        "GET": proxied("", show_all, LAST),
        "POST": proxied("", create, LAST),
        "PUT": proxied("", replace_all, LAST),
    },
    "/images/{image_id}/metadata/{key}": {
        "GET": proxied("", show_one, LAST),
        "PUT": proxied("", replace_one, LAST),
        "DELETE": proxied("", delete_one, LAST),
    },
}
