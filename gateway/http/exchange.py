"""One request and its response: the `receive` and `send` that the application is given."""

from __future__ import annotations

from typing import Final

import trio

from gateway.http.asgi import Message
from gateway.http.errors import ClientDisconnected, Interrupted, Refusal, ResponseError, TimedOut
from gateway.http.head import RequestHead
from gateway.http.limits import Limits
from gateway.http.reader import RequestReader
from gateway.http.response import ResponseWriter, plain_answer
from gateway.http.ticker import NEVER, Ticker
from gateway.http.transport import Transport
from store.core.waits import waited_for_client

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Draining:
    """Whether the server is about to stop."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False


class Exchange:
    """Drives the reader and the writer of one request over the transport.

    The body is received only when the application asks for it, one read at a time; `send` returns when the transport
    has taken everything. `gone` is set as soon as the client cannot be answered any more.
    """

    __slots__ = (
        "_continue", "_delivered", "_draining", "_eof", "_head", "_limits", "_over", "_reader", "_ticker", "_transport",
        "finished", "gone", "taken", "wire_used", "writer",
    )  # fmt: skip

    def __init__(
        self,
        head: RequestHead,
        reader: RequestReader,
        transport: Transport,
        ticker: Ticker,
        limits: Limits,
        draining: Draining,
    ) -> None:
        self._head = head
        self._reader = reader
        self._transport = transport
        self._ticker = ticker
        self._limits = limits
        self._draining = draining
        self._continue = head.expects_continue
        self._delivered = False
        self._eof = False
        self._over: trio.Event | None = None
        self.writer = ResponseWriter(
            head_only=head.method == "HEAD", http10=head.http10, keep_alive_said=head.keep_alive_said
        )
        self.wire_used = False
        """Bytes of the response have left."""
        self.finished = False
        """A whole response has left, the application's or the server's own."""
        self.gone = False
        self.taken = False
        """The application has taken the connection over, and speaks another protocol."""

    # What the application calls

    async def receive(self) -> Message:
        """The next piece of the body, as large as it arrived; or `http.disconnect`."""
        reader = self._reader
        if self.gone:
            return {"type": "http.disconnect"}
        if reader.body_complete:
            if self._delivered:
                return await self._disconnect()
            self._delivered = True
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            data = await self._read_body()
        except Refusal as refusal:
            await self.answer(refusal.status, refusal.reason)
        except TimedOut:
            await self.answer(408, "the request body came too slowly")
        except OSError:
            self.lose()
        else:
            more = not reader.body_complete
            if data or not more:
                self._delivered = not more
                return {"type": "http.request", "body": data, "more_body": more}
            self.lose()  # the client ended its side within the body
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Takes a piece of the response, and returns when the transport has it: the buffer may be used again."""
        if self.gone:
            raise ClientDisconnected("the client is gone")
        kind = message["type"]
        if kind == "http.response.body":
            parts = self.writer.body(message.get("body", b""), message.get("more_body", False))
            if parts:
                self.wire_used = True
                sent = False
                try:
                    await self._transport.send(parts, self._limits.send_timeout)
                    sent = True
                except TimedOut:
                    raise ClientDisconnected("the client stopped reading") from None
                except OSError as error:
                    raise ClientDisconnected("the client is gone") from error
                finally:
                    if not sent:  # cancelled, too: part of the bytes may be out
                        self.lose()
            if self.writer.complete:
                self.finished = True
                self._end()
        elif kind == "http.response.start":
            self.writer.start(
                message["status"],
                message.get("headers", ()),
                date=self._ticker.date,
                keep_alive=self._head.keep_alive and not self._draining.begun and self._body_is_near(),
            )
        else:
            raise ResponseError(f"unknown message {kind!r}")

    def take_over(self) -> None:
        """The connection is the application's. Raises ResponseError where it has begun to answer."""
        if self.wire_used or self.gone or self.writer.started:
            raise ResponseError("it has been answered already")
        self.wire_used = self.taken = True

    # What the connection calls

    async def answer(self, status: int, reason: str) -> None:
        """Answers in the application's place if nothing has been sent yet. The exchange is over in any case."""
        try:
            if not self.gone and not self.wire_used:
                self.wire_used = True
                head_only = self._head.method == "HEAD"
                answer = plain_answer(status, reason, date=self._ticker.date, head_only=head_only)
                await self._transport.send([answer], self._limits.send_timeout)
                self.finished = True
        except (TimedOut, OSError):
            pass
        finally:
            self.lose()

    async def drain(self) -> bool:
        """Reads what is left of the body and throws it away. False if it does not come."""
        try:
            while not self._reader.body_complete:
                if not await self._read_body() and not self._reader.body_complete:
                    return False
        except (Refusal, TimedOut, OSError):
            return False
        return True

    def lose(self) -> None:
        """Nothing more is to be received from or sent to this client."""
        self.gone = True
        self._end()

    # The inside

    async def _read_body(self) -> bytes:
        reader = self._reader
        served_from_buffer = reader.buffered > 0
        while True:
            data = reader.take_body()
            if data or reader.body_complete:
                if reader.buffered and not reader.body_complete:  # many small chunks: this was as many as go at once
                    await trio.lowlevel.checkpoint()
                elif served_from_buffer:
                    await trio.lowlevel.checkpoint_if_cancelled()
                return data
            served_from_buffer = False
            if self._continue:
                self._continue = False
                if not self.wire_used:
                    await self._transport.send([_CONTINUE], self._limits.send_timeout)
            since = trio.current_time()
            try:
                arrived = await self._transport.receive(
                    self._limits.body_read, self._ticker.deadline(self._limits.body_timeout)
                )
            except Interrupted:
                continue
            finally:
                waited_for_client(since)
            if not arrived:
                return b""
            self._continue = False
            reader.feed(arrived)

    async def _disconnect(self) -> Message:
        """Waits until the response or the client is over. A client that has ended its side may still be reading, so
        that alone is no disconnect; and what it sends ahead is kept up to one read."""
        while not self.gone and not self.finished:
            if self._eof or self._reader.buffered >= self._limits.head_read:
                if self._over is None:
                    self._over = trio.Event()
                await self._over.wait()
                continue
            try:
                arrived = await self._transport.receive(self._limits.head_read, NEVER)
            except Interrupted:
                continue
            except OSError:
                self.lose()
            else:
                self._eof = not arrived
                self._reader.feed(arrived)
        return {"type": "http.disconnect"}

    def _body_is_near(self) -> bool:
        """Whether the rest of the body is short enough, and certain enough to come, to keep the connection."""
        if self._reader.body_complete:
            return True
        remaining = self._reader.body_remaining
        return not self._continue and remaining is not None and remaining <= self._limits.drain_bytes

    def _end(self) -> None:
        if self._over is not None:
            self._over.set()
        self._transport.interrupt()
