"""Reading objects: GET and HEAD, whole or in ranges, under conditions."""

from __future__ import annotations

from contextlib import suppress

from gateway.objects import ranges as byte_ranges
from gateway.objects.errors import MarkerError
from gateway.objects.large import prefix_view
from gateway.objects.large import view as large_view
from gateway.objects.large.owned_marks import OWNS
from gateway.objects.large.prefix_view import PrefixView
from gateway.objects.large.view import LargeView
from gateway.objects.lifting import OLD_OBJECT
from gateway.objects.links import Trail
from gateway.objects.notes import MANIFEST, PREFIX_MANIFEST, SPECIAL
from gateway.objects.reading import PlainView, ReadView
from gateway.swift.protocol import conditions, ranges
from gateway.swift.protocol.dates import modified_seconds
from gateway.swift.protocol.description import fields
from gateway.swift.protocol.errors import HTML, PAGES, Fields, RefusedError
from gateway.swift.protocol.expiry import expired
from gateway.swift.protocol.locations import object_path
from gateway.swift.protocol.request import Request
from gateway.swift.protocol.views import asked_view, is_link_followed, is_manifest_asked
from gateway.swift.service import Service
from store.core.errors import NotFoundError, OutdatedError
from store.objects.interface import Buffer, OpenObject
from store.objects.model import Container, ObjectInfo

_NOTED = SPECIAL | OLD_OBJECT
_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"})
_UNPLAIN = _CONDITIONAL | {b"x-open-expired"}
_NEEDS_MANIFEST = frozenset({"multipart-manifest", "part-number"})
"""Parameters for which HEAD of a static large object must read the manifest; else its notes say all."""


async def get(service: Service, request: Request) -> None:
    """GET: the object's bytes."""
    plain = service.plain_container(request)
    if plain is not None and not request.queried and b"x-open-expired" not in request.headers:
        with suppress(OutdatedError):  # then it is looked for anew
            container, owner = plain
            try:
                async with service.layer.plain.open(container, request.object, owner=owner) as opened:
                    if _NOTED.isdisjoint(opened.info.head.headers):
                        await _answer(service, request, container, opened.info, PlainView(opened))
                        return
            except NotFoundError as error:
                raise _absent(request, error) from None
    await _get(service, request)


async def _get(service: Service, request: Request) -> None:
    """Whatever the object, its container and the request are."""
    container = await service.container(request, reading=True)
    seen = expired(request, service.config)
    try:
        async with service.opening(request, container, request.object, expired=seen) as opened:
            if is_link_followed(request, opened.info):
                trail = _shown(request, Trail(service.layer, request.principal))
                async with trail.following(container, opened.info, expired=seen) as (held, target):
                    await service.show_etags(request, held)
                    await _special(service, request, held, target)
            else:
                await _special(service, request, container, opened)
    except NotFoundError as error:
        raise _absent(request, error) from None


async def _special(service: Service, request: Request, container: Container, opened: OpenObject) -> None:
    """Answer with what an open object that is more than its own bytes shows."""
    asked = await asked_view(service.layer, request, container, opened)
    await _answer(service, request, container, opened.info, *asked)


def _shown(request: Request, trail: Trail) -> Trail:
    """Have the answer, whatever it becomes, say what path a trail of links has come to."""

    def finish(_status: int, answer: Fields) -> Fields:
        if trail.path and not any(name == b"content-location" for name, _ in answer):
            answer.append((b"content-location", object_path(*trail.path).encode()))
        return answer

    request.add_finisher(finish)
    return trail


async def head(service: Service, request: Request) -> None:
    """HEAD: the same without the bytes."""
    plain = service.plain_container(request)
    if plain is not None and not request.queried and _UNPLAIN.isdisjoint(request.headers):
        with suppress(OutdatedError):  # then it is looked for anew
            container, owner = plain
            try:
                info = await service.layer.plain.head(container, request.object, owner=owner)
            except NotFoundError as error:
                raise _absent(request, error) from None
            if _NOTED.isdisjoint(info.head.headers):
                await request.respond(200, fields(container, info, info.etag, quoted=False), length=info.size)
                return
    await _head(service, request)


async def _head(service: Service, request: Request) -> None:
    """Whatever the object, its container and the request are."""
    container = await service.container(request, reading=True)
    seen = expired(request, service.config)
    try:
        info = await service.head(request, container, request.object, expired=seen)
        if is_link_followed(request, info):
            trail = _shown(request, Trail(service.layer, request.principal))
            container, info = await trail.target(container, info, expired=seen)
            await service.show_etags(request, container)
    except NotFoundError as error:
        raise _absent(request, error) from None
    headers = info.head.headers
    size, etag, quoted = info.size, info.etag, False
    if MANIFEST in headers:
        if not _NEEDS_MANIFEST.isdisjoint(request.query):
            async with service.opening(request, container, info.name, expired=seen) as opened:
                await _special(service, request, container, opened)
            return
        size, etag = large_view.described(info)
        quoted = True
    elif PREFIX_MANIFEST in headers and not is_manifest_asked(request):
        view = await prefix_view.view(service.layer, request.principal, container, info)
        size, etag, quoted = view.size, view.etag, True
    answer = fields(container, info, etag, quoted=quoted) + manifest_fields(info)
    if conditions.present(request.headers):
        outcome = conditions.for_reading(request.headers).outcome(etag, modified_seconds(info.changed))
        if outcome is not None:
            await request.respond(conditions.STATUS[outcome], answer)
            return
    await request.respond(200, answer, length=size)


def manifest_fields(info: ObjectInfo) -> Fields:
    """Fields that only a static large object has."""
    if MANIFEST not in info.head.headers:
        return []
    found: Fields = [(b"x-manifest-etag", info.etag.encode())]
    if OWNS in info.head.headers:
        found.append((b"x-static-large-object-segments", b"owned"))
    return found


def _absent(request: Request, error: NotFoundError) -> Exception:
    match = request.headers.get(b"if-match")
    if isinstance(error, MarkerError):
        return error
    return RefusedError(412 if match and "*" in conditions.tags(match) else 404)


async def _answer(
    service: Service,
    request: Request,
    container: Container,
    info: ObjectInfo,
    view: ReadView,
    kind: str | None = None,
    part: int | None = None,
) -> None:
    headers = request.headers
    answer = fields(container, info, view.etag, quoted=view.composite, kind=kind)
    if view.composite:
        answer += manifest_fields(info)
    if not _CONDITIONAL.isdisjoint(headers):
        outcome = conditions.for_reading(headers).outcome(view.etag, modified_seconds(info.changed))
        if outcome is not None:
            await request.respond(conditions.STATUS[outcome], answer)
            return
    size = view.size
    if part is not None and isinstance(view, LargeView):
        await _part(service, request, answer, view, part)
        return
    asked = headers.get(b"range")
    if asked is not None and request.method == "GET":
        wanted = ranges.parse(asked)
        if (
            wanted
            and (len(wanted) == 1 or not isinstance(view, PrefixView))
            and conditions.range_stands(headers, view.etag, modified_seconds(info.changed))
        ):
            await _ranges(service, request, answer, view, size, wanted)
            return
    if request.method == "HEAD":
        await request.respond(200, answer, length=size)
        return
    inline = view.inline
    if inline is not None:
        await request.respond(200, answer, inline)
        return
    request.begin(200, answer, size)
    await view.pour(0, size, request.push, service.downloads.pour)
    await request.end()


async def _ranges(
    service: Service, request: Request, answer: Fields, view: ReadView, size: int, wanted: byte_ranges.Asked
) -> None:
    fitted = byte_ranges.fit(wanted, size)
    if not fitted:
        await _unsatisfiable(request, answer, size)
    elif size == 0:
        await request.respond(200, answer)
    elif len(fitted) == 1:
        await _one_range(service, request, answer, view, size, *fitted[0])
    else:
        await _many_ranges(service, request, answer, view, size, fitted)


async def _unsatisfiable(request: Request, answer: Fields, size: int, page: bytes | None = None) -> None:
    answer = [field for field in answer if field[0] != b"content-type"]
    answer += [(b"content-type", HTML), (b"content-range", b"bytes */%d" % size)]
    body = page or PAGES[416]
    await request.respond(416, answer, b"" if request.method == "HEAD" else body)


async def _one_range(
    service: Service, request: Request, answer: Fields, view: ReadView, size: int, start: int, stop: int
) -> None:
    answer.append((b"content-range", ranges.content_range(start, stop, size)))
    inline = view.inline
    if inline is not None:
        await request.respond(206, answer, inline[start:stop])
        return
    request.begin(206, answer, stop - start)
    await view.pour(start, stop, request.push, service.downloads.pour)
    await request.end()


async def _many_ranges(
    service: Service, request: Request, answer: Fields, view: ReadView, size: int, fitted: byte_ranges.Fitted
) -> None:
    content_type = next(value for name, value in answer if name == b"content-type")
    boundary = service.random.bytes(16).hex().encode()
    frame = ranges.Multipart(boundary, content_type, size, fitted)
    answer = [field for field in answer if field[0] != b"content-type"]
    answer.append((b"content-type", b"multipart/byteranges;boundary=" + boundary))
    request.begin(206, answer, frame.length)
    before = b""

    async def push(piece: Buffer) -> None:
        nonlocal before  # goes out with the first bytes behind it, so that an error before them can be answered
        if before:
            head, before = before, b""
            await request.push(head)
        await request.push(piece)

    for start, stop in fitted:
        before += frame.head(start, stop)
        await view.pour(start, stop, push, service.downloads.pour)
        before += b"\r\n"
    await request.push(before + frame.tail)
    await request.end()


async def _part(service: Service, request: Request, answer: Fields, view: LargeView, number: int) -> None:
    """One segment of a static large object, by its number."""
    size = view.size
    answer.append((b"x-parts-count", b"%d" % len(view.segments)))
    if number > len(view.segments):
        await _unsatisfiable(request, answer, size, b"The requested part number is not satisfiable")
        return
    start, stop = view.part_range(number)
    if request.method == "HEAD":
        answer.append((b"content-range", ranges.content_range(start, stop, size)))
        await request.respond(206, answer, length=stop - start)
        return
    await _one_range(service, request, answer, view, size, start, stop)
