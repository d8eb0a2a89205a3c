"""What a request asks to be shown of an object: the whole that a manifest stands for, a part of it, or the manifest."""

from __future__ import annotations

from typing import NamedTuple

from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import LINK_TARGET, MANIFEST
from gateway.objects.reading import BytesView, PlainView, ReadView, whole
from gateway.objects.views import view_of
from gateway.swift.protocol import manifests
from gateway.swift.protocol.errors import bad_request
from gateway.swift.protocol.request import Request
from store.objects.interface import OpenObject
from store.objects.model import Container, ObjectInfo

_MANIFEST_KIND = "application/json; charset=utf-8"


class AskedView(NamedTuple):
    """A view; its content type, where that is not the object's; and the number of the one segment that is asked for."""

    view: ReadView
    kind: str | None = None
    part: int | None = None


def is_link_followed(request: Request, info: ObjectInfo) -> bool:
    """Whether the request is to be answered with what the object names."""
    return LINK_TARGET in info.head.headers and request.query.get("symlink") != "get"


def is_manifest_asked(request: Request) -> bool:
    """Whether the request is for a manifest itself, and not for what it stands for."""
    return request.query.get("multipart-manifest") == "get"


async def asked_view(layer: ObjectLayer, request: Request, container: Container, opened: OpenObject) -> AskedView:
    """What the request asks to be shown of an open object of this container."""
    is_manifest = MANIFEST in opened.info.head.headers
    if not is_manifest_asked(request):
        part = _part_number(request) if is_manifest else None
        return AskedView(await view_of(layer, request.principal, container, opened), part=part)
    if not is_manifest:
        return AskedView(PlainView(opened))
    if request.query.get("format") == "raw":  # as it can be sent again
        return AskedView(BytesView(manifests.as_sent(await whole(opened))))
    return AskedView(PlainView(opened), _MANIFEST_KIND)


def _part_number(request: Request) -> int | None:
    if "part-number" not in request.query:
        return None
    value = request.param("part-number")
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value)):
        raise bad_request("Part number must be an integer greater than 0")
    if b"range" in request.headers:
        raise bad_request("Range requests are not supported with part number queries")
    return int(value)
