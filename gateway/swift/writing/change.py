"""Changing and removing objects: POST and DELETE."""

from __future__ import annotations

from contextlib import suppress

from gateway.objects import links
from gateway.objects.conditions import settled
from gateway.objects.notes import LINK_TARGET, PREFIX_MANIFEST, VERSION_ID
from gateway.objects.writing import revive
from gateway.swift.protocol import conditions, expiry
from gateway.swift.protocol.description import content_type, describe
from gateway.swift.protocol.errors import HTML, PAGES, PLAIN, RefusedError, bad_request
from gateway.swift.protocol.locations import object_path
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError, OutdatedError
from store.objects.model import Container, ObjectHead, ObjectInfo

_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"x-if-delete-at"})


async def post(service: Service, request: Request) -> None:
    """POST: new metadata in the place of all the old; the type stays unless one is sent."""
    if b"x-symlink-target" in request.headers:
        raise bad_request("A PUT request is required to set a symlink target")
    container = await service.container(request, reading=False)
    stated = request.headers.get(b"content-type")
    kind = content_type(request, request.object) if stated else ""
    said = describe(request, service.limits, service.now(), kind)

    def edit(info: ObjectInfo) -> ObjectHead:
        old = info.head
        kept = {name: value for name, value in old.headers.items() if name[0] == "." and name != PREFIX_MANIFEST}
        return ObjectHead(said.content_type or old.content_type, {**said.headers, **kept}, old.listing, said.expires_at)

    try:
        info = await service.store.update(container, request.object, edit)
        if LINK_TARGET in info.head.headers:
            await _redirect(request, container, info)
            return
    except NotFoundError:
        if not expiry.expired(request, service.config):
            raise
        await revive(service.layer, container, request.object, edit)
    await request.respond(202, [(b"content-type", HTML)], PAGES[202])


async def _redirect(request: Request, container: Container, info: ObjectInfo) -> None:
    """A link itself has been changed; say where what it names would be."""
    link = links.link_of(info)
    assert link is not None
    path = object_path(*link.path(container.account)).encode()
    fields = [(b"location", path), (b"content-type", PLAIN)]
    if link.etag:
        fields.append((b"x-symlink-target-etag", link.etag.encode()))
    text = "The metadata were set on a symlink. Send the request to its target to set them there."
    await request.respond(307, fields, text.encode())


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
    plain = service.plain_container(request)
    if plain is not None and _CONDITIONAL.isdisjoint(request.headers):
        with suppress(OutdatedError):  # then it is looked for anew
            await service.layer.plain.delete(plain[0], request.object, owner=plain[1])
            await request.respond(204, [(b"content-type", HTML)])
            return
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if condition.match is not None:
        condition = await settled(service.store, container, request.object, condition)
    if b"x-if-delete-at" in request.headers:
        await _check_expiry(service, request, container)
    info = await service.store.delete(container, request.object, condition)
    fields = [(b"content-type", HTML)]
    if VERSION_ID in info.head.headers:
        fields.append((b"x-object-version-id", info.head.headers[VERSION_ID].encode()))
    await request.respond(204, fields)
