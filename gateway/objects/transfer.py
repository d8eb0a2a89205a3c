"""Objects copied within the store, data and all that is said of them; data stay where they are if they can."""

from __future__ import annotations

from collections.abc import Callable

from gateway.objects.reading import pour
from store.core.limits import INLINE_BYTES_MAX
from store.objects.interface import ObjectStore
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

Placing = Callable[[ObjectInfo], tuple[str, ObjectHead]]
"""The name and head that a copy is to have."""


async def transfer(
    store: ObjectStore,
    source: Container,
    name: str,
    target: Container,
    placing: Placing,
    condition: Condition = ALWAYS,
) -> ObjectInfo:
    """Copy an object and return what was copied. NotFoundError if it is not there."""
    async with store.open(source, name) as opened:
        info = opened.info
        target_name, head = placing(info)
        inline = opened.inline
        if inline is not None and len(inline) <= INLINE_BYTES_MAX:
            await store.put(target, target_name, inline, head, condition)
            return info
        async with store.upload(target, target_name, info.size) as upload:
            if opened.data is None or not await upload.reflink(opened.data):
                await pour(opened, 0, info.size, upload.write)
                await upload.digest()
            await upload.commit(head, condition)
        return info
