"""An image that is stored, inspected: only what the inspector wants of it is read."""

from __future__ import annotations

from gateway.objects.reading import closing
from image_registry.formats.bounds import Bounds
from image_registry.formats.inspector import Inspector, Verdict
from store.objects.interface import OpenObject


async def inspect_object(source: OpenObject, disk_format: str, bounds: Bounds = Bounds()) -> Verdict:  # noqa: B008 - it is frozen
    """Raises ImageRefusedError, and what reading raises."""
    return await look_through(source, Inspector(disk_format, "bare", bounds))


async def look_through(source: OpenObject, inspector: Inspector) -> Verdict:
    """What an inspector that has seen nothing yet says of an object. Raises the same."""
    size = source.info.size
    while (window := inspector.wanted(size)) is not None:
        at = window.offset
        async with closing(source.read(window.offset, window.offset + window.length)) as pieces:
            async for piece in pieces:
                inspector.give(at, piece)
                at += len(piece)
    return inspector.finish(size)
