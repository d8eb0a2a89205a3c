"""A frame in memory takes what is in it, however many there are."""

from __future__ import annotations

import mmap
from pathlib import Path

from store.blocks.frame import Entry, Kind
from store.blocks.log_frame import LogFrame
from store.blocks.place import BLOCK_BYTES

FRAMES = 100
BYTES_EACH_MAX = 64 << 10


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def small_frames() -> list[LogFrame]:
    frames = [LogFrame(number) for number in range(1, FRAMES + 1)]
    for frame in frames:
        frame.add(Entry(Kind.DATA, 0, 1), b"a" * BLOCK_BYTES)
    return frames


def test_small_frames_take_little_also_when_others_have_been_there() -> None:
    """What an allocator uses again has to be filled with zeros: then every page of it is there."""
    small_frames()
    before = resident_bytes()
    frames = small_frames()
    assert resident_bytes() - before < FRAMES * BYTES_EACH_MAX
    assert len(frames) == FRAMES
