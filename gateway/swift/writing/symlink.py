"""PUT of a symlink: an object without bytes that names another."""

from __future__ import annotations

from dataclasses import replace

from gateway.objects import links, quotas
from gateway.objects.conditions import settled
from gateway.swift.protocol import conditions, symlinks
from gateway.swift.protocol.description import content_type, created, describe, no_body
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.objects.model import ALWAYS

KIND = "application/symlink"
"""The type of a link that states none and has no etag to vouch for its target's."""


async def put(service: Service, request: Request) -> None:
    """PUT with `X-Symlink-Target`: a link."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if condition is not ALWAYS:
        condition = await settled(service.store, container, request.object, condition)
    await no_body(request, service.limits.max_file_size, "Symlink requests require a zero byte body")
    link = symlinks.named(request)
    stated = bool(request.headers.get(b"content-type"))
    kind = content_type(request, request.object) if stated or not link.etag else ""
    head = describe(request, service.limits, service.now(), kind)
    if not stated and not link.etag:
        head = replace(head, content_type=KIND)
    head = await links.head_of(service.layer, request.principal, container, link, head)
    await quotas.admit(service.layer, request.principal, container, 0)
    info = await service.store.put(container, request.object, b"", head, condition)
    await request.respond(201, created(info))
