"""`ConsoleApp`: the page of a server's screen, and the WebSocket behind it, at `/console`.

Whoever has a token sees one console, once: the token is taken when the WebSocket begins. Nobody is asked who they are
besides, as in stock Nova's proxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog
import trio

from compute_plugin.consoles.interface import Consoles
from compute_plugin.consoles.page import PAGE, SCRIPT, SECURITY, STYLE, scripts
from compute_plugin.consoles.tokens import take_token, valid_token
from compute_plugin.records.console import ConsoleToken
from compute_plugin.records.server import Server
from compute_plugin.records.store import ComputeStore
from gateway.http.asgi import Receive, Scope, Send
from gateway.http.errors import ClientDisconnected
from gateway.http.websocket import EXTENSION, Offer, WebSocket
from store.core.clock import Clock
from store.core.errors import DrystoneError

PREFIX: Final = "/console"
PIECE: Final = 64 * 1024
BINARY: Final = "binary"
FAILED: Final = 1011
HTML, CSS, JS, TEXT = "text/html; charset=utf-8", "text/css", "text/javascript", "text/plain; charset=utf-8"

_log = structlog.get_logger(__name__)


class ConsoleApp:
    """Serves everything at `/console` and below."""

    def __init__(self, store: ComputeStore, consoles: Consoles, clock: Clock) -> None:
        self._store = store
        self._consoles = consoles
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one console."""
        path = scope["path"].removeprefix(PREFIX)
        if path == "/websockify":
            await self._connect(scope, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            await _say(send, 405, "Only GET is served here.")
            return
        plain: Mapping[str, tuple[bytes, str]] = {
            "/vnc_auto.html": (PAGE, HTML),
            "/page.css": (STYLE, CSS),
            "/page.js": (SCRIPT, JS),
        }
        if path in plain:
            body, type_ = plain[path]
            await _answer(send, 200, body, type_)
            return
        script = scripts().get(path.removeprefix("/novnc/")) if path.startswith("/novnc/") else None
        if script is None:
            await _say(send, 404, "Nothing is here.")
            return
        await _answer(send, 200, script, JS)

    async def _connect(self, scope: Scope, send: Send) -> None:
        offer: Offer | None = scope["extensions"].get(EXTENSION)
        if offer is None:
            await _say(send, 426, "A WebSocket is served here.")
            return
        if not _is_same_origin(scope["headers"]):
            await _say(send, 403, "Another site's page opens no console.")
            return
        token = "".join(parse_qs(scope["query_string"].decode("latin-1")).get("token", [])[:1])
        records = await self._store.fresh()
        found = valid_token(records, token, self._clock.wall_us())
        server = records.servers.get(found.server_id) if found is not None else None
        if found is None or server is None:
            await _say(send, 403, "The token opens nothing, or nothing any more.")
            return
        try:
            await self._serve(offer, token, found, server, send)
        except ClientDisconnected:
            return

    async def _serve(self, offer: Offer, token: str, found: ConsoleToken, server: Server, send: Send) -> None:
        try:
            async with self._consoles.opened(server, found.type) as stream:
                now = self._clock.wall_us()
                if await self._store.change(lambda records: take_token(records, token, now)) is None:
                    await _say(send, 403, "The token opens nothing, or nothing any more.")
                    return
                _log.info("a console is seen", server=server.id, type=found.type)
                socket = await offer.accept(BINARY if BINARY in offer.protocols else "")
                await _pump(socket, stream)
        except DrystoneError as error:
            await _say(send, 503, f"The console cannot be reached: {error}")


async def _pump(socket: WebSocket, stream: trio.abc.Stream) -> None:
    """What either says, until one of them ends."""

    async def to_guest() -> None:
        while (said := await socket.receive()) is not None:
            await stream.send_all(said)
        nursery.cancel_scope.cancel()

    async def to_client() -> None:
        while said := await stream.receive_some(PIECE):
            await socket.send(bytes(said))
        await socket.close()
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_guest)
            nursery.start_soon(to_client)
    except* ClientDisconnected as gone:
        _log.debug("whoever saw a console is gone", why=str(gone.exceptions[0]))
    except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        await socket.close(FAILED)


def _is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether who asks is a page of this host, or no page at all."""
    held = dict(headers)
    origin = held.get(b"origin", b"").decode("latin-1")
    return not origin or urlsplit(origin).netloc.lower() == held.get(b"host", b"").decode("latin-1").lower()


async def _say(send: Send, status: int, message: str) -> None:
    await _answer(send, status, f"{message}\n".encode(), TEXT)


async def _answer(send: Send, status: int, body: bytes, type_: str) -> None:
    headers: dict[str, Any] = {"Content-Type": type_, "Content-Length": str(len(body)), **SECURITY}
    fields = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
