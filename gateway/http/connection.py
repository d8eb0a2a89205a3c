"""One connection, one task: requests in order until either side has enough."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import trio

from gateway.http.asgi import App
from gateway.http.errors import Interrupted, Refusal, TimedOut
from gateway.http.exchange import Draining, Exchange
from gateway.http.head import RequestHead
from gateway.http.limits import Limits
from gateway.http.reader import RequestReader
from gateway.http.response import plain_answer
from gateway.http.ticker import Ticker
from gateway.http.transport import Transport
from gateway.http.websocket import EXTENSION, Offer

logger = logging.getLogger(__name__)

_ASGI = {"version": "3.0", "spec_version": "2.4"}
Address = tuple[str, int | None]


class Connection:
    """Reads requests from a transport and runs the application for each, one after the other."""

    __slots__ = (
        "_app",
        "_draining",
        "_extensions",
        "_limits",
        "_reader",
        "_retired",
        "_scope",
        "_ticker",
        "_transport",
        "idle",
        "served",
        "since",
    )

    def __init__(
        self,
        app: App,
        transport: Transport,
        ticker: Ticker,
        limits: Limits,
        draining: Draining,
        *,
        scheme: str = "http",
        client: Address | None = None,
        server: Address | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        """`extensions` are those of ASGI that the whole connection has."""
        self._app = app
        self._transport = transport
        self._ticker = ticker
        self._limits = limits
        self._draining = draining
        self._reader = RequestReader(limits)
        self._retired = False
        self._extensions = extensions or {}
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "scheme": scheme,
            "root_path": "",
            "client": client,
            "server": server,
            "state": {},
        }
        self.since = trio.current_time()
        self.idle = True
        """Nothing of a request has arrived."""
        self.served = False
        """There has been a request, so that this is a connection kept for later."""

    @property
    def silent(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.idle and not self.served

    def retire(self) -> None:
        """Asks the connection to end as soon as it is idle, which may be now."""
        self._retired = True
        if self.idle:
            self._transport.interrupt()

    async def run(self) -> None:
        """Serves the connection to its end and closes it."""
        transport = self._transport
        good = False
        try:
            linger = await self._serve()
            if linger is not None:
                if linger:
                    await self._linger()
                good = True
        finally:
            if good:
                await transport.close()
            else:
                await transport.abort()

    async def _serve(self) -> bool | None:
        """True: close, but let the client finish sending. False: close. None: abort."""
        while True:
            try:
                head = await self._next_head()
            except Refusal as refusal:
                return await self._refuse(refusal)
            except OSError:
                return None
            if head is None:
                return False
            self.served = True
            exchange = Exchange(head, self._reader, self._transport, self._ticker, self._limits, self._draining)
            await self._run_app(head, exchange)
            if exchange.taken:
                return True
            if not exchange.finished:
                return None if exchange.wire_used else False
            if exchange.gone:
                return True
            if not exchange.writer.keep_alive:
                return head.keep_alive or not self._reader.body_complete or self._reader.buffered > 0
            if not self._reader.body_complete and not await exchange.drain():
                return True

    async def _next_head(self) -> RequestHead | None:
        """The next request; None if there will be none."""
        reader, ticker, limits = self._reader, self._ticker, self._limits
        head = reader.next_head() if reader.buffered else None
        if head is not None:  # sent ahead: the others had no turn meanwhile
            await trio.lowlevel.checkpoint()
            return head
        self.idle = not reader.buffered
        deadline = ticker.deadline(limits.idle_timeout if self.idle and self.served else limits.head_timeout)
        while True:
            ending = self.idle and (self._retired or self._draining.begun)
            try:
                data = await self._transport.receive(
                    limits.head_read, ticker.now if ending else deadline, yielding=True
                )
            except Interrupted:
                continue
            except TimedOut:
                if self.idle:
                    return None
                raise Refusal(408, "the request head came too slowly") from None
            if not data:
                return None
            if self.idle:
                self.idle = False
                deadline = ticker.deadline(limits.head_timeout)
            reader.feed(data)
            head = reader.next_head()
            if head is not None:
                return head
            if deadline < ticker.now:  # it drips, so that no single read is late
                raise Refusal(408, "the request head came too slowly")

    async def _run_app(self, head: RequestHead, exchange: Exchange) -> None:
        raw_path = head.raw_path
        if b"%" in raw_path:
            path = unquote_to_bytes(raw_path).decode("utf-8", "surrogateescape")
        else:
            path = raw_path.decode("ascii")
        scope = {
            **self._scope,
            "http_version": "1.0" if head.http10 else "1.1",
            "method": head.method,
            "path": path,
            "raw_path": raw_path,
            "query_string": head.query,
            "headers": head.headers,
            "extensions": {**self._extensions},
        }
        if head.upgrades:
            offer = Offer(
                head.headers, exchange, self._reader, self._transport, self._ticker, self._limits,
                self._draining,
            )  # fmt: skip
            if offer.is_whole:
                scope["extensions"][EXTENSION] = offer
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if _only_disconnects(error) and (exchange.gone or exchange.taken):
                return
            logger.exception("the application failed: %s %r", head.method, path)
            await exchange.answer(500, "internal server error")
        else:
            if not exchange.writer.started and not exchange.gone and not exchange.taken:
                logger.error("the application gave no response: %s %r", head.method, path)
                await exchange.answer(500, "internal server error")

    async def _refuse(self, refusal: Refusal) -> bool | None:
        answer = plain_answer(refusal.status, refusal.reason, date=self._ticker.date)
        try:
            await self._transport.send([answer], self._limits.send_timeout)
        except (TimedOut, OSError):
            return None
        return True

    async def _linger(self) -> None:
        """Goes on reading for a while after the last answer: if the connection were closed now, what the client is
        still sending would be answered with a reset, and a reset can overtake the answer."""
        self._transport.send_eof()
        deadline = self._ticker.deadline(self._limits.linger_timeout)
        pieces = 0
        try:
            while self._ticker.now < deadline and await self._transport.receive(self._limits.body_read, deadline):
                pieces += 1
        except (TimedOut, Interrupted, OSError):
            pass


def _only_disconnects(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return error.split(ConnectionError)[1] is None
    return isinstance(error, ConnectionError)
