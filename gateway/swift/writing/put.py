"""PUT of an object's body."""

from __future__ import annotations

from gateway.objects import quotas
from gateway.objects.conditions import settled
from gateway.objects.errors import ShortError
from gateway.objects.writing import Expected, write
from gateway.swift.protocol import conditions
from gateway.swift.protocol.description import (
    STATIC_HEADER,
    body_size,
    content_type,
    created,
    describe,
    wanted_etag,
)
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import OutdatedError
from store.core.limits import INLINE_BYTES_MAX
from store.objects.model import ALWAYS

_SMALL = frozenset({b"if-match", b"if-none-match", b"transfer-encoding", STATIC_HEADER})


async def put(service: Service, request: Request) -> None:
    """PUT: an object from the request's body."""
    headers = request.headers
    plain = service.plain_container(request)
    size_max = service.limits.max_file_size
    if plain is not None and _SMALL.isdisjoint(headers):
        size = body_size(request, size_max)
        if size is not None and size <= INLINE_BYTES_MAX:
            head = describe(request, service.limits, service.now(), content_type(request, request.object))
            data = await _small_body(request, size)
            name, digest = request.object, wanted_etag(request)
            container, owner = plain
            try:
                info = await service.layer.plain.put(container, name, data, head, ALWAYS, digest, owner=owner)
            except OutdatedError:
                await _put(service, request, data)
            else:
                await request.respond(201, created(info))
            return
    await _put(service, request)


async def _small_body(request: Request, size: int) -> bytes:
    data = await request.body(size)
    if len(data) != size:
        raise ShortError(f"{len(data)} of {size} bytes came")
    return data


async def _put(service: Service, request: Request, read: bytes | None = None) -> None:
    """Whatever the object, its container and the request are. `read` is the body, where that was read already."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if STATIC_HEADER in request.headers:
        raise RefusedError(
            400,
            "X-Static-Large-Object is a reserved header. To create a static large object add query param "
            "multipart-manifest=put.",
        )
    size_max = service.limits.max_file_size
    size = body_size(request, size_max)
    left = await quotas.admit(service.layer, request.principal, container, size)
    small = size is not None and size <= INLINE_BYTES_MAX
    if condition is not ALWAYS and (condition.match is not None or not small):
        condition = await settled(service.store, container, request.object, condition)
    head = describe(request, service.limits, service.now(), content_type(request, request.object))
    digest = wanted_etag(request)
    if size is not None and size <= INLINE_BYTES_MAX:
        data = await _small_body(request, size) if read is None else read
        info = await service.store.put(container, request.object, data, head, condition, digest)
    else:
        expected = Expected(size, size_max, digest, left)
        info = await write(service.layer, container, request.object, request.pieces(), expected, head, condition)
    await request.respond(201, created(info))
