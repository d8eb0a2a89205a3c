"""Images that are what they are said to be are taken: of each format, with its options, however they come."""

from __future__ import annotations

import pytest

from image_registry.formats.inspector import Verdict
from image_registry.formats.plan import HEAD_BYTES, WINDOW_MAX
from tests.image_formats import oracle
from tests.image_formats.corpus import (
    DISK_BYTES,
    GOOD,
    MIB,
    boot_sector,
    changed,
    created,
    good,
    iso,
    partition,
    raw_disk,
    stream_optimized,
)
from tests.image_formats.hostile import big, vhd
from tests.image_formats.inspecting import CHUNKS, fed, looked_up, streamed
from tests.nbd.test_stock_clients import needs

FAT = bytes(16) + b"\2" + bytes(4) + b"\xf8" + bytes(488) + b"\x55\xaa" + bytes(MIB)
PROTECTIVE = boot_sector(partition(0xEE, boot=0)) + bytes(MIB)


def taken(content: bytes, said: str) -> Verdict:
    """By us, in any chunks, and by stock Glance."""
    verdict, read = looked_up(content, said)
    assert all(streamed(content, said, chunk) == verdict for chunk in CHUNKS)
    assert read <= HEAD_BYTES + 2 * WINDOW_MAX
    assert oracle.accepts(content, said)
    return verdict


@needs("qemu-img")
@pytest.mark.parametrize("convert", [True, False], ids=["full", "empty"])
@pytest.mark.parametrize("name", GOOD)
def test_what_qemu_makes(name: str, convert: bool) -> None:
    said = GOOD[name][0]
    content = good(name, convert=convert)
    verdict = taken(content, said)
    assert verdict.detected == said
    assert verdict.virtual_size == (oracle.virtual_size(content, said) if said != "raw" else len(content))
    assert verdict.disk_size == verdict.virtual_size
    assert DISK_BYTES <= (verdict.disk_size or 0) <= DISK_BYTES + 16 * 63 * 512


@needs("qemu-img")
def test_in_chunks_of_one_byte() -> None:
    content = good("vdi", convert=False)
    assert fed((bytes([each]) for each in content), "vdi").virtual_size == DISK_BYTES


@needs("qemu-img")
@pytest.mark.parametrize(
    ("format_", "said", "size", "options"),
    [
        ("qcow2", "qcow2", "60T", ()),
        ("qcow2", "qcow2", "20G", ("-o", "cluster_size=512")),
        ("vhdx", "vhdx", "60T", ()),
        ("vdi", "vdi", "2T", ()),
        ("vpc", "vhd", "2000G", ("-o", "force_size=on")),
        ("vmdk", "vmdk", "2T", ()),
    ],
)
def test_large_disks_are_looked_up_in_little(format_: str, said: str, size: str, options: tuple[str, ...]) -> None:
    content = created(format_, size, *options)
    verdict, read = looked_up(content, said)
    assert verdict.disk_size == int(size[:-1]) << {"T": 40, "G": 30}[size[-1]]
    assert read <= HEAD_BYTES + 2 * WINDOW_MAX
    assert streamed(content, said, 1 << 20) == verdict


def test_a_vmdk_that_was_streamed() -> None:
    assert taken(stream_optimized(), "vmdk") == Verdict("vmdk", MIB, MIB)


@pytest.mark.parametrize("hybrid", [False, True])
def test_a_disc(hybrid: bool) -> None:
    content = iso(hybrid=hybrid) + bytes(4096)  # more than it says, as padding
    assert taken(content, "iso") == Verdict("iso", 200 * 2048, 202 * 2048)
    assert taken(content, "raw") == Verdict("iso", 202 * 2048, 202 * 2048)


def test_a_disc_that_does_not_begin_with_its_primary_descriptor() -> None:
    for mark in (b"CD001", b"NSR02", b"NSR03"):
        content = changed(iso(), 32768, b"\0", mark)
        assert taken(content, "iso") == Verdict("iso", None, 200 * 2048)


@pytest.mark.parametrize(
    ("content", "detected"),
    [
        (b"", "raw"),
        (b"x", "raw"),
        (bytes(HEAD_BYTES), "raw"),
        (b"a text, and no more\n" * 100_000, "raw"),
        (b"#!/bin/sh\nversion=\n", "raw"),
        (boot_sector() + bytes(MIB), "gpt"),
        (PROTECTIVE, "gpt"),
        (changed(boot_sector(), 0x10, b"\2") + bytes(MIB), "gpt"),
        (changed(boot_sector(), 0x15, b"\xf8") + bytes(MIB), "gpt"),
        (FAT, "raw"),
        (raw_disk()[:MIB] + b"QFI\xfb" + raw_disk()[MIB:], "raw"),
    ],
)
def test_raw(content: bytes, detected: str) -> None:
    assert taken(content, "raw") == Verdict(detected, len(content), len(content))


@pytest.mark.parametrize("said", ["ami", "ari", "aki"])
def test_parts_of_a_machine_for_amazon(said: str) -> None:
    assert taken(raw_disk(), said) == Verdict("raw", None, DISK_BYTES)


@needs("qemu-img")
def test_the_disk_of_a_vhd_may_be_less_than_it_says() -> None:
    content = vhd({40: big(DISK_BYTES + MIB)})
    verdict = taken(content, "vhd")
    assert verdict.virtual_size == DISK_BYTES + MIB
    assert verdict.disk_size == oracle.virtual_size(good("vhd"), "vhd")


@needs("qemu-img")
def test_whose_vhds_have_the_size_that_they_say() -> None:
    for creator, size in ((b"win ", DISK_BYTES), (b"vs  ", oracle.virtual_size(good("vhd"), "vhd"))):
        assert taken(vhd({28: creator, 48: big(DISK_BYTES)}), "vhd").disk_size == size


@needs("qemu-img")
@pytest.mark.parametrize("block", ["1M", "256M"])
def test_a_vhdx_with_blocks_of_any_size(block: str) -> None:
    assert taken(created("vhdx", "1G", "-o", f"block_size={block}"), "vhdx").disk_size == 1 << 30
