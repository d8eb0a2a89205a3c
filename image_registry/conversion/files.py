"""An image in a file, inspected: only what the inspector wants of it is read."""

from __future__ import annotations

import os

from image_registry.formats.bounds import Bounds
from image_registry.formats.inspector import Inspector, Verdict


def inspect_file(descriptor: int, disk_format: str, bounds: Bounds = Bounds()) -> Verdict:  # noqa: B008 - it is frozen
    """Of a regular file. Raises ImageRefusedError, OSError."""
    size = os.fstat(descriptor).st_size
    inspector = Inspector(disk_format, "bare", bounds)
    while (window := inspector.wanted(size)) is not None:
        inspector.give(window.offset, os.pread(descriptor, window.length, window.offset))
    return inspector.finish(size)
