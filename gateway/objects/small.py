"""Data that are whole at hand: a manifest, an ownership record."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from store.core.limits import INLINE_BYTES_MAX
from store.objects.interface import Buffer, Upload
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo


class Writes(Protocol):
    """What is needed of a store for this."""

    async def put(
        self, container: Container, name: str, data: Buffer, head: ObjectHead, condition: Condition = ALWAYS
    ) -> ObjectInfo: ...

    def upload(self, container: Container, name: str, size: int | None = None) -> AbstractAsyncContextManager[Upload]:
        """As `ObjectStore` has it."""
        ...


async def keep(
    store: Writes, container: Container, name: str, data: Buffer, head: ObjectHead, condition: Condition = ALWAYS
) -> ObjectInfo:
    """Store them, in one step where they are few enough for that."""
    if len(data) <= INLINE_BYTES_MAX:
        return await store.put(container, name, data, head, condition)
    async with store.upload(container, name, len(data)) as upload:
        await upload.write(data)
        await upload.digest()
        return await upload.commit(head, condition)
