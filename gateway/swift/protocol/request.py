"""One request as the features see it: a path taken apart, headers and query by name, and the way to answer.

Everything foreign ends here. Features read fields of this object; what they hand to the store are explicit values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from authn.certificate_binding import shown_certificate
from gateway.objects.access.caller import Caller
from gateway.objects.errors import IncompleteError
from gateway.swift.protocol.dates import http_date
from gateway.swift.protocol.errors import ClientGoneError, Fields, RefusedError, UnauthorizedError, bad_request
from store.objects.interface import Buffer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Finisher = Callable[[int, Fields], Fields]

_NO_QUERY: dict[str, str] = {}


class Request:
    """What was asked, and by whom. `account`, `container` and `object` are "" where the path has none.

    `queried` says whether there are any parameters; most requests have none.

    `finishers` are functions of features that may alter the fields of the answer; None while there are none.
    """

    __slots__ = (
        "_left",
        "_more",
        "_query",
        "_query_string",
        "_receive",
        "_scope",
        "_send",
        "_start",
        "account",
        "client",
        "container",
        "finishers",
        "headers",
        "method",
        "now_s",
        "object",
        "path",
        "principal",
        "queried",
        "scheme",
        "started",
        "txid",
    )

    principal: Caller

    def __init__(self, scope: Scope, receive: Receive, send: Send, txid: str, now_s: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.now_s = now_s
        self.txid = txid
        self.method: str = scope["method"]
        fields = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(fields)
        if len(self.headers) != len(fields):
            self._join_repeated(fields)
        self._query_string: bytes = scope.get("query_string", b"")
        self.queried = bool(self._query_string)
        self._query: dict[str, str] | None = None if self._query_string else _NO_QUERY
        client = scope.get("client")
        self.scheme: str = scope.get("scheme", "http")
        self.client: str = client[0] if client else ""
        self.path = self.account = self.container = self.object = ""
        self.finishers: list[Finisher] | None = None
        self.started = False
        self._left: int | None = None
        self._more = True
        self._start: Message | None = None

    def _join_repeated(self, fields: Fields) -> None:
        joined: dict[bytes, bytes] = {}
        for name, value in fields:
            joined[name] = joined[name] + b"," + value if name in joined else value
        self.headers = joined

    def split(self, raw_path: bytes) -> None:
        """Take the path apart. Raises RefusedError with the status that Swift gives a path that names nothing."""
        raw = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
        try:
            path = raw.decode()
        except UnicodeDecodeError:
            raise RefusedError(412, "Invalid UTF8 or contains NULL") from None
        if "\0" in path:
            raise RefusedError(412, "Invalid UTF8 or contains NULL")
        self.path = path
        parts = path.split("/", 4)
        count = len(parts)
        if count < 2 or parts[0] or not parts[1]:
            raise RefusedError(404)
        if count == 5 and parts[4] and not (parts[2] and parts[3]):
            raise RefusedError(404)
        if count < 3 or not parts[2]:
            raise RefusedError(412, "Bad URL")
        if parts[1] not in ("v1", "v1.0"):
            raise RefusedError(400)
        self.account = parts[2]
        if count > 3:
            self.container = parts[3]
            if count > 4:
                self.object = parts[4]

    @property
    def certificate(self) -> str:
        """What the client has shown of itself; see shown_certificate."""
        return shown_certificate(self._scope)

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def query(self) -> dict[str, str]:
        """Parameters by name; of a repeated one the last. What is not UTF-8 is found by `param`."""
        if self._query is None:
            pairs = parse_qsl(
                self._query_string.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="surrogateescape"
            )
            self._query = dict(pairs)
        return self._query

    def param(self, name: str, default: str = "") -> str:
        """One parameter. Raises RefusedError where it is not UTF-8."""
        value = self.query.get(name, default)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise bad_request(f'"{name}" parameter not valid UTF-8') from None
        return value

    @property
    def version(self) -> str:
        """The version of the object that is named, or ""."""
        return self.param("version-id") if self.queried else ""

    def keep_params(self, names: Iterable[str]) -> None:
        """Forget all parameters but these."""
        query = self.query
        self._query = {name: query[name] for name in names if name in query}

    def add_finisher(self, finisher: Finisher) -> None:
        """Have a function alter the fields of the answer."""
        self.finishers = [*(self.finishers or ()), finisher]

    def header(self, name: bytes) -> str | None:
        """One header as text, or None. Raises RefusedError where it is not UTF-8."""
        value = self.headers.get(name)
        if value is None:
            return None
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise bad_request(f"{name.decode('latin-1').title()} must be valid UTF-8") from None

    async def piece(self) -> tuple[bytes, bool]:
        """The next bytes of the body, and whether more follow. Raises ClientGoneError when the client left."""
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        return message.get("body", b""), message.get("more_body", False)

    def pieces(self) -> Body:
        """The body as it arrives."""
        return Body(self)

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises RefusedError (413) when it is longer than `limit`."""
        data, more = await self.piece()
        if not more and len(data) <= limit:
            return data
        gathered = bytearray(data)
        while len(gathered) <= limit:
            if not more:
                return bytes(gathered)
            data, more = await self.piece()
            gathered += data
        raise RefusedError(413)

    # -- answering -----------------------------------------------------------------------------------------------

    def _finished(self, status: int, headers: Fields) -> Fields:
        txid = self.txid.encode()
        headers.append((b"x-trans-id", txid))
        headers.append((b"x-openstack-request-id", txid))
        headers.append((b"date", http_date(self.now_s)))
        if self.finishers is not None:
            for finisher in self.finishers:
                headers = finisher(status, headers)
        return headers

    async def respond(self, status: int, headers: Fields, body: Buffer = b"", length: int | None = None) -> None:
        """Answer at once. `length` is stated instead of the body's own where only the head is sent."""
        if status != 304:
            headers.append((b"content-length", b"%d" % (len(body) if length is None else length)))
        headers = self._finished(status, headers)
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    def begin(self, status: int, headers: Fields, length: int | None) -> None:
        """Begin an answer whose body follows in pieces: `push` them, then `end`. `length` is None where not known.

        Nothing leaves before the first piece: until then an error can still be answered as one.
        """
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        self._left = length
        self._start = {"type": "http.response.start", "status": status, "headers": self._finished(status, headers)}

    async def _send_start(self) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            self.started = True
            await self._send(start)

    async def push(self, piece: Buffer) -> None:
        """Send the next piece; returns when it may be overwritten."""
        if not self.started:
            await self._send_start()
        if self._left is not None:
            self._left -= len(piece)
            self._more = self._left > 0
        await self._send({"type": "http.response.body", "body": piece, "more_body": self._more})

    async def end(self) -> None:
        """All pieces are sent. Raises where bytes are missing, so that the connection breaks: what is short must
        never look whole."""
        if self._more:
            if self._left:
                raise IncompleteError(f"an answer ended {self._left} bytes early")
            await self._send_start()
            await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, error: RefusedError) -> None:
        """Answer with a refusal."""
        await self.respond(error.status, [*self.refused(error), (b"content-type", error.kind)], error.body)

    def refused(self, error: RefusedError) -> Fields:
        """The fields of a refusal besides its type."""
        if isinstance(error, UnauthorizedError):
            return [*error.headers, (b"www-authenticate", b'Swift realm="%s"' % quote(self.account).encode())]
        return error.headers


class Body:
    """A request's body, piece by piece. No generator, so that leaving it half read needs no closing."""

    __slots__ = ("_more", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._more = True

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        if not self._more:
            raise StopAsyncIteration
        data, self._more = await self._request.piece()
        return data
