"""Definitions of a namespace are deleted: one, or all of a kind."""

from __future__ import annotations

from starlette.responses import Response

from gateway.rest.answers import nothing
from image_registry.metadefs.definitions import removed, with_all
from image_registry.metadefs.records import Kind, Namespace
from image_registry.v2.call import Call
from image_registry.v2.metadefs.access import namespace_for, refuse_protected


async def remove_one(call: Call, kind: Kind, name: str, operation: str) -> Response:
    """Raises NotFoundError where there is none; ForbiddenError for who may not do the operation;
    AttributeForbiddenError where the namespace is protected."""
    namespace = await namespace_for(call, operation)

    def without(now: Namespace) -> Namespace:
        after = removed(now, kind, name)
        refuse_protected(now, kind, name)
        return after

    await call.service.definitions.change(namespace.name, without)
    return nothing()


async def remove_all(call: Call, kind: Kind, *operations: str) -> Response:
    """Raises ForbiddenError for who may not do all operations; AttributeForbiddenError where the namespace is
    protected."""
    namespace = await namespace_for(call, *operations)

    def without(now: Namespace) -> Namespace:
        refuse_protected(now)
        return with_all(now, kind, ())

    await call.service.definitions.change(namespace.name, without)
    return nothing()
