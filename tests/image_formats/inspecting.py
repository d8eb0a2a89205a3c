"""Inspecting bytes, in chunks or where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable

from image_registry.formats.bounds import Bounds
from image_registry.formats.errors import ImageRefusedError
from image_registry.formats.inspector import Inspector, Verdict

DEFAULT = Bounds()
CHUNKS = (1 << 30, 64 * 1024, 4097, 512)


def streamed(
    content: bytes, disk_format: str, chunk: int = 1 << 30, bounds: Bounds = DEFAULT, container: str = "bare"
) -> Verdict:
    return fed((content[at : at + chunk] for at in range(0, len(content), chunk)), disk_format, bounds, container)


def fed(chunks: Iterable[bytes], disk_format: str, bounds: Bounds = DEFAULT, container: str = "bare") -> Verdict:
    """Each chunk is overwritten once it has been taken."""
    inspector = Inspector(disk_format, container, bounds)
    size = 0
    for chunk in chunks:
        lent = bytearray(chunk)
        inspector.feed(lent)
        lent[:] = b"\xee" * len(lent)
        size += len(lent)
    return inspector.finish(size)


def looked_up(content: bytes, disk_format: str, bounds: Bounds = DEFAULT) -> tuple[Verdict, int]:
    """And how many bytes were wanted."""
    inspector = Inspector(disk_format, "bare", bounds)
    read = 0
    while (window := inspector.wanted(len(content))) is not None:
        assert 0 < window.length <= 1 << 20
        read += window.length
        inspector.give(window.offset, content[window.offset : window.offset + window.length])
    return inspector.finish(len(content)), read


def answer(content: bytes, disk_format: str, chunk: int = 1 << 30) -> Verdict | str:
    """The verdict, or why there is none."""
    try:
        return streamed(content, disk_format, chunk)
    except ImageRefusedError as refusal:
        return str(refusal)


def looked_up_answer(content: bytes, disk_format: str) -> Verdict | str:
    try:
        return looked_up(content, disk_format)[0]
    except ImageRefusedError as refusal:
        return str(refusal)
