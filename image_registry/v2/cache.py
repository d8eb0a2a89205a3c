"""`/v2/cache`: there is none, since the store is one; what clients do with it is answered as by an empty one that takes
nothing in."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from image_registry.v2.call import Call
from store.core.errors import NotFoundError


async def list_cached(call: Call) -> Response:
    await call.allow("cache_list")
    return answer({"cached_images": [], "queued_images": []})


async def clear(call: Call) -> Response:
    await call.allow("cache_delete")
    return nothing()


async def prune(call: Call) -> Response:
    """Nothing is freed, and nothing is in the way."""
    await call.allow("manage_image_cache")
    return answer({"total_files_pruned": 0, "total_bytes_pruned": 0})


async def clean(call: Call) -> Response:
    await call.allow("manage_image_cache")
    return nothing()


async def queue(call: Call) -> Response:
    """An image is as near before as afterwards."""
    await call.found("cache_image")
    return nothing(202)


async def drop(call: Call) -> Response:
    await call.allow("cache_delete")
    raise NotFoundError(f"Image {call.path('image_id')} is not cached: the store is the cache")


ROUTES: Final[Routes[Call]] = {
    "/v2/cache": {"GET": list_cached, "DELETE": clear},
    "/v2/cache/prune": {"POST": prune},
    "/v2/cache/clean": {"POST": clean},
    "/v2/cache/{image_id}": {"PUT": queue, "DELETE": drop},
}
