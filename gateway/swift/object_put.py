"""Writing objects: PUT of a body, and the parts of it that copies and manifests share."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import AsyncIterator

from gateway.swift import conditions, dlo, expiry, metadata, quotas
from gateway.swift.conditions import unquoted
from gateway.swift.dates import http_date, modified_seconds
from gateway.swift.errors import HTML, PLAIN, ClientGoneError, Fields, RefusedError, bad_request
from gateway.swift.read_view import SLO_ETAG, STATIC, VERSION_ID
from gateway.swift.request import Request, is_true
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.core.limits import INLINE_BYTES_MAX
from store.objects.interface import Buffer
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo


async def put(service: Service, request: Request) -> None:
    """PUT: an object from the request's body."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if STATIC.encode() in request.headers:
        raise RefusedError(
            400,
            "X-Static-Large-Object is a reserved header. To create a static large object add query param "
            "multipart-manifest=put.",
        )
    size = body_size(service, request)
    left = await quotas.admit(service, request, container, size)
    small = size is not None and size <= INLINE_BYTES_MAX
    if condition is not ALWAYS and (condition.match is not None or not small):
        condition = await settled(service, request, container, condition)
    head = describe(service, request, content_type(request, request.object))
    etag = wanted_etag(request)
    if size is not None and size <= INLINE_BYTES_MAX:
        data = await request.body(size)
        if len(data) != size:
            raise ClientGoneError
        info = await put_small(service, container, request.object, data, head, condition, etag)
    else:
        info = await write(service, container, request.object, request.pieces(), size, head, condition, etag, left)
    await request.respond(201, created(info))


async def settled(service: Service, request: Request, container: Container, condition: Condition) -> Condition:
    """The condition as the store is to check it. Raises RefusedError (412) where it fails already, so that a body
    which cannot be kept is not read.

    A client knows a static large object by the etag of the whole, the store by that of the manifest.
    """
    try:
        info = await service.store.head(container, request.object)
    except NotFoundError:
        shown = present = None
    else:
        present = info.etag
        shown = info.head.headers.get(SLO_ETAG, present)
    if not condition.holds(shown):
        raise RefusedError(412)
    if condition.match is None or present is None or "*" in condition.match:
        return condition
    return Condition(frozenset({present}), condition.none_match)


def created(info: ObjectInfo, etag: str | None = None) -> Fields:
    """The fields of an answer to a write."""
    fields = [
        (b"content-type", HTML),
        (b"etag", (info.etag if etag is None else f'"{etag}"').encode()),
        (b"last-modified", http_date(modified_seconds(info.changed))),
    ]
    version = info.head.headers.get(VERSION_ID)
    if version is not None:
        fields.append((b"x-object-version-id", version.encode()))
    return fields


def body_size(service: Service, request: Request) -> int | None:
    """The body's size, None where it comes in chunks. Raises RefusedError: 400, 411, 413, 501."""
    transfer = request.headers.get(b"transfer-encoding")
    if transfer is not None:
        if transfer.rsplit(b",", 1)[-1].strip().lower() != b"chunked":
            raise RefusedError(501, "Unsupported Transfer-Encoding header value", kind=PLAIN)
        return None
    stated = request.headers.get(b"content-length")
    if stated is None:
        raise RefusedError(411, "Missing Content-Length header.", kind=PLAIN)
    if not stated.isdigit() or len(stated) > 20:
        raise bad_request("Invalid Content-Length header value")
    size = int(stated)
    if size > service.limits.max_file_size:
        raise RefusedError(413, "Your request is too large.", kind=PLAIN)
    return size


def wanted_etag(request: Request) -> str:
    """The MD5 that the client says its body has, or ""."""
    stated = request.headers.get(b"etag")
    return unquoted(stated.decode("latin-1").strip()).lower() if stated else ""


def content_type(request: Request, name: str) -> str:
    """The type that is stated, or guessed from the name where none is or a guess is asked for."""
    stated = request.header(b"content-type")
    if not stated or is_true(request.headers.get(b"x-detect-content-type")):
        return mimetypes.guess_type(f"/{name}")[0] or "application/octet-stream"
    if ";" in stated and any(part.lstrip().startswith("swift_") for part in stated.split(";")[1:]):
        raise RefusedError(400, "Invalid Content-Type, swift_* is not a valid parameter name.")
    return stated


def describe(service: Service, request: Request, kind: str) -> ObjectHead:
    """What the request says of the object to be written. Raises RefusedError (400) over any limit."""
    check_name(service, request.object)
    headers = metadata.collect(request, "object", service.limits)
    headers.update(metadata.kept_headers(request))
    headers.update(dlo.manifest_header(request))
    return ObjectHead(kind, headers, expires_at=expiry.expires_at(request, service.now()))


def check_name(service: Service, name: str) -> None:
    """Raise RefusedError (400) for a name that is too long."""
    length = len(name.encode())
    if length > service.limits.max_object_name_length:
        raise bad_request(f"Object name length of {length} longer than {service.limits.max_object_name_length}")


async def put_small(
    service: Service,
    container: Container,
    name: str,
    data: Buffer,
    head: ObjectHead,
    condition: Condition,
    etag: str = "",
) -> ObjectInfo:
    """Store a body that is whole at hand, in one step."""
    if etag and hashlib.md5(data, usedforsecurity=False).hexdigest() != etag:
        raise RefusedError(422)
    return await service.store.put(container, name, data, head, condition)


async def write(
    service: Service,
    container: Container,
    name: str,
    pieces: AsyncIterator[bytes],
    size: int | None,
    head: ObjectHead,
    condition: Condition,
    etag: str = "",
    left: int | None = None,
) -> ObjectInfo:
    """Store a body as it comes. Nothing is visible unless all of it came and is what was promised.

    `left` is how much the quotas allow, None where there are none.
    """
    most = service.limits.max_file_size
    too_large = RefusedError(413)
    if left is not None and left < most:
        most, too_large = left, quotas.exceeded()
    begun = bytearray()
    if size is None:
        async for piece in pieces:
            begun += piece
            if len(begun) > INLINE_BYTES_MAX:
                break
        if len(begun) > most:
            raise too_large
        if len(begun) <= INLINE_BYTES_MAX:
            return await put_small(service, container, name, begun, head, condition, etag)
    async with service.store.upload(container, name, size) as upload:
        total = len(begun)
        if begun:
            await upload.write(begun)
        async for piece in pieces:
            total += len(piece)
            if total > most:
                raise too_large
            if piece:
                await upload.write(piece)
        if size is not None and total != size:
            raise ClientGoneError
        _size, actual = await upload.digest()
        if etag and etag != actual:
            raise RefusedError(422)
        return await upload.commit(head, condition)
