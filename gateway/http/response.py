"""Responses, without input or output: what the application says goes in, buffers for the socket come out."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from gateway.http.asgi import Buffer
from gateway.http.errors import ResponseError

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode("ascii"))
    for status in HTTPStatus
    if status >= 200
}
_OWN: Final = frozenset((b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"date"))
_FRONTS: Final[dict[bytes, bytes]] = dict.fromkeys(_OWN, b"")
"""What stands before a field's value, by the name that the application gives it: spelled once. Nothing before those
that are the server's."""
_FRONTS_MAX: Final = 1000
_UNTIL_CLOSE: Final = -1
_CHUNKED: Final = -2
_NOTHING: Final[list[Buffer]] = []


class ResponseWriter:
    """One response: `start`, then `body` as often as needed. The head leaves together with the first body.

    The framing is decided here: the application's content-length is held to; without one a response that comes in one
    piece gets it, another is chunked (or, for HTTP/1.0, ends with the connection).
    """

    __slots__ = (
        "_bodyless",
        "_head",
        "_head_only",
        "_http10",
        "_keep_alive_said",
        "_left",
        "_length",
        "_lines",
        "complete",
        "keep_alive",
        "started",
    )

    def __init__(self, *, head_only: bool, http10: bool, keep_alive_said: bool = False) -> None:
        self._head_only = head_only
        self._http10 = http10
        self._keep_alive_said = keep_alive_said
        self._bodyless = head_only
        self._head: list[Buffer] | None = None
        self._length: bytes | None = None
        self._left = 0
        self._lines = 0
        self.keep_alive = True
        self.started = False
        self.complete = False

    def start(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], *, date: bytes, keep_alive: bool = True
    ) -> None:
        """Takes status and fields, whose names leave in title case. Connection and framing fields are the server's;
        only `connection: close` and content-length are listened to."""
        if self.started:
            raise ResponseError("the response has been started already")
        if not 200 <= status <= 999:
            raise ResponseError(f"{status} is not a final status")
        parts: list[Buffer] = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        length: bytes | None = None
        for name, value in headers:
            front = _FRONTS.get(name)
            if front is None:
                front = _front(name)
            if front:
                parts += (front, value, b"\r\n")
                continue
            lower = name.lower()
            if lower == b"content-length":
                if not value.isdigit() or (length is not None and length != value):
                    raise ResponseError(f"invalid content-length {value!r}")
                length = value
            elif lower == b"date":
                date = b"Date: %b\r\n" % value
            elif lower == b"connection":
                keep_alive = keep_alive and b"close" not in value.lower()
        self._lines = (len(parts) + 2) // 3 + 1
        parts.append(date)
        if status in (204, 304):
            self._bodyless = True
            if status == 204 and length != b"0":
                length = None  # "0" may be said: nothing can be made of it, and clients of the object API look for it
        self._head = parts
        self._length = length
        self.keep_alive = keep_alive
        self.started = True

    def body(self, data: Buffer, more: bool) -> list[Buffer]:
        """The buffers to send for one body message, the head first if it has not left yet."""
        if not self.started:
            raise ResponseError("a response body before the start of the response")
        if self.complete:
            raise ResponseError("a response body after its end")
        if isinstance(data, memoryview) and (data.itemsize != 1 or data.ndim != 1):
            data = data.cast("B")
        size = len(data)
        out: list[Buffer]
        if self._head is None:
            if self._bodyless:
                self.complete = not more
                return _NOTHING
            out = []
        else:
            out = [self._finish_head(self._head, size, more)]
            if self._bodyless:
                self._head = None
                self.complete = not more
                return out
        if self._left == _CHUNKED:
            if size:
                out += (b"%x\r\n" % size, data, b"\r\n" if more else b"\r\n0\r\n\r\n")
            elif not more:
                out.append(b"0\r\n\r\n")
        else:
            if self._left != _UNTIL_CLOSE:
                if size > self._left or (size < self._left and not more):
                    raise ResponseError(
                        f"the body is {'longer' if size > self._left else 'shorter'} than its content-length"
                    )
                self._left -= size
            if size:
                out.append(data)
        self._head = None
        self.complete = not more
        return out

    def _finish_head(self, head: list[Buffer], size: int, more: bool) -> bytes:
        length = self._length
        if self._bodyless:
            if length is not None:
                head += (b"Content-Length: ", length, b"\r\n")
                self._lines += 1
            elif self._head_only and size and not more:
                head.append(b"Content-Length: %d\r\n" % size)
                self._lines += 1
        elif length is not None:
            self._left = int(length)
            head += (b"Content-Length: ", length, b"\r\n")
            self._lines += 1
        elif not more:
            self._left = size
            head.append(b"Content-Length: %d\r\n" % size)
            self._lines += 1
        elif self._http10:
            self._left = _UNTIL_CLOSE
            self.keep_alive = False
        else:
            self._left = _CHUNKED
            head.append(b"Transfer-Encoding: chunked\r\n")
            self._lines += 1
        if self.keep_alive and not self._keep_alive_said:
            head.append(b"\r\n")
            self._lines += 1
        else:
            head.append(b"Connection: keep-alive\r\n\r\n" if self.keep_alive else b"Connection: close\r\n\r\n")
            self._lines += 2
        block = b"".join(head)
        if block.count(b"\n") != self._lines or block.count(b"\r") != self._lines or b"\0" in block:
            raise ResponseError("a response header contains CR, LF or NUL")
        return block


def _front(name: bytes) -> bytes:
    """A name in title case, for clients that look at case, and the colon behind it; b"" for those of the server."""
    lower = name.lower()
    front = b"" if lower in _OWN else lower.title() + b": "
    if len(_FRONTS) < _FRONTS_MAX:
        _FRONTS[name] = front
    return front


def plain_answer(status: int, reason: str, *, date: bytes, head_only: bool = False) -> bytes:
    """A whole response of the server's own, after which the connection ends."""
    text = f"{reason}\n".encode()
    writer = ResponseWriter(head_only=head_only, http10=False)
    writer.start(status, [(b"content-type", b"text/plain; charset=utf-8")], date=date, keep_alive=False)
    return b"".join(writer.body(text, False))
