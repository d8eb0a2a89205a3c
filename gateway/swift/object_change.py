"""Changing and removing objects: POST and DELETE."""

from __future__ import annotations

from gateway.swift import conditions, object_put
from gateway.swift.errors import HTML, PAGES
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.view import STATIC
from store.objects.model import ObjectHead, ObjectInfo


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


async def delete(service: Service, request: Request) -> None:
    """DELETE: the object and its bytes."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    await service.store.delete(container, request.object, condition)
    await request.respond(204, [(b"content-type", HTML)])
