"""Changing and removing objects: POST and DELETE."""

from __future__ import annotations

from collections.abc import Callable

from gateway.swift import conditions, expiry, object_put, symlink
from gateway.swift.errors import HTML, PAGES, PLAIN, RefusedError, bad_request
from gateway.swift.read_view import LINK_TARGET, STATIC, VERSION_ID, pour
from gateway.swift.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.objects.model import Condition, Container, ObjectHead, ObjectInfo


async def post(service: Service, request: Request) -> None:
    """POST: new metadata in the place of all the old; the type stays unless one is sent."""
    if b"x-symlink-target" in request.headers:
        raise bad_request("A PUT request is required to set a symlink target")
    container = await service.container(request, reading=False)
    stated = request.headers.get(b"content-type")
    said = object_put.describe(service, request, object_put.content_type(request, request.object) if stated else "")

    def edit(info: ObjectInfo) -> ObjectHead:
        old = info.head
        kept = {name: value for name, value in old.headers.items() if name == STATIC or name[0] == "."}
        return ObjectHead(said.content_type or old.content_type, {**said.headers, **kept}, old.listing, said.expires_at)

    try:
        info = await service.store.update(container, request.object, edit)
        if LINK_TARGET in info.head.headers:
            await _redirect(request, container, info)
            return
    except NotFoundError:
        if not expiry.expired(service, request):
            raise
        await _restore(service, container, request.object, edit)
    await request.respond(202, [(b"content-type", HTML)], PAGES[202])


async def _redirect(request: Request, container: Container, info: ObjectInfo) -> None:
    """A link itself has been changed; say where what it names would be."""
    link = symlink.link_of(info)
    assert link is not None
    fields = [(b"location", link.path(container.account).encode()), (b"content-type", PLAIN)]
    if link.etag:
        fields.append((b"x-symlink-target-etag", link.etag.encode()))
    text = "The metadata were set on a symlink. Send the request to its target to set them there."
    await request.respond(307, fields, text.encode())


async def _restore(service: Service, container: Container, name: str, edit: Callable[[ObjectInfo], ObjectHead]) -> None:
    """Write an object anew that has ended and is still there. The store changes nothing that has ended, so its bytes
    are written again; not over one that somebody has put there meanwhile."""
    absent = Condition(none_match=frozenset({"*"}))
    async with service.store.open(container, name, expired=True) as opened:
        head = edit(opened.info)
        if opened.inline is not None:
            await service.store.put(container, name, opened.inline, head, absent)
            return
        async with service.store.upload(container, name, opened.info.size) as upload:
            await pour(opened, 0, opened.info.size, upload.write)
            await upload.digest()
            await upload.commit(head, absent)


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
    info = await service.store.delete(container, request.object, condition)
    fields = [(b"content-type", HTML)]
    if VERSION_ID in info.head.headers:
        fields.append((b"x-object-version-id", info.head.headers[VERSION_ID].encode()))
    await request.respond(204, fields)
