"""Images to try the inspector on: small ones by qemu-img in every format with its options, and made by hand."""

from __future__ import annotations

import random
import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.nbd.test_stock_clients import needs

pytestmark = needs("qemu-img")
MIB = 1 << 20
DISK_BYTES = 3 * MIB

GOOD: Final[dict[str, tuple[str, str, str]]] = {
    # name: (disk_format, QEMU's name, options)
    "raw": ("raw", "raw", ""),
    "qcow2": ("qcow2", "qcow2", ""),
    "qcow2 v2": ("qcow2", "qcow2", "compat=0.10"),
    "qcow2 small clusters": ("qcow2", "qcow2", "cluster_size=512"),
    "qcow2 large clusters": ("qcow2", "qcow2", "cluster_size=2M"),
    "qcow2 zstd": ("qcow2", "qcow2", "compression_type=zstd"),
    "qcow2 lazy refcounts": ("qcow2", "qcow2", "lazy_refcounts=on"),
    "qcow2 refcounts of 1 bit": ("qcow2", "qcow2", "refcount_bits=1"),
    "qcow2 preallocated": ("qcow2", "qcow2", "preallocation=metadata"),
    "qcow2 preallocated whole": ("qcow2", "qcow2", "preallocation=full"),
    "vhd": ("vhd", "vpc", ""),
    "vhd of exact size": ("vhd", "vpc", "force_size=on"),
    "vhdx": ("vhdx", "vhdx", ""),
    "vhdx fixed": ("vhdx", "vhdx", "subformat=fixed"),
    "vhdx large blocks": ("vhdx", "vhdx", "block_size=16M,log_size=2M"),
    "vdi": ("vdi", "vdi", ""),
    "vdi static": ("vdi", "vdi", "static=on"),
    "vmdk": ("vmdk", "vmdk", ""),
    "vmdk zeroed grains": ("vmdk", "vmdk", "zeroed_grain=on"),
    "vmdk for a SCSI adapter": ("vmdk", "vmdk", "adapter_type=lsilogic,hwversion=7"),
    "vmdk streamOptimized": ("vmdk", "vmdk", "subformat=streamOptimized"),
}


@cache
def raw_disk() -> bytes:
    """Data at the start, in the midst, and at the end; the rest are zeros."""
    disk = bytearray(DISK_BYTES)
    for at in (0, MIB + 5 * 512, DISK_BYTES - 64 * 1024):
        disk[at : at + 64 * 1024] = random.Random(at).randbytes(64 * 1024)
    disk[510:512] = bytes(2)
    return bytes(disk)


@cache
def good(name: str, *, convert: bool = True) -> bytes:
    """An image of `raw_disk`, or of an empty disk of that size."""
    _, format_, options = GOOD[name]
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        arguments = ["-o", options] if options else []
        if convert:
            source.write_bytes(raw_disk())
            command = ["convert", "-f", "raw", "-O", format_, *arguments, str(source), str(target)]
        else:
            command = ["create", "-q", "-f", format_, *arguments, str(target), str(DISK_BYTES)]
        subprocess.run(["qemu-img", *command], check=True, capture_output=True)
        return target.read_bytes()


@cache
def created(format_: str, size: str, *options: str) -> bytes:
    """By `qemu-img create` with options of its own."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "target"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", format_, *options, str(target), size],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        return target.read_bytes()


def changed(content: bytes, at: int, *new: bytes) -> bytes:
    data = b"".join(new)
    return content[:at] + data + content[at + len(data) :]


def stream_optimized(*, footer: bytes | None = None, end: bytes = bytes(512)) -> bytes:
    """As what writes a stream makes it: where its tables are is said in a footer. The disk is empty."""
    text = (
        b'# Disk DescriptorFile\nversion=1\nCID=5f9f4fbf\nparentCID=ffffffff\ncreateType="streamOptimized"\n'
        b'RW 2048 SPARSE "disk.vmdk"\nddb.adapterType = "ide"\n'
    )
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH", b"KDMV", 3, 0x30001, 2048, 128, 1, 20, 512, 0, (1 << 64) - 1, 128, 0, b"\n \r\n", 1
    )
    directory_at = 129
    start = header.ljust(512, b"\0") + text.ljust(20 * 512, b"\0")
    start = start.ljust(128 * 512, b"\0") + struct.pack("<QII", 1, 0, 2).ljust(512, b"\0")
    start += bytes(512)  # the directory: no table
    if footer is None:
        footer = header.replace(b"\xff" * 8, struct.pack("<Q", directory_at)).ljust(512, b"\0")
    return start + struct.pack("<QII", 1, 0, 3).ljust(512, b"\0") + footer + end


def iso(*, blocks: int = 200, block: int = 2048, hybrid: bool = False) -> bytes:
    """A disc with a primary volume descriptor and nothing on it."""
    image = bytearray(blocks * block)
    image[32768:32775] = b"\x01CD001\x01"
    struct.pack_into("<I", image, 32768 + 80, blocks)
    struct.pack_into("<H", image, 32768 + 128, block)
    image[34816:34823] = b"\xffCD001\x01"
    if hybrid:
        image[:512] = boot_sector()
    return bytes(image)


def boot_sector(*entries: bytes) -> bytes:
    """Of an MBR; without entries it has one partition."""
    table = b"".join(entries or (partition(),)).ljust(64, b"\0")
    return bytes(446) + table + b"\x55\xaa"


def partition(kind: int = 0x83, *, boot: int = 0x80, start: bytes = b"\x00\x02\x00", first: int = 1) -> bytes:
    return struct.pack("<B3sB3sII", boot, start, kind, b"\xfe\xff\xff", first, 2047)
