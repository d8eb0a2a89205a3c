"""Changing and removing objects: POST and DELETE."""

from __future__ import annotations

from gateway.swift import conditions, object_put
from gateway.swift.errors import HTML, PAGES, RefusedError
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.view import STATIC
from store.objects.model import Container, ObjectHead, ObjectInfo


async def post(service: Service, request: Request) -> None:
    """POST: new metadata in the place of all the old; the type stays unless one is sent."""
    container = await service.container(request, reading=False)
    stated = request.headers.get(b"content-type")
    said = object_put.describe(service, request, object_put.content_type(request, request.object) if stated else "")

    def edit(info: ObjectInfo) -> ObjectHead:
        old = info.head
        kept = {name: value for name, value in old.headers.items() if name == STATIC or name[0] == "."}
        return ObjectHead(said.content_type or old.content_type, {**said.headers, **kept}, old.listing, said.expires_at)

    await service.store.update(container, request.object, edit)
    await request.respond(202, [(b"content-type", HTML)], PAGES[202])


async def _check_expiry(service: Service, request: Request, container: Container) -> None:
    """Raise RefusedError unless the object ends when the client believes it does."""
    stated = request.headers[b"x-if-delete-at"]
    if not stated.isdigit() or len(stated) > 10:
        raise RefusedError(400, "Bad X-If-Delete-At header value")
    info = await service.store.head(container, request.object)
    if info.head.expires_at != int(stated):
        raise RefusedError(412, "X-If-Delete-At and X-Delete-At do not match")


async def delete(service: Service, request: Request) -> None:
    """DELETE: the object and its bytes."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if condition.match is not None:
        condition = await object_put.settled(service, request, container, condition)
    if b"x-if-delete-at" in request.headers:
        await _check_expiry(service, request, container)
    await service.store.delete(container, request.object, condition)
    await request.respond(204, [(b"content-type", HTML)])
