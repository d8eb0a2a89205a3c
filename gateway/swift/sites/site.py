"""Static web sites: what a container shows to browsers that come without a token.

`X-Container-Meta-Web-Index` names the object that stands for a directory, `-Web-Error` the pages for refusals (the
status goes before the name), `-Web-Listings` shows directories, in `-Web-Listings-CSS` and under
`-Web-Listings-Label`; `-Web-Directory-Type` is the type of objects that only mark directories. Whoever has a token sees
the same with `X-Web-Mode: true`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from gateway.objects.access.caller import User
from gateway.objects.errors import AccessError, MarkerError, SignatureError
from gateway.objects.slices import join
from gateway.swift.access import tempurl
from gateway.swift.access.tempurl import Signed
from gateway.swift.protocol.errors import HTML, Fields, RefusedError
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.refusals import refusal
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from gateway.swift.sites import pages
from gateway.swift.subrequest import Reply, ask
from store.core.errors import CallerError, NotFoundError
from store.objects.model import Container, ListingQuery

Handler = Callable[[Service, Request], Awaitable[None]]

PAGE_MAX = 1024 * 1024
"""The longest error page that is served: it is gathered before it is sent under another status."""

_OWN = frozenset({b"x-trans-id", b"x-openstack-request-id", b"date", b"content-length"})


@dataclass(frozen=True)
class Site:
    """What a container says of itself as a site."""

    index: str
    error: str
    listings: bool
    label: str
    css: str
    directory: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Site:
        def said(name: str) -> str:
            return headers.get(f"x-container-meta-web-{name}", "").strip()

        return cls(
            said("index"),
            said("error"),
            is_true(said("listings")),
            said("listings-label"),
            said("listings-css"),
            said("directory-type") or "application/directory",
        )

    @property
    def wanted(self) -> bool:
        return self.listings or bool(self.index)


def serves(request: Request) -> bool:
    """Whether this request is a browser's. It costs others no more than this."""
    return not isinstance(request.principal, User) or is_true(request.headers.get(b"x-web-mode"))


async def _site(service: Service, request: Request) -> Site | None:
    try:
        return Site.of((await service.store.container(request.account, request.container)).headers)
    except NotFoundError:
        return None


async def container(service: Service, request: Request, plain: Handler, show: Handler, read: Handler) -> None:
    """GET or HEAD of a container by a browser; `plain` serves containers that are no sites, `show` objects, and `read`
    their GET."""
    site = await _site(service, request)
    if site is None:
        await plain(service, request)
        return
    page = _Page(service, request, site, show, read)
    if not site.wanted:
        if isinstance(request.principal, Signed):
            raise SignatureError
        if isinstance(request.principal, User):
            raise RefusedError(404)
    try:
        held = await service.container(request, reading=True, listing=True)
        if not site.wanted:
            await plain(service, request)
        elif not request.path.endswith("/"):
            await page.redirect()
        elif not (site.index and await page.serve(held, site.index)):
            await page.listing(held, "")
    except (CallerError, RefusedError) as error:
        await page.refuse(error)


async def object(service: Service, request: Request, show: Handler, read: Handler) -> None:
    """GET or HEAD of an object by a browser; what is no object may be a directory."""
    site = await _site(service, request)
    if site is None or not site.wanted:
        await show(service, request)
        return
    page = _Page(service, request, site, show, read)
    held = await service.container(request, reading=True)
    name = request.object
    if await page.serve(held, name):
        return
    directory = name if name.endswith("/") else f"{name}/"
    try:
        if site.index and await page.exists(held, directory + site.index):
            if name.endswith("/"):
                await page.serve(held, directory + site.index)
            else:
                await page.redirect()
        elif name.endswith("/"):
            await page.listing(held, name)
        elif await page.is_directory(held, directory):
            await page.redirect()
        else:
            raise RefusedError(404)
    except (CallerError, RefusedError) as error:
        await page.refuse(error)


class _Page:
    """One browser's request to one site."""

    def __init__(self, service: Service, request: Request, site: Site, show: Handler, read: Handler) -> None:
        self._service = service
        self._request = request
        self._site = site
        self._show = show
        self._read = read

    async def exists(self, held: Container, name: str) -> bool:
        """Whether there is an object of this name that is more than a directory's mark."""
        try:
            info = await self._service.store.head(held, name)
        except NotFoundError:
            return False
        return not (info.head.content_type == self._site.directory and info.size <= 1)

    async def serve(self, held: Container, name: str) -> bool:
        """Answer with an object; False where there is none."""
        if not await self.exists(held, name):
            return False
        request = self._request
        before, request.object = request.object, name
        try:
            await self._show(self._service, request)
        except MarkerError:
            raise
        except NotFoundError:
            request.object = before
            return False
        return True

    async def redirect(self) -> None:
        """To the same path as a directory, since links in a page are relative to it."""
        request = self._request
        host = request.headers.get(b"host", b"").decode("latin-1")
        origin = f"{request.scheme}://{host}" if host else ""
        location = f"{origin}{quote(request.path)}/".encode("latin-1")
        await request.respond(301, [(b"location", location), (b"content-type", HTML)])

    async def list(self, held: Container, prefix: str, limit: int) -> list[pages.Entry]:
        """Entries below a prefix, for those who may list."""
        await self._service.container(self._request, reading=True, listing=True)
        query = ListingQuery(limit=limit, prefix=prefix, delimiter="/")
        return await self._service.store.list_objects(held, query)

    async def is_directory(self, held: Container, prefix: str) -> bool:
        """Whether anything is below a prefix, as far as the principal may know."""
        try:
            return bool(await self.list(held, prefix, 1))
        except AccessError:
            return False

    async def listing(self, held: Container, prefix: str) -> None:
        """Answer with a directory's listing."""
        request, site = self._request, self._site
        label = request.path
        if site.label:
            label = f"{site.label}/{request.object}"
        if not site.listings:
            raise RefusedError(404, pages.disabled(label, site.index, prefix, site.css))
        limit = self._service.limits.container_listing_limit
        entries = await self.list(held, prefix, limit)
        if prefix and not entries:
            raise RefusedError(404)
        entries = [entry for entry in entries if entry.name != prefix]  # the directory's own mark
        query, shown = tempurl.continued(request)
        parent = len(prefix) > len(shown)
        body = await join(pages.listing(label, entries, prefix, site.css, parent=parent, query=query))
        # A signed URL makes a download of whatever does not say what it is.
        await request.respond(200, [(b"content-type", HTML), (b"content-disposition", b"inline")], body)

    async def refuse(self, error: Exception) -> None:
        """Answer with the site's own page for this status, where it has one."""
        answer = refusal(error)
        if answer is not None and self._site.error and not self._request.started:
            page = await self._error_page(answer.status)
            if page is not None:
                headers: Fields = [field for field in page.headers if field[0] not in _OWN]
                await self._request.respond(answer.status, [*self._request.refused(answer), *headers], page.body)
                return
        raise error

    async def _error_page(self, status: int) -> Reply | None:
        request = self._request
        name = f"{status}{self._site.error}"
        try:
            held = await self._service.store.container(request.account, request.container)
            if (await self._service.store.head(held, name)).size > PAGE_MAX:
                return None
        except NotFoundError:
            return None
        reply = await ask(self._service, lambda *_: self._read, request, "GET", f"{request.container}/{name}")
        return reply if reply.status == 200 else None
