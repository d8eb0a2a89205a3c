"""Forms as browsers send them (`multipart/form-data`), read as they come: part after part, piece after piece."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator

HEADS_MAX = 16 * 1024
"""The heads of one part."""

_PARAMETER = re.compile(r"""\s*([\w!#$%&'*+\-.^`|~]+)=(?:("[^"]*")\s*|([^";]*))(?:;|$)""")
"""No two of its parts can share a run of blanks: else one that fits nothing is tried in every way, which takes long."""

Parameters = dict[str, str]


class MultipartError(ValueError):
    """What came is no form."""


def parameters(value: bytes) -> tuple[str, Parameters]:
    """What a header such as `form-data; name="file"; filename="cat.jpg"` says; browsers escape nothing in quotes."""
    text = value.decode("utf-8", "replace")
    kind, _, rest = text.partition(";")
    found: Parameters = {}
    position = 0
    while (match := _PARAMETER.match(rest, position)) and match.end() > position:
        found[match[1].lower()] = match[3] if match[2] is None else match[2].strip('"')
        position = match.end()
    return kind.strip().lower(), found


class FormReader:
    """`await reader.part()` gives the heads of the next part, `reader.content()` its bytes, as many as are wanted."""

    def __init__(self, pieces: AsyncIterator[bytes], boundary: bytes) -> None:
        self._pieces = pieces
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")
        self._inside = False
        self._begun = False
        self._ended = False

    async def part(self) -> dict[bytes, bytes] | None:
        """The heads of the next part by lower-case name, None after the last. Raises MultipartError."""
        if not self._begun:
            self._begun = True
            await self._start()
        async for _ in self.content():
            pass
        if self._ended:
            return None
        self._inside = True
        return await self._heads()

    async def _start(self) -> None:
        count = len(self._delimiter)
        while len(self._buffer) < count + 2 and await self._more():
            if self._buffer.startswith(b"\r\n\r\n"):  # an empty line before the first part
                del self._buffer[:2]
        if not self._buffer.startswith(self._delimiter):
            raise MultipartError("invalid starting boundary")
        del self._buffer[:count]
        await self._after_delimiter()

    async def _after_delimiter(self) -> None:
        """Past the end of a delimiter's line, or of the form."""
        while len(self._buffer) < 2 and await self._more():
            pass
        if self._buffer.startswith(b"--"):
            self._ended = True
            async for _ in self._pieces:  # so that the client can send it
                pass
            return
        while (end := self._buffer.find(b"\r\n")) < 0 and len(self._buffer) < HEADS_MAX and await self._more():
            pass
        if end < 0 or self._buffer[:end].strip(b" \t"):
            raise MultipartError("invalid boundary")
        del self._buffer[:end]  # the end of line stays: it may be the last before the empty one

    async def _heads(self) -> dict[bytes, bytes]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEADS_MAX or not await self._more():
                raise MultipartError("a part without an end of its heads")
        block = bytes(self._buffer[:end])
        del self._buffer[: end + 2]  # the last end of line stays: a part may be empty
        found: dict[bytes, bytes] = {}
        for line in block.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if colon:
                found[name.strip().lower()] = value.strip()
        return found

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the part that was given last. Raises MultipartError where the form ends within them."""
        if not self._inside:
            return
        skip = 2  # the end of line before the content is the heads'
        while True:
            at = self._buffer.find(self._delimiter)
            if at >= 0:
                piece = bytes(self._buffer[skip:at]) if at >= skip else b""
                del self._buffer[: at + len(self._delimiter)]
                self._inside = False
                await self._after_delimiter()
                if piece:
                    yield piece
                return
            keep = len(self._delimiter) + 2
            if len(self._buffer) > keep + skip:
                piece = bytes(self._buffer[skip:-keep])
                del self._buffer[:-keep]
                skip = 0
                yield piece
            elif not await self._more():
                raise MultipartError("the form ends within a part")

    async def _more(self) -> bool:
        piece = await anext(self._pieces, None)
        if piece is None:
            return False
        self._buffer += piece
        return True
