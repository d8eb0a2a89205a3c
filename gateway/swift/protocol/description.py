"""What is said of objects: by a request that writes one, and by the answers about one."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from gateway.objects.notes import (
    LINK_ACCOUNT,
    LINK_BYTES,
    LINK_ETAG,
    LINK_TARGET,
    MANIFEST,
    PREFIX_MANIFEST,
    VERSION_ID,
    VERSION_IS_CURRENT,
)
from gateway.swift.config import Limits
from gateway.swift.protocol import expiry, metadata
from gateway.swift.protocol.conditions import unquoted
from gateway.swift.protocol.dates import http_date, modified_seconds, timestamp
from gateway.swift.protocol.errors import HTML, PLAIN, Fields, RefusedError, bad_request
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.locations import version_path
from gateway.swift.protocol.request import Request
from store.objects.model import Container, ObjectHead, ObjectInfo

MANIFEST_HEADER, STATIC_HEADER = b"x-object-manifest", b"x-static-large-object"

_SAYS_NOTHING = frozenset(
    b"host,user-agent,accept,accept-encoding,connection,content-length,content-type,date,etag,expect,transfer-encoding,"
    b"x-auth-token,x-storage-token,x-trans-id-extra,referer,origin".split(b",")
)
"""Headers that most requests have alone, and that say nothing of the object but its type."""
_SHOWN_NOTES = {
    PREFIX_MANIFEST: (MANIFEST_HEADER, ""),
    MANIFEST: (STATIC_HEADER, ""),
    LINK_TARGET: (b"x-symlink-target", "/"),
    LINK_ACCOUNT: (b"x-symlink-target-account", "/"),
    LINK_ETAG: (b"x-symlink-target-etag", "/"),
    LINK_BYTES: (b"x-symlink-target-bytes", "/"),
    VERSION_ID: (b"x-object-version-id", "/"),
}
"""The notes that are shown, and what of them is not quoted ("": nothing is); those of a link only where it is not
followed."""


def fields(container: Container, info: ObjectInfo, etag: str, *, quoted: bool, kind: str | None = None) -> Fields:
    """The headers that describe an object of a container."""
    head = info.head
    found: Fields = [
        (b"content-type", (kind or head.content_type).encode()),
        (b"etag", f'"{etag}"'.encode() if quoted else etag.encode()),
        (b"last-modified", http_date(modified_seconds(info.changed))),
        (b"x-timestamp", timestamp(info.changed)),
        (b"accept-ranges", b"bytes"),
    ]
    for name, value in head.headers.items():
        if name[0] == ".":
            if name in _SHOWN_NOTES:
                header, plain = _SHOWN_NOTES[name]
                found.append((header, (quote(value, plain) if plain else value).encode()))
        elif name.startswith(metadata.RAW):
            found.append((name[len(metadata.RAW) :].encode("latin-1"), value.encode("latin-1")))
        else:
            found.append((name.encode(), value.encode()))
    if VERSION_IS_CURRENT in head.headers:
        path = version_path(container.account, container.name, info.name, head.headers[VERSION_ID])
        found.append((b"content-location", path.encode()))
    if head.expires_at is not None:
        found.append((b"x-delete-at", b"%d" % head.expires_at))
    return found


def created(info: ObjectInfo, etag: str | None = None) -> Fields:
    """The fields of an answer to a write; `etag` is that of the whole where a manifest was written."""
    found = [
        (b"content-type", HTML),
        (b"etag", (info.etag if etag is None else f'"{etag}"').encode()),
        (b"last-modified", http_date(-(-info.changed.time_us // 1_000_000))),  # as modified_seconds has it
    ]
    version = info.head.headers.get(VERSION_ID)
    if version is not None:
        found.append((b"x-object-version-id", version.encode()))
    return found


def body_size(request: Request, size_max: int) -> int | None:
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
    if size > size_max:
        raise RefusedError(413, "Your request is too large.", kind=PLAIN)
    return size


async def no_body(request: Request, size_max: int, text: str) -> None:
    """Raise RefusedError (400, with this text) where there is a body."""
    if body_size(request, size_max):
        raise bad_request(text)
    try:
        await request.body(0)
    except RefusedError as error:
        raise bad_request(text) if error.status == 413 else error from None


def wanted_etag(request: Request) -> str:
    """The MD5 that the client says its body has, or ""."""
    stated = request.headers.get(b"etag")
    return unquoted(stated.decode("latin-1").strip()).lower() if stated else ""


def content_type(request: Request, name: str) -> str:
    """The type that is stated, or guessed from the name where none is or a guess is asked for."""
    stated = request.header(b"content-type")
    detect = request.headers.get(b"x-detect-content-type")
    if not stated or (detect and is_true(detect)):
        return mimetypes.guess_type(f"/{name}")[0] or "application/octet-stream"
    if ";" in stated and any(part.lstrip().startswith("swift_") for part in stated.split(";")[1:]):
        raise RefusedError(400, "Invalid Content-Type, swift_* is not a valid parameter name.")
    return stated


def describe(request: Request, limits: Limits, now: float, kind: str) -> ObjectHead:
    """What the request says of the object to be written. Raises RefusedError (400) over any limit."""
    check_name(request.object, limits)
    if (
        _SAYS_NOTHING.issuperset(request.headers)
        and max(map(len, request.headers.values()), default=0) <= limits.max_header_size
    ):
        return ObjectHead(kind)
    headers = metadata.collect(request, "object", limits)
    headers.update(metadata.kept_headers(request))
    if MANIFEST_HEADER in request.headers:
        headers[PREFIX_MANIFEST] = _prefix(request)
    return ObjectHead(kind, headers, expires_at=expiry.expires_at(request, now))


def check_name(name: str, limits: Limits) -> None:
    """Raise RefusedError (400) for a name that is too long."""
    if 4 * len(name) <= limits.max_object_name_length:
        return
    length = len(name.encode())
    if length > limits.max_object_name_length:
        raise bad_request(f"Object name length of {length} longer than {limits.max_object_name_length}")


def _prefix(request: Request) -> str:
    """The prefix that a manifest names. Raises RefusedError (400) where it names none."""
    value = request.header(MANIFEST_HEADER) or ""
    container, _, prefix = value.partition("/")
    if not container or not prefix or "?" in value or "&" in value or prefix.startswith("/"):
        raise RefusedError(400, "X-Object-Manifest must be in the format container/prefix")
    return value
