"""Writes around the page cache: whatever the buffers, the file holds them one behind the other."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
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


def test_files_that_were_written_keep_no_second_descriptor(tmp_path: Path) -> None:
    """A device keeps many segments open, nearly all of them only to read."""
    before = len(os.listdir("/proc/self/fd"))
    files = [SystemFile(str(tmp_path / str(number)), create=True) for number in range(20)]
    for file in files:
        file.write(0, [b"front".ljust(ALIGN), PAGES[:ALIGN]], cached=False)
    assert len(os.listdir("/proc/self/fd")) - before == len(files)


def test_a_file_system_that_wants_more_than_aligned_pages_is_written_through_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwritev = os.pwritev

    def refuse_some(descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        if offset and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "wants more")
        return pwritev(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pwritev", refuse_some)
    file = SystemFile(str(tmp_path / "file"), create=True)
    data = bytes(range(256)) * (4096 * 5)
    file.write(0, [data], cached=False)
    file.write(len(data), [PAGES], cached=False)
    assert file.read(0, len(data) + len(PAGES)) == data + bytes(PAGES)
