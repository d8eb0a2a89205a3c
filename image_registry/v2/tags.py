"""`/v2/images/{image_id}/tags/{tag}`, and the actions of an image."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import nothing
from gateway.rest.app import Routes
from gateway.rest.errors import TooLargeError
from image_registry.attributes import TAGS_MAX
from image_registry.errors import AttributeForbiddenError
from image_registry.records import Image, Status
from image_registry.v2.call import Call
from image_registry.v2.schemas import check_image
from store.core.errors import NotFoundError


async def add_tag(call: Call) -> Response:
    tag = call.path("tag")
    check_image({"tags": [tag]})
    found = await call.found("modify_image")

    def added(image: Image) -> Image:
        if tag in image.tags:
            return image
        if len(image.tags) >= TAGS_MAX:
            raise TooLargeError(f"Image tag limit exceeded for image {image.id}: the limit is {TAGS_MAX} tags.")
        return replace(image, tags=(*image.tags, tag))

    await call.service.images.change(found.image.id, added)
    return nothing()


async def remove_tag(call: Call) -> Response:
    tag = call.path("tag")
    found = await call.found("modify_image")

    def removed(image: Image) -> Image:
        if tag not in image.tags:
            raise NotFoundError("The resource could not be found.")
        return replace(image, tags=tuple(one for one in image.tags if one != tag))

    await call.service.images.change(found.image.id, removed)
    return nothing()


def _turns(operation: str, before: Status, after: Status) -> Callable[[Call], Awaitable[Response]]:
    async def turn(call: Call) -> Response:
        found = await call.found(operation)

        def turned(image: Image) -> Image:
            if image.status not in (before, after):
                raise AttributeForbiddenError(f"Not allowed to {operation} image in status '{image.status}'")
            return replace(image, status=after)

        await call.service.images.change(found.image.id, turned)
        return nothing()

    return turn


ROUTES: Final[Routes[Call]] = {
    "/v2/images/{image_id}/tags/{tag}": {"PUT": add_tag, "DELETE": remove_tag},
    "/v2/images/{image_id}/actions/deactivate": {"POST": _turns("deactivate", Status.ACTIVE, Status.DEACTIVATED)},
    "/v2/images/{image_id}/actions/reactivate": {"POST": _turns("reactivate", Status.DEACTIVATED, Status.ACTIVE)},
}
