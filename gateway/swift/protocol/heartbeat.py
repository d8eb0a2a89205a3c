"""Long answers: a blank now and then, so that nothing between here and the client gives up on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gateway.swift.protocol.request import Request

XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class Heart:
    """Whether anything was sent yet; what follows is then set apart from it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.beaten = False

    def beat(self) -> bytes:
        """What to send next. A document in XML must begin with its declaration, so that goes first."""
        first, self.beaten = not self.beaten, True
        return XML if first and self._kind.endswith("xml") else b" "

    @property
    def separator(self) -> bytes:
        return b"\r\n\r\n" if self.beaten else b""


@asynccontextmanager
async def beating(request: Request, kind: str, pause: float, *, at_once: bool = False) -> AsyncIterator[Heart]:
    """Beat in the background, from now or after the first pause (in seconds); the answer must have been begun."""
    heart = Heart(kind)

    async def beat() -> None:
        if not at_once:
            await trio.sleep(pause)
        while True:
            with trio.CancelScope(shield=True):  # half a message must not be left on the wire
                await request.push(heart.beat())
            await trio.sleep(pause)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat)
        yield heart
        nursery.cancel_scope.cancel()
