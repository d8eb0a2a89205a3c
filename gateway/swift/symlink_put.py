"""Making symlinks: what the headers of a PUT name is checked, and kept in notes of an object without bytes."""

from __future__ import annotations

import re
from dataclasses import replace

from gateway.swift import conditions, object_put, quotas, symlink
from gateway.swift.errors import PLAIN, RefusedError, bad_request
from gateway.swift.listing_formats import LISTED_LINK, LISTED_LINK_BYTES, LISTED_LINK_ETAG, LISTED_SLO_ETAG
from gateway.swift.paths import account_header, path_header
from gateway.swift.read_view import LINK_ACCOUNT, LINK_BYTES, LINK_ETAG, LINK_TARGET, SLO_ETAG, SLO_SIZE
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.symlink import Link
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

TARGET, ACCOUNT, ETAG = b"x-symlink-target", b"x-symlink-target-account", b"x-symlink-target-etag"
_FORM = "X-Symlink-Target header must be of the form <container name>/<object name>"
_UNFIT_ETAG = re.compile(r'[;"\\]')
KIND = "application/symlink"
"""The type of a link that states none and has no etag to vouch for its target's."""


async def put(service: Service, request: Request) -> None:
    """PUT with `X-Symlink-Target`: a link."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if condition is not ALWAYS:
        condition = await object_put.settled(service, request, container, condition)
    await _no_body(service, request)
    link = named(request)
    stated = bool(request.headers.get(b"content-type"))
    head = object_put.describe(
        service, request, object_put.content_type(request, request.object) if stated or not link.etag else ""
    )
    if not stated and not link.etag:
        head = replace(head, content_type=KIND)
    info = await keep(service, request, container, link, head, condition)
    await request.respond(201, object_put.created(info))


async def _no_body(service: Service, request: Request) -> None:
    refused = bad_request("Symlink requests require a zero byte body")
    if object_put.body_size(service, request):
        raise refused
    try:
        await request.body(0)
    except RefusedError as error:
        raise refused if error.status == 413 else error from None


def named(request: Request, source: Link | None = None) -> Link:
    """What the headers name, over what a copied link does. Raises RefusedError (400, 412)."""
    account = account_header(request, ACCOUNT) or (source.account if source else "")
    if request.headers.get(TARGET) or source is None:
        if (request.header(TARGET) or "").startswith(("/", "%2F", "%2f")):
            raise RefusedError(412, _FORM, kind=PLAIN)
        container, name = path_header(request, TARGET, "X-Symlink-Target")
    else:
        container, name = source.container, source.object
    etag = (request.header(ETAG) or "").strip()
    etag = conditions.unquoted(etag) if etag else source.etag if source else ""
    if _UNFIT_ETAG.search(etag):
        raise bad_request("Bad X-Symlink-Target-Etag format")
    if (account or request.account, container, name) == (request.account, request.container, request.object):
        raise bad_request("Symlink cannot target itself")
    return Link(account, container, name, etag)


async def keep(
    service: Service, request: Request, container: Container, link: Link, head: ObjectHead, condition: Condition
) -> ObjectInfo:
    """Store a link as the request's object; a static one only where its target is what it says."""
    notes = {LINK_TARGET: f"{link.container}/{link.object}"}
    listed = {LISTED_LINK: f"{link.account or container.account}/{link.container}/{link.object}"}
    kind = head.content_type
    if link.account:
        notes[LINK_ACCOUNT] = link.account
    if link.etag:
        info = await symlink.verified(service, request, container.account, link)
        size = info.head.headers.get(SLO_SIZE, str(info.size))
        notes |= {LINK_ETAG: link.etag, LINK_BYTES: size}
        listed |= {LISTED_LINK_ETAG: link.etag, LISTED_LINK_BYTES: size}
        if SLO_ETAG in info.head.headers:
            listed[LISTED_SLO_ETAG] = info.head.headers[SLO_ETAG]
        kind = kind or info.head.content_type
    await quotas.admit(service, request, container, 0)
    head = ObjectHead(kind, {**head.headers, **notes}, listed, head.expires_at)
    return await service.store.put(container, request.object, b"", head, condition)
