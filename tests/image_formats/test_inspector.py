"""How the inspector is used: bounds, containers, when it refuses, what it keeps."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from image_registry.formats.bounds import VIRTUAL_SIZE_MAX, Bounds
from image_registry.formats.errors import BackwardsError, ImageRefusedError
from image_registry.formats.inspector import DISK_FORMATS, Inspector, Verdict
from image_registry.formats.plan import HEAD_BYTES, Window
from store.core.errors import InvalidError
from tests.image_formats.corpus import DISK_BYTES, MIB, changed, created, good, iso
from tests.image_formats.inspecting import answer, looked_up, streamed
from tests.nbd.test_stock_clients import needs


def small_qcow2(size: int, l1_entries: int = 1) -> bytes:
    """1 KiB of image, with clusters of 512 bytes, that says how large its disk is."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 9, size, 0, l1_entries, 512, 1024, 0, 0, 0, 0, 0, 0, 4, 104
    )
    return header.ljust(512, b"\0") + bytes(512)


def test_a_kib_that_would_be_an_eib() -> None:
    content = small_qcow2(1 << 60, 64)
    assert len(content) == 1024
    assert "L1 table is too small" in str(answer(content, "qcow2"))
    whole = created("qcow2", "4T", "-o", "cluster_size=2M")
    huge = changed(whole, 20, struct.pack(">IQ", 21, 1 << 60), bytes(4), struct.pack(">I", 4 << 20))
    assert "and may have" in str(answer(huge, "qcow2"))


def test_bounds() -> None:
    content = small_qcow2(32768)
    assert streamed(content, "qcow2").disk_size == 32768
    assert streamed(content, "qcow2", bounds=Bounds(virtual_size=32768)).disk_size == 32768
    with pytest.raises(ImageRefusedError, match="32768 bytes, and may have 32767"):
        streamed(content, "qcow2", bounds=Bounds(virtual_size=32767))
    assert streamed(content, "qcow2", bounds=Bounds(ratio=32)).disk_size == 32768
    with pytest.raises(ImageRefusedError, match="more than 31 for each of the image's 1024"):
        streamed(content, "qcow2", bounds=Bounds(ratio=31))
    with pytest.raises(ImageRefusedError, match="and may have 4095"):
        streamed(bytes(4096), "raw", bounds=Bounds(virtual_size=4095))
    assert VIRTUAL_SIZE_MAX == 64 << 40


@needs("qemu-img")
def test_a_fixed_vhd_where_it_is_allowed() -> None:
    fixed = created("vpc", "3M", "-o", "subformat=fixed,force_size=on")
    allowed = Bounds(fixed_vhd=True)
    assert streamed(fixed, "vhd", bounds=allowed) == Verdict("vhd", DISK_BYTES, DISK_BYTES)
    assert looked_up(fixed, "vhd", allowed)[0] == Verdict("vhd", DISK_BYTES, DISK_BYTES)
    for content, why in (
        (fixed[:-1], "no VHD"),
        (fixed[512:], "cut off"),
        (b"", "no VHD"),
        (fixed[:-512] + good("vhd")[:512], "no fixed VHD"),
    ):
        with pytest.raises(ImageRefusedError, match=why):
            streamed(content, "vhd", bounds=allowed)


def test_fixed_vhds_allow_nothing_else() -> None:
    for said in ("qcow2", "iso", "vmdk"):
        with pytest.raises(ImageRefusedError, match="content is raw"):
            streamed(bytes(MIB), said, bounds=Bounds(fixed_vhd=True))


@pytest.mark.parametrize("container", ["ovf", "ova", "docker", "compressed", "ami"])
def test_what_is_in_a_container_is_not_looked_at(container: str) -> None:
    content = small_qcow2(1 << 60)
    assert streamed(content, "raw", container=container) == Verdict(None, None, None)
    inspector = Inspector("qed", container)
    assert inspector.wanted(100) is None
    assert inspector.finish(0).detected is None


def test_a_refusal_comes_early_and_is_kept() -> None:
    inspector = Inspector("raw")
    start = small_qcow2(1).ljust(HEAD_BYTES, b"\0")
    inspector.feed(start[:-1])
    with pytest.raises(InvalidError, match="content is qcow2") as first:
        inspector.feed(start[-1:])
    for again in (lambda: inspector.feed(b"x"), lambda: inspector.wanted(1), lambda: inspector.finish(HEAD_BYTES)):
        with pytest.raises(ImageRefusedError) as later:
            again()
        assert later.value is first.value
    with pytest.raises(ImageRefusedError, match="qed are not taken"):
        Inspector("qed").feed(b"")


def test_what_refuses_at_the_end_is_kept_too() -> None:
    inspector = Inspector("qcow2")
    inspector.feed(small_qcow2(1)[:516])
    for _ in range(2):
        with pytest.raises(ImageRefusedError, match="cut off"):
            inspector.finish(516)


def test_the_end_of_the_image_is_to_be_given() -> None:
    for size in (99, 101):
        inspector = Inspector("raw")
        inspector.feed(bytes(100))
        with pytest.raises(ValueError, match="the end of the image"):
            inspector.finish(size)


def test_a_table_before_what_leads_to_it_is_refused() -> None:
    content = created("qcow2", "3M", "-o", "cluster_size=2M")
    moved = changed(content, 40, struct.pack(">Q", 1 << 21))
    assert "overlaps" in str(answer(moved, "qcow2"))
    backwards = bytearray(good("vhd"))
    backwards += bytes(1 << 20)
    header = bytes(backwards[512:1536])
    footer = bytearray(backwards[:512])
    footer[16:24] = struct.pack(">Q", 65536)
    footer[64:68] = bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    backwards[:512] = backwards[-512:] = footer
    backwards[65536 : 65536 + 1024] = header
    dynamic = bytearray(header)
    dynamic[16:24] = struct.pack(">Q", 40960)
    dynamic[36:40] = bytes(4)
    dynamic[36:40] = struct.pack(">I", ~sum(dynamic) & 0xFFFFFFFF)
    backwards[65536 : 65536 + 1024] = dynamic
    with pytest.raises(BackwardsError):
        streamed(bytes(backwards), "vhd")
    with pytest.raises(BackwardsError):
        looked_up(bytes(backwards), "vhd")


def test_little_is_kept_of_what_comes_by() -> None:
    inspector = Inspector("qcow2")
    content = created("qcow2", "1T", "-o", "cluster_size=4k")
    chunk = bytes(MIB)
    tracemalloc.start()
    try:
        for at in range(0, len(content), 4096):
            inspector.feed(content[at : at + 4096])
        for _ in range(256):
            inspector.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert inspector.finish(len(content) + 256 * MIB).disk_size == 1 << 40
    assert peak < 3 * MIB


def test_what_is_wanted_of_a_file() -> None:
    inspector = Inspector("raw")
    size = 1 << 40
    assert inspector.wanted(size) == Window(0, HEAD_BYTES)
    inspector.give(0, bytes(HEAD_BYTES))
    assert inspector.wanted(size) == Window(size - 1536, 1536)
    inspector.give(size - 1536, bytes(1536))
    assert inspector.wanted(size) is None
    assert inspector.finish(size) == Verdict("raw", size, size)


def test_the_formats_that_are_taken() -> None:
    assert set(DISK_FORMATS) == {"raw", "iso", "qcow2", "vdi", "vhd", "vhdx", "vmdk", "ami", "ari", "aki"}
    assert streamed(bytes(100), "of-a-name-that-is-not-known").detected == "raw"
    assert "content is iso" in str(answer(iso(), "of-a-name-that-is-not-known"))
