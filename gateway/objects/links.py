"""Links: an object without bytes that names another, which is read in its place.

One that is static also names the target's etag, and shows nothing else. What is read through a link is read by the
caller's own right.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.objects.access.caller import Caller
from gateway.objects.errors import LinkError, LinkTrouble
from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import (
    LINK_ACCOUNT,
    LINK_BYTES,
    LINK_ETAG,
    LINK_TARGET,
    LISTED_LINK,
    LISTED_LINK_BYTES,
    LISTED_LINK_ETAG,
    LISTED_MANIFEST_ETAG,
    MANIFEST_ETAG,
    MANIFEST_SIZE,
)
from store.core.errors import NotFoundError
from store.objects.interface import OpenObject
from store.objects.model import Container, ObjectHead, ObjectInfo

LOOP_MAX = 2
"""Links in a row that are followed."""

Path = tuple[str, str, str]
"""Account, container and object."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link names; `account` is "" for the link's own, `etag` where it is not static."""

    account: str
    container: str
    object: str
    etag: str = ""

    def path(self, own: str) -> Path:
        """The target; `own` is the link's account."""
        return self.account or own, self.container, self.object


def link_of(info: ObjectInfo) -> Link | None:
    """What an object names where it is a link."""
    notes = info.head.headers
    target = notes.get(LINK_TARGET)
    if target is None:
        return None
    container, _, name = target.partition("/")
    return Link(notes.get(LINK_ACCOUNT, ""), container, name, notes.get(LINK_ETAG, ""))


class Trail:
    """Links followed so far for one caller, and the etag that the last of them demands. `path` is what the last one
    names, None before the first."""

    def __init__(self, layer: ObjectLayer, caller: Caller, wanted: str = "", path: Path | None = None) -> None:
        self._layer = layer
        self._caller = caller
        self._count = 0
        self._wanted = wanted
        self.path = path

    async def step(self, container: Container, info: ObjectInfo, link: Link) -> tuple[Container, str]:
        """Where a link leads. Raises LinkError over the limit or for another etag, AccessError for what is theirs."""
        found = link.etag or info.etag
        if self._wanted and self._wanted != found:
            raise LinkError(LinkTrouble.DISAGREE, self.path)
        if self._count >= LOOP_MAX:
            self.path = None
            raise LinkError(LinkTrouble.LOOP)
        self._count += 1
        self._wanted = link.etag
        self.path = link.path(container.account)
        account, name, object_name = self.path
        return await self._layer.container(self._caller, account, name, reading=True, object=object_name), object_name

    def arrive(self, info: ObjectInfo) -> None:
        """Raise LinkError where the last link demands something else."""
        if self._wanted and self._wanted != info.etag:
            raise LinkError(LinkTrouble.ETAG, self.path, found=info.etag, wanted=self._wanted)

    async def target(
        self, container: Container, info: ObjectInfo, *, expired: bool = False
    ) -> tuple[Container, ObjectInfo]:
        """The object at the end of a link, and its container."""
        while (link := link_of(info)) is not None:
            container, name = await self.step(container, info, link)
            info = await self._layer.store.head(container, name, expired=expired)
        self.arrive(info)
        return container, info

    @asynccontextmanager
    async def following(
        self, container: Container, info: ObjectInfo, *, expired: bool = False
    ) -> AsyncIterator[tuple[Container, OpenObject]]:
        """The object at the end of a link, held open, and its container."""
        while (link := link_of(info)) is not None:
            container, name = await self.step(container, info, link)
            async with self._layer.store.open(container, name, expired=expired) as opened:
                info = opened.info
                if LINK_TARGET not in info.head.headers:
                    self.arrive(info)
                    yield container, opened
                    return


@asynccontextmanager
async def opening(layer: ObjectLayer, caller: Caller, container: Container, name: str) -> AsyncIterator[OpenObject]:
    """An object held open, or what it names where it is a link."""
    async with layer.store.open(container, name) as opened:
        if LINK_TARGET not in opened.info.head.headers:
            yield opened
            return
        async with Trail(layer, caller).following(container, opened.info) as (_container, reached):
            yield reached


async def _verified(layer: ObjectLayer, caller: Caller, own: str, link: Link) -> ObjectInfo:
    """What a static link names, which must be there and have the etag. Links that are not static are not followed."""
    trail = Trail(layer, caller, link.etag, link.path(own))
    account, name, object_name = link.path(own)
    try:
        container = await layer.container(caller, account, name, reading=True, object=object_name)
        info = await layer.store.head(container, object_name)
        while (further := link_of(info)) is not None and further.etag:
            container, object_name = await trail.step(container, info, further)
            info = await layer.store.head(container, object_name)
    except NotFoundError:
        raise LinkError(LinkTrouble.MISSING, trail.path) from None
    trail.arrive(info)
    return info


async def head_of(layer: ObjectLayer, caller: Caller, container: Container, link: Link, head: ObjectHead) -> ObjectHead:
    """The head to keep with a link; a static one only where its target is what it says. Without a type, it has that of
    its target. Raises LinkError, AccessError."""
    notes = {LINK_TARGET: f"{link.container}/{link.object}"}
    listed = {LISTED_LINK: f"{link.account or container.account}/{link.container}/{link.object}"}
    kind = head.content_type
    if link.account:
        notes[LINK_ACCOUNT] = link.account
    if link.etag:
        info = await _verified(layer, caller, container.account, link)
        size = info.head.headers.get(MANIFEST_SIZE, str(info.size))
        notes |= {LINK_ETAG: link.etag, LINK_BYTES: size}
        listed |= {LISTED_LINK_ETAG: link.etag, LISTED_LINK_BYTES: size}
        if MANIFEST_ETAG in info.head.headers:
            listed[LISTED_MANIFEST_ETAG] = info.head.headers[MANIFEST_ETAG]
        kind = kind or info.head.content_type
    return ObjectHead(kind, {**head.headers, **notes}, listed, head.expires_at)
