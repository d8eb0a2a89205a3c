"""All that the image registry serves."""

from __future__ import annotations

from typing import Final

from gateway.rest.app import Routes
from image_registry.v2 import cache, data, images, importing, info, locations, members, tags, tasks
from image_registry.v2.call import Call
from image_registry.v2.metadefs import routes as metadefs

ROUTES: Final[Routes[Call]] = {
    **images.ROUTES,
    **data.ROUTES,
    **importing.ROUTES,
    **locations.ROUTES,
    **members.ROUTES,
    **tags.ROUTES,
    **tasks.ROUTES,
    **info.ROUTES,
    **cache.ROUTES,
    **metadefs.ROUTES,
}
