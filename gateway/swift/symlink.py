"""Symlinks: an object without bytes that names another, which is read in its place.

A static one also names the target's etag, and shows nothing else. What is read through a link is read by the
principal's own right. A link is not followed where the request asks for itself (`symlink=get`), nor by POST and DELETE.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from gateway.swift.errors import PLAIN, Fields, RefusedError
from gateway.swift.read_view import LINK_ACCOUNT, LINK_ETAG, LINK_TARGET
from gateway.swift.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.objects.interface import OpenObject
from store.objects.model import Container, ObjectInfo

LOOP_MAX = 2
"""Links in a row that are followed."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link names; `account` is "" for the link's own, `etag` where it is not static."""

    account: str
    container: str
    object: str
    etag: str = ""

    def path(self, own: str) -> str:
        """The target's path, as Location headers have it; `own` is the link's account."""
        return quote(f"/v1/{self.account or own}/{self.container}/{self.object}")


def link_of(info: ObjectInfo) -> Link | None:
    """What an object names where it is a link."""
    notes = info.head.headers
    target = notes.get(LINK_TARGET)
    if target is None:
        return None
    container, _, name = target.partition("/")
    return Link(notes.get(LINK_ACCOUNT, ""), container, name, notes.get(LINK_ETAG, ""))


def followed(request: Request, info: ObjectInfo) -> bool:
    """Whether the request is to be answered with what the object names."""
    return LINK_TARGET in info.head.headers and request.query.get("symlink") != "get"


def conflict(text: str, path: str = "") -> RefusedError:
    """409 with the reason, and the path that it is about."""
    headers: Fields = [(b"content-location", path.encode())] if path else []
    return RefusedError(409, text, headers, kind=PLAIN)


class _Trail:
    """Links followed so far, and the etag that the last of them demands."""

    def __init__(self, service: Service, request: Request, wanted: str = "", path: str = "") -> None:
        self._service = service
        self._request = request
        self._count = 0
        self._wanted = wanted
        self.path = path

    async def step(self, container: Container, info: ObjectInfo, link: Link) -> tuple[Container, str]:
        """Where a link leads. Raises RefusedError: 409 over the limit or for another etag, 403 for theirs."""
        found = link.etag or info.etag
        if self._wanted and self._wanted != found:
            raise conflict("X-Symlink-Target-Etag headers do not match", self.path)
        if self._count >= LOOP_MAX:
            self.path = ""
            raise conflict(f"Too many levels of symbolic links, maximum allowed is {LOOP_MAX}")
        self._count += 1
        self._wanted = link.etag
        self.path = link.path(container.account)
        account = link.account or container.account
        held = await self._service.container(self._request, reading=True, account=account, name=link.container)
        return held, link.object

    def arrive(self, info: ObjectInfo) -> None:
        """Raise RefusedError (409) where the last link demands something else."""
        if self._wanted and self._wanted != info.etag:
            raise conflict(
                f"Object Etag '{info.etag}' does not match X-Symlink-Target-Etag header '{self._wanted}'", self.path
            )

    def show(self) -> None:
        """Have the answer, whatever it becomes, say what path it is about."""

        def finish(_status: int, fields: Fields) -> Fields:
            if self.path and not any(name == b"content-location" for name, _ in fields):
                fields.append((b"content-location", self.path.encode()))
            return fields

        self._request.add_finisher(finish)


async def target(
    service: Service,
    request: Request,
    container: Container,
    info: ObjectInfo,
    *,
    shown: bool = False,
    expired: bool = False,
) -> tuple[Container, ObjectInfo]:
    """The object at the end of a link; `shown`: the answer's Content-Location says where it is."""
    trail = _Trail(service, request)
    if shown:
        trail.show()
    while (link := link_of(info)) is not None:
        container, name = await trail.step(container, info, link)
        info = await service.store.head(container, name, expired=expired)
    trail.arrive(info)
    return container, info


@asynccontextmanager
async def following(
    service: Service,
    request: Request,
    container: Container,
    info: ObjectInfo,
    *,
    shown: bool = False,
    expired: bool = False,
) -> AsyncIterator[tuple[Container, OpenObject]]:
    """The object at the end of a link, held open, and its container."""
    trail = _Trail(service, request)
    if shown:
        trail.show()
    while (link := link_of(info)) is not None:
        container, name = await trail.step(container, info, link)
        async with service.store.open(container, name, expired=expired) as opened:
            info = opened.info
            if LINK_TARGET not in info.head.headers:
                trail.arrive(info)
                yield container, opened
                return


@asynccontextmanager
async def opening(service: Service, request: Request, container: Container, name: str) -> AsyncIterator[OpenObject]:
    """A segment of a large object, held open, be it a link or not."""
    async with service.store.open(container, name) as opened:
        if LINK_TARGET not in opened.info.head.headers:
            yield opened
            return
        async with following(service, request, container, opened.info) as (_container, reached):
            yield reached


async def verified(service: Service, request: Request, own: str, link: Link) -> ObjectInfo:
    """What a static link names, which must be there and have the etag. Links that are not static are not followed.

    Raises RefusedError: 409, or what the principal may not read.
    """
    trail = _Trail(service, request, link.etag, link.path(own))
    try:
        container = await service.container(request, reading=True, account=link.account or own, name=link.container)
    except RefusedError as error:
        raise _missing(trail.path) if error.status == 404 else error from None
    info = await _found(service, container, link.object, trail.path)
    while (further := link_of(info)) is not None and further.etag:
        container, name = await trail.step(container, info, further)
        info = await _found(service, container, name, trail.path)
    trail.arrive(info)
    return info


async def _found(service: Service, container: Container, name: str, path: str) -> ObjectInfo:
    try:
        return await service.store.head(container, name)
    except NotFoundError:
        raise _missing(path) from None


def _missing(path: str) -> RefusedError:
    return conflict("X-Symlink-Target does not exist", path)
