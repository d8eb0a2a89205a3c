"""Copies made here: COPY with `Destination`, and PUT with `X-Copy-From`."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from gateway.swift import (
    conditions,
    metadata,
    object_get,
    object_put,
    quotas,
    ranges,
    slo,
    slo_manifest,
    slo_read,
    symlink,
    symlink_put,
    version_object,
)
from gateway.swift.dates import http_date, modified_seconds
from gateway.swift.errors import Fields, IncompleteError, RefusedError, bad_request
from gateway.swift.paths import account_header, path_header
from gateway.swift.read_view import MANIFEST, STATIC, PlainView, ReadView, pour, whole
from gateway.swift.request import Request, is_true
from gateway.swift.service import Service
from store.core.limits import INLINE_BYTES_MAX
from store.objects.interface import OpenObject
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

ObjectPath = tuple[str, str, str]


async def copy(service: Service, request: Request) -> None:
    """COPY: the request's object to where `Destination` says."""
    if not request.headers.get(b"destination"):
        raise RefusedError(412, "Destination header required")
    container, name = path_header(request, b"destination", "Destination")
    source = request.account, request.container, request.object
    account = account_header(request, b"destination-account") or request.account
    await _transfer(service, request, source, (account, container, name))


async def copy_from(service: Service, request: Request) -> None:
    """PUT with `X-Copy-From`: what that names to the request's object."""
    if request.headers.get(b"content-length", b"0").strip(b"0"):
        raise bad_request("Copy requests require a zero byte body")
    account = account_header(request, b"x-copy-from-account") or request.account
    container, name = path_header(request, b"x-copy-from", "X-Copy-From")
    await _transfer(service, request, (account, container, name), (request.account, request.container, request.object))


async def _transfer(service: Service, request: Request, source: ObjectPath, target: ObjectPath) -> None:
    account, container_name, name = source
    container = await service.container(request, reading=True, account=account, name=container_name)
    async with version_object.opening(service, request, container, name) as opened:
        if symlink.followed(request, opened.info):
            async with symlink.following(service, request, container, opened.info) as (held, reached):
                await _copy(service, request, held, reached, source, target)
        else:
            await _copy(service, request, container, opened, source, target)


async def _copy(
    service: Service, request: Request, container: Container, opened: OpenObject, source: ObjectPath, target: ObjectPath
) -> None:
    info = opened.info
    view = await object_get.view_of(service, request, container, opened)
    _check_source(request, info, view)
    request.account, request.container, request.object = target
    target_container = await service.container(request, reading=False)
    condition = (
        Condition(none_match=conditions.for_writing(request.headers).none_match)
        if b"if-none-match" in request.headers
        else ALWAYS
    )
    head = _head(service, request, info)
    answer = _answer_fields(source, info, head)
    if STATIC in info.head.headers and request.query.get("multipart-manifest") == "get":
        body = slo_manifest.as_sent(await whole(opened))
        await slo.put_manifest(service, request, target_container, body, head, condition, answer)
        return
    link = symlink.link_of(info)
    if link is not None:
        link = symlink_put.named(request, link)
        written = await symlink_put.keep(service, request, target_container, link, head, condition)
    elif symlink_put.TARGET in request.headers:
        raise bad_request("Symlink requests require a zero byte body")
    else:
        written = await _write(service, request, target_container, view, head, condition)
    await request.respond(201, object_put.created(written) + answer)


def _check_source(request: Request, info: ObjectInfo, view: ReadView) -> None:
    headers = {name: value for name, value in request.headers.items() if name != b"if-none-match"}
    if conditions.present(headers):
        status = conditions.for_reading(headers, view.etag, modified_seconds(info.changed))
        if status is not None:
            raise RefusedError(status)


def _head(service: Service, request: Request, info: ObjectInfo) -> ObjectHead:
    """What the copy is said to be: what the request says, over what the source says unless that is unwanted."""
    said = object_put.describe(
        service,
        request,
        object_put.content_type(request, request.object)
        if request.headers.get(b"content-type") or is_true(request.headers.get(b"x-detect-content-type"))
        else info.head.content_type,
    )
    headers = dict(said.headers)
    if request.query.get("multipart-manifest") == "get" and MANIFEST in info.head.headers:
        headers[MANIFEST] = info.head.headers[MANIFEST]
    if is_true(request.headers.get(b"x-fresh-metadata")):
        return replace(said, headers=headers)
    unwanted = {STATIC, MANIFEST, *said.headers}
    headers |= {
        header: value
        for header, value in info.head.headers.items()
        if header[0] != "." and header.removeprefix(metadata.RAW) not in unwanted
    }
    metadata.check_total(headers, {}, "object", service.limits)
    expires_at = info.head.expires_at if said.expires_at is None else said.expires_at
    return ObjectHead(said.content_type, headers, expires_at=expires_at)


def _answer_fields(source: ObjectPath, info: ObjectInfo, head: ObjectHead) -> Fields:
    account, container, name = source
    found: Fields = [
        (b"x-copied-from-account", quote(account).encode()),
        (b"x-copied-from", quote(f"{container}/{name}").encode()),
        (b"x-copied-from-last-modified", http_date(modified_seconds(info.changed))),
    ]
    for header, value in head.headers.items():
        if header.startswith("x-object-meta-"):
            found.append((header.encode(), value.encode()))
    if head.expires_at is not None:
        found.append((b"x-delete-at", b"%d" % head.expires_at))
    return found


async def _write(
    service: Service,
    request: Request,
    container: Container,
    view: ReadView,
    head: ObjectHead,
    condition: Condition,
) -> ObjectInfo:
    start, stop = 0, view.size
    asked = ranges.parse(request.headers.get(b"range", b""))
    if isinstance(view, slo_read.SloView) and view.part is not None:
        if view.part > len(view.segments):
            raise RefusedError(416, "The requested part number is not satisfiable")
        start, stop = view.part_range(view.part)
    elif asked:
        fitted = ranges.fit(asked, view.size)
        if not fitted:
            raise RefusedError(416, headers=[(b"content-range", b"bytes */%d" % view.size)])
        if len(fitted) > 1:
            raise bad_request("A copy takes one range")
        start, stop = fitted[0]
    if stop - start > service.limits.max_file_size:
        raise RefusedError(413)
    await quotas.admit(service, request, container, stop - start)
    inline = view.inline
    if inline is not None and stop - start <= INLINE_BYTES_MAX:
        return await object_put.put_small(service, container, request.object, inline[start:stop], head, condition)
    async with service.store.upload(container, request.object, stop - start) as upload:
        data = view.opened.data if isinstance(view, PlainView) and stop - start == view.size else None
        if data is None or not await upload.reflink(data):
            await view.pour(start, stop, upload.write, pour)
        written, _etag = await upload.digest()
        if written != stop - start:
            raise IncompleteError(f"{written} of {stop - start} bytes could be copied")
        return await upload.commit(head, condition)
