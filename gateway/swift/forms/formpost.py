"""Uploads by forms: a browser without a token sends files in a form that whoever holds a key has signed.

The signature covers path, `redirect`, `max_file_size`, `max_file_count` and `expires`; these come before the files.
Each file becomes an object, its name behind the request's path.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncGenerator, AsyncIterator
from html import escape
from urllib.parse import quote

import trio

from gateway.objects.reading import closing
from gateway.swift.access import tempurl
from gateway.swift.access.tempurl import Signed
from gateway.swift.forms.multipart import FormReader, MultipartError, parameters
from gateway.swift.protocol.errors import HTML, PLAIN, Fields, RefusedError, status_line
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from gateway.swift.subrequest import Dispatch, Reply, ask

VALUE_MAX, VALUES_MAX = 4096, 100
"""The longest value that is kept, and how many."""
PARTS_MAX = 2000
"""Values and files, of all kinds: nobody needs so many, and each costs a little even if it is empty."""
PARTS_A_TURN = 16

_FORM = b"multipart/form-data"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FormError(Exception):
    """The form is answered with this status and sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def is_form(request: Request) -> bool:
    """Whether a POST brings a form."""
    kind = request.headers.get(b"content-type", b"")
    return kind[: len(_FORM)].lower() == _FORM and "boundary" in parameters(kind)[1]


async def post(service: Service, request: Request, dispatch: Dispatch) -> None:
    """POST of a form. Answers with a page, or sends the browser on to where the form says."""
    if not any(await tempurl.all_keys(service.layer, request)):
        # Nobody can have signed it: it need not be read.
        raise RefusedError(401, "FormPost: Invalid Signature", kind=PLAIN)
    boundary = parameters(request.headers[b"content-type"])[1]["boundary"]
    form = _Form(service, request, dispatch)
    try:
        await form.read(FormReader(request.pieces(), boundary.encode()))
    except MultipartError as error:
        raise RefusedError(400, f"FormPost: {error}", kind=PLAIN) from error
    except FormError as error:
        raise RefusedError(error.status, f"FormPost: {error.text}", kind=PLAIN) from error
    await form.answer()


class _Form:
    """One form on its way."""

    def __init__(self, service: Service, request: Request, dispatch: Dispatch) -> None:
        self._service = service
        self._request = request
        self._dispatch = dispatch
        self._values: dict[str, str] = {}
        self._files = 0
        self._status = 400
        self._message = "no files to process"
        self._reply: Reply | None = None

    async def read(self, reader: FormReader) -> None:
        """Take part after part, up to the first file that fails."""
        parts = 0
        while (heads := await reader.part()) is not None:
            parts += 1
            if parts > PARTS_MAX:
                raise FormError(400, f"more than {PARTS_MAX} parts")
            if parts % PARTS_A_TURN == 0:
                await trio.lowlevel.checkpoint()
            kind, said = parameters(heads.get(b"content-disposition", b""))
            if kind == "form-data" and said.get("filename"):
                if not await self._file(said["filename"], heads, reader):
                    return
            elif "name" in said and len(self._values) < VALUES_MAX:
                self._values[said["name"].lower()] = await _value(reader)

    async def _file(self, name: str, heads: dict[bytes, bytes], reader: FormReader) -> bool:
        self._files += 1
        if self._files > self._number("max_file_count"):
            self._status, self._message = 400, "max file count exceeded"
            return False
        principal = await self._principal()
        if "\0" in name:
            raise FormError(412, "Invalid UTF8 or contains NULL")
        request = self._request
        path = f"{request.container}/{request.object}{name}"
        async with closing(_capped(reader.content(), self._number("max_file_size"))) as content:
            reply = await ask(
                self._service, self._dispatch, request, "PUT", path, self._headers(heads), content, principal=principal
            )
        self._status, self._message = reply.status, ""
        self._reply = reply
        return 200 <= reply.status < 300

    def _number(self, name: str, default: int = 0) -> int:
        value = self._values.get(name, "")
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 20):
            raise FormError(400, f"{name} not an integer")
        return int(value)

    async def _principal(self) -> Signed:
        """Whoever signed the form, who reaches its container alone. Raises FormError."""
        request, values = self._request, self._values
        if self._number("expires") < self._service.now():
            raise FormError(401, "Form Expired")
        signed = tempurl.parse_signature(values.get("signature", ""))
        if signed is None or signed[0] not in self._service.config.tempurl_digests or not request.container:
            raise FormError(401, "Invalid Signature")
        names = ("max_file_size", "max_file_count", "expires")
        lines = [request.path, values.get("redirect", ""), *(values.get(name) or "0" for name in names)]
        account, container = await tempurl.all_keys(self._service.layer, request)
        matches = [
            hmac.compare_digest(hmac.digest(key.encode(), "\n".join(lines).encode(), signed[0]), signed[1])
            for key in (*account, *container)
        ]
        if not any(matches):
            raise FormError(401, "Invalid Signature")
        below = f"{request.container}/{request.object}"
        return Signed(request.account, request.container, "PUT", below, below=True)

    def _headers(self, heads: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The headers of one file's request: what the form says of all files, else what the part says of itself."""
        found = {b"transfer-encoding": b"chunked"}
        for name in ("content-type", "content-encoding"):
            value = self._values.get(name, "").encode() or heads.get(name.encode(), b"")
            if value:
                found[name.encode()] = value
        for name in ("x_delete_at", "x_delete_after"):
            if name in self._values:
                found[name.replace("_", "-").encode()] = b"%d" % self._number(name)
        if any(_CONTROL.search(value.decode("latin-1")) for value in found.values()):
            raise FormError(400, "a header with control characters")
        return found

    async def answer(self) -> None:
        """A line that says how it went, or a redirect that does."""
        redirect = self._values.get("redirect", "")
        if not redirect:
            await self._answer_plainly()
            return
        joint = "&" if "?" in redirect else "?"
        target = f"{redirect}{joint}status={self._status}&message={quote(self._message)}"
        if _CONTROL.search(target):
            raise RefusedError(400, "FormPost: redirect with control characters", kind=PLAIN)
        location = quote(target, safe="!#$%&'()*+,/:;=?@[]~").encode()
        page = f'<html><body><p><a href="{escape(target)}">Click to continue...</a></p></body></html>'
        await self._request.respond(303, [(b"location", location), (b"content-type", HTML)], page.encode())

    async def _answer_plainly(self) -> None:
        headers: Fields = [(b"content-type", PLAIN)]
        body = status_line(self._status).encode()
        if self._message:
            body += f"\r\nFormPost: {self._message.title()}".encode()
        elif self._reply is not None and not 200 <= self._status < 300:
            body = self._reply.body
        await self._request.respond(self._status, headers, body)


async def _value(reader: FormReader) -> str:
    """A field's value, as much of it as is kept."""
    held = bytearray()
    async with closing(reader.content()) as content:
        async for piece in content:
            held += piece[: VALUE_MAX - len(held)]
    return held.decode("utf-8", "replace")


async def _capped(pieces: AsyncIterator[bytes], most: int) -> AsyncGenerator[bytes, None]:
    """The pieces, up to so many bytes. Raises FormError where there are more."""
    left = most
    async with closing(pieces) as held:
        async for piece in held:
            left -= len(piece)
            if left < 0:
                raise FormError(400, "max_file_size exceeded")
            yield piece
