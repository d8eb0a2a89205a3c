"""Reading objects: GET and HEAD, whole or in ranges, under conditions."""

from __future__ import annotations

from gateway.swift import conditions, dlo, ranges, slo_read, symlink, version_object
from gateway.swift.dates import modified_seconds
from gateway.swift.errors import HTML, PAGES, Fields, RefusedError
from gateway.swift.expiry import expired
from gateway.swift.read_view import MANIFEST, STATIC, PlainView, ReadView, fields
from gateway.swift.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.objects.interface import Buffer, OpenObject
from store.objects.model import Container, ObjectInfo

_NEEDS_MANIFEST = frozenset({"multipart-manifest", "part-number"})
"""Parameters for which HEAD of a static large object must read the manifest; else its notes say all."""


async def get(service: Service, request: Request) -> None:
    """GET: the object's bytes."""
    container = await service.container(request, reading=True)
    try:
        async with version_object.opening(
            service, request, container, request.object, expired=expired(service, request)
        ) as opened:
            if symlink.followed(request, opened.info):
                async with symlink.following(
                    service, request, container, opened.info, shown=True, expired=expired(service, request)
                ) as (held, target):
                    await _answer(service, request, target.info, await view_of(service, request, held, target))
                return
            await _answer(service, request, opened.info, await view_of(service, request, container, opened))
    except NotFoundError:
        raise _absent(request) from None


async def view_of(service: Service, request: Request, container: Container, opened: OpenObject) -> ReadView:
    """What the request sees of an open object: a manifest's segments, unless it asks for the manifest itself."""
    headers = opened.info.head.headers
    if STATIC in headers:
        if request.query.get("multipart-manifest") == "get":
            return await slo_read.manifest_view(request, opened)
        return await slo_read.view(service, request, container, opened)
    if MANIFEST in headers and request.query.get("multipart-manifest") != "get":
        return await dlo.view(service, request, container, opened.info)
    return PlainView(opened)


async def head(service: Service, request: Request) -> None:
    """HEAD: the same without the bytes."""
    container = await service.container(request, reading=True)
    try:
        info = await version_object.head(service, request, container, request.object, expired=expired(service, request))
        if symlink.followed(request, info):
            container, info = await symlink.target(
                service, request, container, info, shown=True, expired=expired(service, request)
            )
    except NotFoundError:
        raise _absent(request) from None
    headers = info.head.headers
    size, etag, quoted, extra = info.size, info.etag, False, Fields()
    if STATIC in headers:
        if not _NEEDS_MANIFEST.isdisjoint(request.query):
            async with version_object.opening(
                service, request, container, info.name, expired=expired(service, request)
            ) as opened:
                await _answer(service, request, opened.info, await view_of(service, request, container, opened))
            return
        size, etag, quoted, extra = *slo_read.described(info), True, slo_read.own_fields(info)
    elif MANIFEST in headers and request.query.get("multipart-manifest") != "get":
        view = await dlo.view(service, request, container, info)
        size, etag, quoted, extra = view.size, view.etag, view.quoted, view.extra
    answer = [*fields(info, etag, quoted=quoted), *extra]
    if conditions.present(request.headers):
        status = conditions.for_reading(request.headers, etag, modified_seconds(info.changed))
        if status is not None:
            await request.respond(status, answer)
            return
    await request.respond(200, answer, length=size)


def _absent(request: Request) -> RefusedError:
    match = request.headers.get(b"if-match")
    return RefusedError(412 if match and "*" in conditions.tags(match) else 404)


async def _answer(service: Service, request: Request, info: ObjectInfo, view: ReadView) -> None:
    headers = request.headers
    answer = fields(info, view.etag, quoted=view.quoted, kind=view.kind)
    answer += view.extra
    if conditions.present(headers):
        status = conditions.for_reading(headers, view.etag, modified_seconds(info.changed))
        if status is not None:
            await request.respond(status, answer)
            return
    size = view.size
    if isinstance(view, slo_read.SloView) and view.part is not None:
        await _part(service, request, answer, view)
        return
    asked = headers.get(b"range")
    if asked is not None and request.method == "GET":
        wanted = ranges.parse(asked)
        if (
            wanted
            and (view.several or len(wanted) == 1)
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
    service: Service, request: Request, answer: Fields, view: ReadView, size: int, wanted: ranges.Asked
) -> None:
    fitted = ranges.fit(wanted, size)
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
    service: Service, request: Request, answer: Fields, view: ReadView, size: int, fitted: ranges.Fitted
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


async def _part(service: Service, request: Request, answer: Fields, view: slo_read.SloView) -> None:
    """One segment of a static large object, by its number."""
    number, size = view.part or 1, view.size
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
