"""Writes around the page cache: whatever the buffers, the file holds them one behind the other."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.core.direct import ALIGN, Buffer, is_aligned
from store.core.disk import SystemFile

PAGES = memoryview(mmap.mmap(-1, 64 * ALIGN))
PAGES[:] = bytes(range(256)) * (64 * ALIGN // 256)


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    """Aligned memory, bytes of any length, and views that are nearly aligned; in all a multiple of the alignment."""
    parts: list[Buffer] = []
    for kind in draw(st.lists(st.sampled_from(["pages", "bytes", "skewed"]), min_size=1, max_size=12)):
        length = draw(st.integers(1, 3 * ALIGN))
        if kind == "pages":
            parts.append(PAGES[: -(-length // ALIGN) * ALIGN])
        elif kind == "bytes":
            parts.append(bytes([length % 251]) * length)
        else:
            parts.append(PAGES[8 : 8 + length])
    parts.append(bytes(-sum(map(len, parts)) % ALIGN))
    return parts


@given(parts=buffers(), pages=st.integers(0, 3))
def test_what_is_written_around_the_page_cache_is_read_through_it(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Buffer], pages: int
) -> None:
    file = SystemFile(str(tmp_path_factory.mktemp("direct") / "file"), create=True)
    file.write(0, [b"\xff" * (4 * ALIGN)])
    file.write(pages * ALIGN, parts, cached=False)
    whole = b"".join(parts)
    assert file.read(pages * ALIGN, len(whole)) == whole
    assert file.read(0, pages * ALIGN) == b"\xff" * (pages * ALIGN)


def test_more_than_the_scratch_memory_holds(tmp_path: Path) -> None:
    file = SystemFile(str(tmp_path / "file"), create=True)
    data = bytes(range(256)) * (4096 * 5)
    file.write(0, [data[:100], data[100:-5], PAGES[:ALIGN], data[-5:], bytes(-len(data) % ALIGN)], cached=False)
    assert file.read(0, len(data) + ALIGN) == data[:-5] + bytes(PAGES[:ALIGN]) + data[-5:]


def test_only_memory_on_its_page_is_aligned() -> None:
    assert is_aligned(PAGES[: 2 * ALIGN])
    assert not is_aligned(PAGES[8 : 8 + ALIGN])
    assert not is_aligned(PAGES[: ALIGN + 1])
    assert not is_aligned(bytes(ALIGN))
