"""Writing objects from bodies as they come, and anew what has expired."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from gateway.objects.errors import QuotaError, ShortError, TooLargeError
from gateway.objects.layer import ObjectLayer
from gateway.objects.quotas import EXCEEDED
from gateway.objects.reading import pour
from store.core.errors import DigestError
from store.core.limits import INLINE_BYTES_MAX
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

ABSENT = Condition(none_match=frozenset({"*"}))


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a body before it is read: its size (None: not stated), its MD5 (hex, "" where not stated), the
    most bytes that an object may have, and what the quotas leave (None: nothing bounds it)."""

    size: int | None
    size_max: int
    digest: str = ""
    left: int | None = None


async def write(
    layer: ObjectLayer,
    container: Container,
    name: str,
    pieces: AsyncIterator[bytes],
    expected: Expected,
    head: ObjectHead,
    condition: Condition = ALWAYS,
) -> ObjectInfo:
    """Store a body as it comes. Nothing is visible unless all of it came and is what was promised.

    Raises TooLargeError, QuotaError, ShortError, DigestError.
    """
    size = expected.size
    begun = bytearray()
    if size is None:
        async for piece in pieces:
            begun += piece
            if len(begun) > INLINE_BYTES_MAX:
                break
        _check(len(begun), expected)
        if len(begun) <= INLINE_BYTES_MAX:
            return await layer.store.put(container, name, begun, head, condition, expected.digest)
    async with layer.store.upload(container, name, size) as upload:
        total = len(begun)
        if begun:
            await upload.write(begun)
        async for piece in pieces:
            total += len(piece)
            _check(total, expected)
            if piece:
                await upload.write(piece)
        if size is not None and total != size:
            raise ShortError(f"{total} of {size} bytes came")
        _size, digest = await upload.digest()
        if expected.digest and expected.digest != digest:
            raise DigestError("the body is not what was announced")
        return await upload.commit(head, condition)


def _check(total: int, expected: Expected) -> None:
    if expected.left is not None and expected.left < expected.size_max and total > expected.left:
        raise QuotaError(EXCEEDED)
    if total > expected.size_max:
        raise TooLargeError(f"more than {expected.size_max} bytes")


async def revive(layer: ObjectLayer, container: Container, name: str, edit: Callable[[ObjectInfo], ObjectHead]) -> None:
    """Write an object anew that has expired and is still there. The store changes nothing that has expired, so its
    bytes are written again; not over one that somebody has put there meanwhile."""
    async with layer.store.open(container, name, expired=True) as opened:
        head = edit(opened.info)
        if opened.inline is not None:
            await layer.store.put(container, name, opened.inline, head, ABSENT)
            return
        async with layer.store.upload(container, name, opened.info.size) as upload:
            await pour(opened, 0, opened.info.size, upload.write)
            await upload.digest()
            await upload.commit(head, ABSENT)
