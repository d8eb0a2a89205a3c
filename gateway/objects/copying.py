"""Copies made here: the bytes that a view shows, written as another object; they stay where they are if they can."""

from __future__ import annotations

from gateway.objects.errors import IncompleteError
from gateway.objects.layer import ObjectLayer
from gateway.objects.reading import PlainView, ReadView, pour
from store.core.limits import INLINE_BYTES_MAX
from store.objects.model import Condition, Container, ObjectHead, ObjectInfo


async def copy(
    layer: ObjectLayer,
    view: ReadView,
    start: int,
    stop: int,
    container: Container,
    name: str,
    head: ObjectHead,
    condition: Condition,
) -> ObjectInfo:
    """Write the bytes [start, stop) of a view as an object of a container."""
    inline = view.inline
    if inline is not None and stop - start <= INLINE_BYTES_MAX:
        return await layer.store.put(container, name, inline[start:stop], head, condition)
    async with layer.store.upload(container, name, stop - start) as upload:
        data = view.opened.data if isinstance(view, PlainView) and stop - start == view.size else None
        if data is None or not await upload.reflink(data):
            await view.pour(start, stop, upload.write, pour)
        written, _etag = await upload.digest()
        if written != stop - start:
            raise IncompleteError(f"{written} of {stop - start} bytes could be copied")
        return await upload.commit(head, condition)
