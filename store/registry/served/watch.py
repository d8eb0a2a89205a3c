"""A watch of a registry that another process owns: a stream, and where to go on when the link has broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import trio

from store.core.errors import ConflictError
from store.registry.interface import CompactedError
from store.registry.items import Event, Span
from store.registry.served import methods
from store.registry.served.answers import understood
from store.registry.values import take, unpack_event
from store.wire.client import WireClient
from store.wire.errors import UnreachableError


class Watch:
    """An async iterator without end over single events. While there is no link it waits for one, and goes on behind
    the last event that was taken from it."""

    def __init__(self, client: WireClient, span: Span, from_revision: int) -> None:
        self._client = client
        self._span = span
        self._position = (from_revision, 0)
        self._history = b""
        self._items: AsyncIterator[Any] | None = None
        self._stream = AsyncExitStack()

    async def open(self) -> None:
        """Begin, or go on, over the present link. Raises UnreachableError where it breaks, CompactedError where the
        owner was started anew since it told anything."""
        await self.close()
        async with AsyncExitStack() as stack:
            arguments = (*self._span, *self._position, self._history)
            items = await stack.enter_async_context(self._client.stream(methods.WATCH, arguments))
            revision, passed, self._history = understood(take, await _next(items), int, int, bytes)
            self._position = (revision, passed)
            self._items = items
            self._stream = stack.pop_all()

    async def close(self) -> None:
        """Nobody reads any more."""
        self._items = None
        await self._stream.aclose()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        while True:
            try:
                if self._items is None:
                    await self._client.wait_up()
                    await self.open()
                else:
                    event = self._take(await _next(self._items))
                    if event is not None:
                        return event
            except UnreachableError:
                await self.close()

    def _take(self, item: object) -> Event | None:
        """The event that an item tells, if any."""
        revision, passed, event = understood(take, item, int, int, list | None)
        told = None if event is None else understood(unpack_event, event)
        self._position = (revision, passed)
        return told


async def _next(items: AsyncIterator[Any]) -> Any:
    try:
        return await anext(items, None)
    except ConflictError as error:
        raise CompactedError(str(error)) from error
