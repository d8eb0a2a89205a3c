"""Copies made here: COPY with `Destination`, and PUT with `X-Copy-From`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote

from gateway.objects import links, quotas, ranges
from gateway.objects.copying import copy as copy_bytes
from gateway.objects.errors import RangeError, TooLargeError
from gateway.objects.large.view import LargeView
from gateway.objects.links import Trail
from gateway.objects.notes import MANIFEST, PREFIX_MANIFEST
from gateway.objects.reading import ReadView, whole
from gateway.swift.protocol import conditions, manifests, metadata, symlinks
from gateway.swift.protocol import ranges as range_headers
from gateway.swift.protocol.dates import http_date, modified_seconds
from gateway.swift.protocol.description import content_type, created, describe
from gateway.swift.protocol.errors import Fields, RefusedError, bad_request
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.paths import account_header, path_header
from gateway.swift.protocol.request import Request
from gateway.swift.protocol.views import AskedView, asked_view, is_link_followed, is_manifest_asked
from gateway.swift.service import Service
from store.objects.interface import OpenObject
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

ObjectPath = tuple[str, str, str]
PutManifest = Callable[
    [Service, Request, Container, bytes, ObjectHead, Condition, list[tuple[bytes, bytes]]], Awaitable[None]
]
"""Checks a manifest and keeps it as the request's object, and answers with these fields besides."""


async def copy(service: Service, request: Request, put_manifest: PutManifest) -> None:
    """COPY: the request's object to where `Destination` says."""
    if not request.headers.get(b"destination"):
        raise RefusedError(412, "Destination header required")
    container, name = path_header(request, b"destination", "Destination")
    source = request.account, request.container, request.object
    account = account_header(request, b"destination-account") or request.account
    await _transfer(service, request, source, (account, container, name), put_manifest)


async def copy_from(service: Service, request: Request, put_manifest: PutManifest) -> None:
    """PUT with `X-Copy-From`: what that names to the request's object."""
    if request.headers.get(b"content-length", b"0").strip(b"0"):
        raise bad_request("Copy requests require a zero byte body")
    account = account_header(request, b"x-copy-from-account") or request.account
    container, name = path_header(request, b"x-copy-from", "X-Copy-From")
    target = request.account, request.container, request.object
    await _transfer(service, request, (account, container, name), target, put_manifest)


async def _transfer(
    service: Service, request: Request, source: ObjectPath, target: ObjectPath, put_manifest: PutManifest
) -> None:
    layer, caller = service.layer, request.principal
    account, container_name, name = source
    container = await layer.container(caller, account, container_name, reading=True, object=name)
    await service.show_etags(request, container)
    async with service.opening(request, container, name) as opened:
        if is_link_followed(request, opened.info):
            async with Trail(layer, caller).following(container, opened.info) as (held, reached):
                await _Copy(service, request, source, put_manifest).run(held, reached, target)
        else:
            await _Copy(service, request, source, put_manifest).run(container, opened, target)


class _Copy:
    """One copy on its way."""

    def __init__(self, service: Service, request: Request, source: ObjectPath, put_manifest: PutManifest) -> None:
        self._service = service
        self._request = request
        self._source = source
        self._put_manifest = put_manifest

    async def run(self, container: Container, opened: OpenObject, target: ObjectPath) -> None:
        """Write what is shown of an open object as the target, which the request is about from now on."""
        service, request = self._service, self._request
        info = opened.info
        asked = await asked_view(service.layer, request, container, opened)
        _check_source(request, info, asked.view)
        request.account, request.container, request.object = target
        held = await service.container(request, reading=False)
        condition = (
            Condition(none_match=conditions.for_writing(request.headers).none_match)
            if b"if-none-match" in request.headers
            else ALWAYS
        )
        head = self._head(info)
        answer = self._answer_fields(info, head)
        if MANIFEST in info.head.headers and is_manifest_asked(request):
            body = manifests.as_sent(await whole(opened))
            await self._put_manifest(service, request, held, body, head, condition, answer)
            return
        link = links.link_of(info)
        if link is not None:
            head = await links.head_of(service.layer, request.principal, held, symlinks.named(request, link), head)
            await quotas.admit(service.layer, request.principal, held, 0)
            written = await service.store.put(held, request.object, b"", head, condition)
        elif symlinks.TARGET in request.headers:
            raise bad_request("Symlink requests require a zero byte body")
        else:
            written = await self._write(held, asked, head, condition)
        await request.respond(201, created(written) + answer)

    def _head(self, info: ObjectInfo) -> ObjectHead:
        """What the copy is said to be: what the request says, over what the source says unless that is unwanted."""
        service, request = self._service, self._request
        stated = request.headers.get(b"content-type") or is_true(request.headers.get(b"x-detect-content-type"))
        kind = content_type(request, request.object) if stated else info.head.content_type
        said = describe(request, service.limits, service.now(), kind)
        headers = dict(said.headers)
        if is_manifest_asked(request) and PREFIX_MANIFEST in info.head.headers:
            headers[PREFIX_MANIFEST] = info.head.headers[PREFIX_MANIFEST]
        if is_true(request.headers.get(b"x-fresh-metadata")):
            return replace(said, headers=headers)
        headers |= {
            header: value
            for header, value in info.head.headers.items()
            if header[0] != "." and header.removeprefix(metadata.RAW) not in said.headers
        }
        metadata.check_total(headers, {}, "object", service.limits)
        expires_at = info.head.expires_at if said.expires_at is None else said.expires_at
        return ObjectHead(said.content_type, headers, expires_at=expires_at)

    def _answer_fields(self, info: ObjectInfo, head: ObjectHead) -> Fields:
        account, container, name = self._source
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
        self, container: Container, asked: AskedView, head: ObjectHead, condition: Condition
    ) -> ObjectInfo:
        layer, request, limits = self._service.layer, self._request, self._service.limits
        start, stop = _span(request, asked)
        if stop - start > limits.max_file_size:
            raise TooLargeError(f"more than {limits.max_file_size} bytes")
        await quotas.admit(layer, request.principal, container, stop - start)
        return await copy_bytes(layer, asked.view, start, stop, container, request.object, head, condition)


def _check_source(request: Request, info: ObjectInfo, view: ReadView) -> None:
    headers = {name: value for name, value in request.headers.items() if name != b"if-none-match"}
    outcome = conditions.for_reading(headers).outcome(view.etag, modified_seconds(info.changed))
    if outcome is not None:
        raise RefusedError(conditions.STATUS[outcome])


def _span(request: Request, asked: AskedView) -> tuple[int, int]:
    """The bytes [start, stop) of the source that are to be copied."""
    view = asked.view
    if asked.part is not None and isinstance(view, LargeView):
        if asked.part > len(view.segments):
            raise RefusedError(416, "The requested part number is not satisfiable")
        return view.part_range(asked.part)
    wanted = range_headers.parse(request.headers.get(b"range", b""))
    if not wanted:
        return 0, view.size
    fitted = ranges.fit(wanted, view.size)
    if not fitted:
        raise RangeError(view.size)
    if len(fitted) > 1:
        raise bad_request("A copy takes one range")
    return fitted[0]
