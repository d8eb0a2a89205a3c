"""`/v2/images/{image_id}/file` and `/stage`: the bytes of images, in and out."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.rest.answers import nothing
from gateway.rest.app import Routes, Send
from gateway.rest.call import Receive, Scope
from gateway.rest.errors import TooLargeError
from image_registry.errors import AttributeForbiddenError, MediaTypeError, RangeError
from image_registry.records import Status
from image_registry.v2.call import Call
from store.core.errors import InvalidError, NotFoundError
from store.objects.interface import OpenObject

OCTETS: Final = "application/octet-stream"
_RANGE: Final = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")


async def upload(call: Call) -> Response:
    """Receives the bits of an image, which is active when this is answered."""
    _require_octets(call)
    found = await call.found("upload_image")
    await call.service.uploads.store_bits(found, _store(call), _pieces(call), _size(call))
    return nothing()


async def stage(call: Call) -> Response:
    """Receives bits that are to be imported: see `/import`."""
    _require_octets(call)
    found = await call.found("modify_image")
    await call.service.uploads.stage_bits(found, call.service.bits.stores[0], _pieces(call), _size(call))
    return nothing()


async def download(call: Call) -> Response:
    """The bits, all of them or a range. Whoever reads them goes on when the image is deleted."""
    image = (await call.found("download_image")).image
    if image.status is Status.DEACTIVATED and not await call.is_admin():
        raise AttributeForbiddenError(
            f"The requested image {image.id} has been deactivated. Image data download is forbidden."
        )
    if not image.copies:
        return nothing()
    preferred = [name.strip() for name in call.query.get("prefer", "").split(",") if name.strip()]
    by_store = {bits.store: bits for bits in image.copies}
    bits = next((by_store[name] for name in preferred if name in by_store), image.copies[0])
    start, stop, partial = _asked(call, bits.size)
    stack = AsyncExitStack()
    try:
        opened = await stack.enter_async_context(await call.service.bits.open(bits))
    except NotFoundError as error:
        raise NotFoundError(f"Image {image.id} has no data any more.") from error
    headers = {"Content-Length": str(stop - start), "Content-MD5": bits.md5, "Accept-Ranges": "bytes"}
    if partial:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{bits.size}"
    return _Bits(stack, opened, start, stop, 206 if partial else 200, headers)


ROUTES: Final[Routes[Call]] = {
    "/v2/images/{image_id}/file": {"GET": download, "PUT": upload},
    "/v2/images/{image_id}/stage": {"PUT": stage},
}


class _Bits(Response):
    """Sends the bytes of an object that is held open, and lets go of it."""

    def __init__(
        self, stack: AsyncExitStack, opened: OpenObject, start: int, stop: int, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(None, status, headers, OCTETS)
        self._stack = stack
        self._opened = opened
        self._start = start
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD" and self._stop > self._start:
                async with aclosing(self._opened.read(self._start, self._stop)) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def _asked(call: Call, size: int) -> tuple[int, int, bool]:
    """Which bytes, and whether that is a part. Raises RangeError, InvalidError."""
    headers = call.request.headers
    if "range" in headers:
        match = _RANGE.fullmatch(headers["range"].replace(" ", ""))
        if match is None or not (match[1] or match[2]) or max(len(match[1]), len(match[2])) > 18:
            raise RangeError(size)
        if not match[1]:
            start, stop = max(size - int(match[2]), 0), size
        else:
            start, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if start >= stop:
            raise RangeError(size)
        return start, stop, True
    if "content-range" in headers:
        # Glance took it for a range once, and clients of that time still say it so.
        match = _CONTENT_RANGE.fullmatch(headers["content-range"])
        if match is None or max(map(len, match.groups())) > 18:
            raise RangeError(size)
        start, stop = int(match[1]), int(match[2]) + 1
        if not start < stop <= size:
            raise RangeError(size)
        return start, stop, True
    return 0, size, False


def _require_octets(call: Call) -> None:
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != OCTETS:
        raise MediaTypeError(f"The media type {media_type or 'None'} is not supported: {OCTETS} is.")


def _size(call: Call) -> int | None:
    """How many bytes there will be, where the client says it. Raises InvalidError, TooLargeError."""
    said = call.request.headers.get("x-openstack-image-size") or call.request.headers.get("content-length")
    if said is None:
        return None
    if not said.isascii() or not said.isdecimal() or len(said) > 18:
        raise InvalidError("Invalid or missing image size in request headers.")
    _check_size(call, int(said))
    return int(said)


def _check_size(call: Call, size: int) -> None:
    most = call.service.config.size_max
    if size > most:
        raise TooLargeError(f"The incoming image is too large: it has more than {most} bytes.")


async def _pieces(call: Call) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises ClientDisconnect where the client vanishes, TooLargeError, and InvalidError where
    it has another length than was said."""
    count = 0
    said = call.request.headers.get("x-openstack-image-size") or None
    more = True
    while more:
        message = await call.request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        if piece:
            count += len(piece)
            _check_size(call, count)
            yield piece
    if said is not None and int(said) != count:
        raise InvalidError(f"The image has {count} bytes, and not the {said} that were announced.")


def _store(call: Call) -> str:
    """The storage policy that a client wants. Raises InvalidError."""
    stores = call.service.bits.stores
    asked = call.request.headers.get("x-image-meta-store") or stores[0]
    if asked not in stores:
        raise InvalidError(f"Store for scheme {asked} not found: there are {', '.join(stores)}")
    return asked
