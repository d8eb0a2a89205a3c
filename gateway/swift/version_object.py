"""Requests for one version of an object: `version-id`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gateway.swift import object_put
from gateway.swift.errors import HTML, Fields, RefusedError, bad_request
from gateway.swift.read_view import VERSION_ID
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.version_archive import is_archived
from gateway.swift.version_names import MARKER_TYPE, NULL, ticks_of, version_id
from store.core.errors import NotFoundError
from store.objects.interface import OpenObject
from store.objects.model import Container, ObjectInfo

PARAM = "version-id"


def named(request: Request) -> str:
    """The version that a request names, or ""."""
    return request.param(PARAM) if request.queried else ""


def _ticks(request: Request, container: Container, stated: str) -> int:
    """The number of the version asked for, 0 for `null`. Raises RefusedError (400) where there cannot be any."""
    if stated != NULL and not is_archived(container):
        raise RefusedError(400, "version-aware operations require that the container is versioned")
    if stated == NULL:
        return 0
    ticks = ticks_of(stated)
    if ticks is None:
        raise RefusedError(400, "Invalid version parameter")
    return ticks


def _require(request: Request, container: Container, *, reading: bool) -> None:
    """Raise RefusedError (401, 403) to those whom a container's list alone lets in: versions are not for them."""
    request.principal.require(request, container.account, container.name, "", reading=reading)


def opening(
    service: Service, request: Request, container: Container, name: str, *, expired: bool = False
) -> AbstractAsyncContextManager[OpenObject]:
    """What the request reads, held open: the object, or the version of it that is named."""
    stated = named(request)
    if not stated:
        return service.store.open(container, name, expired=expired)
    return _version(service, request, container, name, stated)


@asynccontextmanager
async def _version(
    service: Service, request: Request, container: Container, name: str, stated: str
) -> AsyncIterator[OpenObject]:
    ticks = _ticks(request, container, stated)
    if not ticks:
        async with service.store.open(container, name) as opened:
            _check_null(opened.info)
            yield opened
        return
    _require(request, container, reading=True)
    async with service.store.open_version(container, name, ticks) as opened:
        _check_marker(opened.info, stated)
        yield opened


async def head(
    service: Service, request: Request, container: Container, name: str, *, expired: bool = False
) -> ObjectInfo:
    """The same without the bytes."""
    stated = named(request)
    if not stated:
        return await service.store.head(container, name, expired=expired)
    ticks = _ticks(request, container, stated)
    if not ticks:
        info = await service.store.head(container, name)
        _check_null(info)
        return info
    _require(request, container, reading=True)
    info = await service.store.head_version(container, name, ticks)
    _check_marker(info, stated)
    return info


def _check_null(info: ObjectInfo) -> None:
    if info.head.headers.get(VERSION_ID, NULL) != NULL:
        raise NotFoundError("the current version has an id")


def _check_marker(info: ObjectInfo, stated: str) -> None:
    if info.head.content_type == MARKER_TYPE:
        raise RefusedError(404, b"", [(b"x-object-version-id", stated.encode())], kind=MARKER_TYPE.encode())


async def put(service: Service, request: Request) -> None:
    """PUT: make an older version the current one."""
    container = await service.container(request, reading=False)
    stated = named(request)
    if stated == NULL:
        raise RefusedError(400, "Invalid version parameter")
    ticks = _ticks(request, container, stated)
    refused = bad_request("PUT version-id requests require a zero byte body")
    if object_put.body_size(service, request):
        raise refused
    try:
        await request.body(0)
    except RefusedError as error:
        raise refused if error.status == 413 else error from None
    try:
        info = await service.store.archive.restore(container, request.object, ticks)
    except NotFoundError:
        raise RefusedError(404, "The specified version does not exist") from None
    await request.respond(201, object_put.created(info))


async def post(service: Service, request: Request) -> None:
    """POST: refused, since a version is what it was."""
    await service.container(request, reading=False)
    raise RefusedError(400, "POST to a specific version is not allowed")


async def delete(service: Service, request: Request) -> None:
    """DELETE: remove a version for good; nothing takes its place."""
    container = await service.container(request, reading=False)
    await request.respond(204, [(b"content-type", HTML), *await remove(service, request, container)])


async def remove(service: Service, request: Request, container: Container) -> Fields:
    """Remove the version that the request names; what the answer is to say of it."""
    ticks = _ticks(request, container, named(request))
    if not ticks:
        await service.store.delete_row(container, request.object)
        return []
    _require(request, container, reading=False)
    left = await service.store.archive.delete_version(container, request.object, ticks)
    return [(b"x-object-version-id", version_id(ticks).encode()), (b"x-object-current-version-id", left.encode())]
