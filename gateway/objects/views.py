"""What an open object shows to whoever reads it: plain bytes, or what its notes make of them."""

from __future__ import annotations

from gateway.objects.access.caller import Caller
from gateway.objects.large import prefix_view
from gateway.objects.large import view as large_view
from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import MANIFEST, PREFIX_MANIFEST, SPECIAL
from gateway.objects.reading import PlainView, ReadView
from store.objects.interface import OpenObject
from store.objects.model import Container


async def view_of(layer: ObjectLayer, caller: Caller, container: Container, opened: OpenObject) -> ReadView:
    """What the caller reads of an open object, which is in this container and no link."""
    headers = opened.info.head.headers
    if SPECIAL.isdisjoint(headers):
        return PlainView(opened)
    if MANIFEST in headers:
        return await large_view.opened_view(layer, caller, container, opened)
    if PREFIX_MANIFEST in headers:
        return await prefix_view.view(layer, caller, container, opened.info)
    return PlainView(opened)
