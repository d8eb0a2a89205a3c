"""Writing to one version of an object: `version-id`."""

from __future__ import annotations

from gateway.objects.versions import one
from gateway.swift.protocol.description import created, no_body
from gateway.swift.protocol.errors import HTML, Fields, RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError


async def put(service: Service, request: Request) -> None:
    """PUT: make an older version the current one."""
    container = await service.container(request, reading=False)
    ticks = one.restorable(container, request.version)
    await no_body(request, service.limits.max_file_size, "PUT version-id requests require a zero byte body")
    try:
        info = await service.store.archive.restore(container, request.object, ticks)
    except NotFoundError:
        raise RefusedError(404, "The specified version does not exist") from None
    await request.respond(201, created(info))


async def post(service: Service, request: Request) -> None:
    """POST: refused, since a version is what it was."""
    await service.container(request, reading=False)
    raise RefusedError(400, "POST to a specific version is not allowed")


async def delete(service: Service, request: Request) -> None:
    """DELETE: remove a version for good; nothing takes its place."""
    container = await service.container(request, reading=False)
    removed = await one.remove(service.store, request.principal, container, request.object, request.version)
    fields: Fields = [(b"content-type", HTML)]
    if removed is not None:
        version, current = removed
        fields += [(b"x-object-version-id", version.encode()), (b"x-object-current-version-id", current.encode())]
    await request.respond(204, fields)
