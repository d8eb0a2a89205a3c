"""All that is served of metadata definitions."""

from __future__ import annotations

from typing import Final

from gateway.rest.app import Routes
from image_registry.v2.call import Call
from image_registry.v2.info import schema_handler
from image_registry.v2.metadefs import namespaces, objects, properties, resource_types, tags
from image_registry.v2.metadefs.schemas import SCHEMAS

ROUTES: Final[Routes[Call]] = {
    **namespaces.ROUTES,
    **objects.ROUTES,
    **properties.ROUTES,
    **tags.ROUTES,
    **resource_types.ROUTES,
    **{f"/v2/schemas/metadefs/{name}": {"GET": schema_handler(schema)} for name, schema in SCHEMAS.items()},
}
