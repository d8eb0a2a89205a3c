"""The inbound half of a connection, without input or output: bytes go in, heads and bodies come out, in order."""

from __future__ import annotations

from gateway.http.body import ChunkedBody, LengthBody, RequestBody
from gateway.http.errors import Refusal
from gateway.http.head import CHUNKED, CRLF, END_OF_HEAD, RequestHead, check_partial, parse_head
from gateway.http.limits import Limits

_NO_BODY = LengthBody(0)


class RequestReader:
    """Takes the bytes of one connection and gives one request at a time.

    Bytes of later requests stay as they came until the earlier request is over. How much is fed is up to the caller,
    so the caller bounds the memory: it feeds only what it needs next.
    """

    __slots__ = ("_body", "_buffer", "_limits", "_searched")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self._searched = 0
        self._body: RequestBody = _NO_BODY

    @property
    def buffered(self) -> int:
        """Bytes that were fed and not given out."""
        return len(self._buffer)

    @property
    def body_complete(self) -> bool:
        """Whether the body of the current request was given out to its end."""
        return self._body.complete

    @property
    def body_remaining(self) -> int | None:
        """Bytes of the current body that were not given out; None if only the client knows."""
        return self._body.remaining

    def feed(self, data: bytes) -> None:
        """Takes what was received."""
        self._buffer = self._buffer + data if self._buffer else data

    def next_head(self) -> RequestHead | None:
        """The next request, or None if more bytes are needed. The body before it must be complete."""
        if not self._body.complete:
            raise RuntimeError("the body of the request before has not been read")
        buffer = self._buffer
        if not buffer:
            return None
        end = buffer.find(END_OF_HEAD, self._searched)
        if buffer.startswith(CRLF):  # one empty line before a request is tolerated, as RFC 9112 asks for
            if buffer.startswith(CRLF, 2):
                raise Refusal(400, "this is not HTTP")
            buffer = buffer[2:]
            end -= 2
        if end < 0:
            if buffer and self._buffer != b"\r":
                check_partial(buffer, self._limits)
            self._searched = max(0, len(self._buffer) - 3)
            return None
        self._searched = 0
        end += 4
        if end == len(buffer):
            self._buffer = b""
            head = parse_head(buffer, self._limits)
        else:
            self._buffer = buffer[end:]
            head = parse_head(buffer[:end], self._limits)
        if head.length:
            self._body = ChunkedBody(self._limits) if head.length == CHUNKED else LengthBody(head.length)
        else:
            self._body = _NO_BODY
        return head

    def take_body(self) -> bytes:
        """What has arrived of the current body; empty if more bytes are needed, or none are left."""
        if not self._buffer or self._body.complete:
            return b""
        payload, self._buffer = self._body.decode(self._buffer)
        return payload

    def take_rest(self) -> bytes:
        """All that was fed and not given out: of another protocol, from here on."""
        rest, self._buffer = self._buffer, b""
        return rest
