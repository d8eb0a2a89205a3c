"""Images that are stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from gateway.objects.reading import closing
from store.core.errors import DamageError
from store.objects.interface import Buffer, Data, OpenObject
from store.objects.model import ObjectHead, ObjectInfo
from tests.twins.objects import MemoryStore


@asynccontextmanager
async def stored(content: bytes) -> AsyncIterator[OpenObject]:
    """Held open. Pieces that are kept too long are spoilt."""
    store = MemoryStore()
    await store.put_account("a", {})
    container, _ = await store.put_container("a", "c", {})
    async with store.upload(container, "image") as upload:
        await upload.write(content)
        await upload.commit(ObjectHead("application/octet-stream"))
    async with store.open(container, "image") as source:
        yield source


class Damaged:
    """An object whose data cannot be read from some byte on."""

    def __init__(self, source: OpenObject, at: int) -> None:
        self.info: ObjectInfo = source.info
        self._source = source
        self._at = at

    @property
    def data(self) -> Data | None:
        return self._source.data

    @property
    def inline(self) -> Buffer | None:
        return None

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Buffer, None]:
        async with closing(self._source.read(start, stop)) as pieces:
            async for piece in pieces:
                if start + len(piece) > self._at:
                    raise DamageError("no good copy of the data is left")
                yield piece
                start += len(piece)
