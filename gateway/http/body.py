"""Request bodies: where they end, and what is payload in them. Pure: bytes in, bytes out."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from gateway.http.errors import Refusal
from gateway.http.limits import Limits

_MAX_LENGTH: Final = 2**63 - 1
_MAX_FRAGMENTS: Final = 128
"""Chunks taken apart at once: a client that sends chunks of one byte must not hold the event loop. After so many others
have their turn (`Exchange`), and as many reads as a transport makes in a row are still short."""

_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class LengthBody:
    """A body of as many bytes as its head announced."""

    __slots__ = ("complete", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining: int = length
        self.complete = length == 0

    def decode(self, buffer: bytes) -> tuple[bytes, bytes]:
        """What of `buffer` is payload, and what is left for later. Nothing is copied if all of it is payload."""
        size = len(buffer)
        if size < self.remaining:
            self.remaining -= size
            return buffer, b""
        payload, rest = (buffer, b"") if size == self.remaining else _cut(buffer, self.remaining)
        self.remaining = 0
        self.complete = True
        return payload, rest


class _Expect(Enum):
    SIZE = 1
    DATA = 2
    END_OF_DATA = 3
    TRAILERS = 4


class ChunkedBody:
    """A body in chunks. Strict: hexadecimal sizes of at most 16 digits, CR LF everywhere, bounded extensions and
    trailers, and neither is handed on."""

    __slots__ = ("_expect", "_left", "_limits", "_received", "complete")

    remaining: Final = None

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._expect = _Expect.SIZE
        self._left = 0
        self._received = 0
        self.complete = False

    def decode(self, buffer: bytes) -> tuple[bytes, bytes]:
        """What of `buffer` is payload, merged, and what is left for later: the bytes after the body, or a line that is
        not complete."""
        fragments: list[bytes] = []
        position = 0
        size = len(buffer)
        while position < size and not self.complete and len(fragments) < _MAX_FRAGMENTS:
            if self._expect is _Expect.DATA:
                fragment = buffer[position : position + self._left]
                fragments.append(fragment)
                position += len(fragment)
                self._left -= len(fragment)
                if self._left == 0:
                    self._expect = _Expect.END_OF_DATA
            elif self._expect is _Expect.SIZE:
                after = self._size_line(buffer, position)
                if after is None:
                    break
                position = after
            elif self._expect is _Expect.END_OF_DATA:
                if not b"\r\n".startswith(buffer[position : position + 2]):
                    raise Refusal(400, "a chunk is longer than it says")
                if size - position < 2:
                    break
                position += 2
                self._expect = _Expect.SIZE
            else:
                after = self._trailers(buffer, position)
                if after is None:
                    break
                position = after
                self.complete = True
        payload = fragments[0] if len(fragments) == 1 else b"".join(fragments)
        return payload, buffer[position:]

    def _size_line(self, buffer: bytes, position: int) -> int | None:
        line = _CHUNK_LINE.match(buffer, position)
        limit = self._limits.chunk_line
        if line is None:
            _refuse_bad_start(buffer[position : position + limit])
            if len(buffer) - position > limit:
                raise Refusal(400, "chunk size line too long")
            return None
        if line.end() - position > limit:
            raise Refusal(400, "chunk size line too long")
        chunk = int(line[1], 16)
        self._received += chunk
        if self._limits.max_body is not None and self._received > self._limits.max_body:
            raise Refusal(413, "request body too long")
        if self._received > _MAX_LENGTH:
            raise Refusal(400, "chunk size overflow")
        self._left = chunk
        self._expect = _Expect.DATA if chunk else _Expect.TRAILERS
        return line.end()

    def _trailers(self, buffer: bytes, position: int) -> int | None:
        if buffer.startswith(b"\r\n", position):
            return position + 2
        limit = self._limits.trailer_bytes
        end = buffer.find(b"\r\n\r\n", position, position + limit)
        if end < 0:
            if len(buffer) - position >= limit:
                raise Refusal(431, "trailers too long")
            return None
        for trailer in buffer[position:end].split(b"\r\n"):
            if _TRAILER.fullmatch(trailer) is None:
                raise Refusal(400, "malformed trailer")
        return end + 4


RequestBody = LengthBody | ChunkedBody


def _cut(buffer: bytes, at: int) -> tuple[bytes, bytes]:
    return buffer[:at], buffer[at:]


_START_OF_CHUNK_LINE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}(?:\r|;[\t\x20-\x7e\x80-\xff]*\r?)?")


def _refuse_bad_start(line: bytes) -> None:
    if _START_OF_CHUNK_LINE.fullmatch(line) is None:
        raise Refusal(400, "invalid chunk size")
