"""Smaller limits, so that a run moves kilobytes where the real thing moves megabytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from store.objects import buffers, placement, store, upload
from store.replicator import step

BLOCK_BYTES = 16 * 1024
INLINE_BYTES = 2 * 1024
STEP_SECONDS = 2.0


@contextmanager
def small_limits() -> Iterator[None]:
    """Blocks of 16 KiB, objects of more than a block erasure-coded, rows of up to 2 KiB of data, and a step of the ring
    for tombstones every other second."""
    with (
        mock.patch.object(upload, "BLOCK_BYTES", BLOCK_BYTES),
        mock.patch.object(buffers, "BLOCK_BYTES", BLOCK_BYTES),
        mock.patch.object(placement, "BLOCK_BYTES", BLOCK_BYTES),
        mock.patch.object(placement, "ERASURE_BYTES_MIN", BLOCK_BYTES),
        mock.patch.object(upload, "INLINE_BYTES_MAX", INLINE_BYTES),
        mock.patch.object(store, "INLINE_BYTES_MAX", INLINE_BYTES),
        mock.patch.object(step, "STEP_SECONDS", STEP_SECONDS),
    ):
        yield
