"""How deep manifests lie within manifests: known before one is kept, so that none is kept that could not be read.

Those behind a symlink are not counted: where it points is known only when it is read, and too deep a manifest is found
then (409).
"""

from __future__ import annotations

import trio

from gateway.objects.access.caller import Caller
from gateway.objects.errors import AccessError
from gateway.objects.large import manifest
from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import MANIFEST, MANIFEST_DEPTH
from gateway.objects.reading import whole
from store.core.errors import NotFoundError
from store.objects.interface import OpenObject
from store.objects.model import Container, ObjectInfo

DEPTH_MAX = 10
"""Manifests within manifests, the outermost counted; a loop of them ends here."""

WALK_MAX = 1000
"""Manifests that are read to learn how deep one is that does not say so itself."""


def noted(info: ObjectInfo) -> int:
    """How many levels a manifest says that there are from it on; 0 where it does not, as in those kept before."""
    return int(info.head.headers.get(MANIFEST_DEPTH, 0))


async def levels(layer: ObjectLayer, caller: Caller, container: Container, info: ObjectInfo) -> int:
    """How many levels of manifests there are from this one on, itself counted; over DEPTH_MAX where it is too deep, or
    too much to look through."""
    return noted(info) or await _Walk(layer, caller).levels(container, info.name, 1)


class _Walk:
    """Through manifests that do not say how deep they are."""

    def __init__(self, layer: ObjectLayer, caller: Caller) -> None:
        self._layer = layer
        self._caller = caller
        self._known: dict[tuple[str, str], int] = {}
        self._read = 0

    async def levels(self, container: Container, name: str, depth: int) -> int:
        key = container.name, name
        if key not in self._known:
            self._read += 1
            if depth > DEPTH_MAX or self._read > WALK_MAX:
                return DEPTH_MAX + 1
            await trio.lowlevel.checkpoint()
            try:
                async with self._layer.store.open(container, name) as opened:
                    self._known[key] = await self._within(container, opened, depth)
            except (NotFoundError, AccessError):
                return 1  # it cannot be read, and so is no deeper
        return self._known[key]

    async def _within(self, container: Container, opened: OpenObject, depth: int) -> int:
        if MANIFEST not in opened.info.head.headers:
            return 0
        if said := noted(opened.info):
            return said
        deepest = 0
        for segment in manifest.load(await whole(opened)):
            if segment.sub:
                held = await self._layer.container(
                    self._caller, container.account, segment.container, reading=True, object=segment.object
                )
                deepest = max(deepest, await self.levels(held, segment.object, depth + 1))
        return 1 + deepest
