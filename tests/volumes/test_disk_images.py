"""What the first bytes of a disk image say, before any other program is let at it."""

from __future__ import annotations

import struct

import pytest

from drystone.disk_images import check_alone, format_of
from store.core.errors import InvalidError


def qcow2(version: int = 3, backing: int = 0, encryption: int = 0, features: int = 0) -> bytes:
    start = struct.pack(">4sIQIIQI", b"QFI\xfb", version, backing, 8 if backing else 0, 16, 1 << 20, encryption)
    return start.ljust(72, b"\0") + struct.pack(">Q", features)


def vmdk(capacity: int = 2048) -> bytes:
    return struct.pack("<4sIIQ", b"KDMV", 1, 3, capacity)


@pytest.mark.parametrize(
    ("head", "format_"),
    [
        (b"", "raw"),
        (bytes(512), "raw"),
        (b"\xebc\x90".ljust(510, b"\0") + b"\x55\xaa", "raw"),
        (qcow2(), "qcow2"),
        (vmdk(), "vmdk"),
        (b"COWD", "vmdk"),
        (b"# Disk DescriptorFile\nversion=1", "vmdk"),
        (b"<<< VDI >>>".ljust(64, b"\0") + b"\x7f\x10\xda\xbe", "vdi"),
        (b"vhdxfile", "vhdx"),
        (b"conectix", "vpc"),
    ],
)
def test_formats_are_told_by_their_marks(head: bytes, format_: str) -> None:
    assert format_of(head) == format_


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (qcow2(backing=1 << 20), "backing file"),
        (qcow2(version=2, backing=512), "backing file"),
        (qcow2(features=4), "another file"),
        (qcow2(features=7), "another file"),
        (qcow2(encryption=1), "encrypted"),
        (qcow2(version=2, encryption=2), "encrypted"),
        (qcow2(version=1), "no qcow2"),
        (qcow2(version=4), "no qcow2"),
        (b"QFI\xfb", "no qcow2"),
        (b"", "no qcow2"),
        (b"# Disk DescriptorFile\n", "other files"),
        (b"\n# Disk DescriptorFile\n", "other files"),
        (vmdk(capacity=0), "other files"),
        (b"COWD", "one file"),
    ],
)
def test_what_needs_other_files_or_a_key_is_refused(head: bytes, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        check_alone(head, "qcow2" if "qcow2" in why or head.startswith(b"QFI") else "vmdk")


def test_what_is_whole_is_taken() -> None:
    for head in (qcow2(), qcow2(features=3), qcow2(version=2, features=4)):
        check_alone(head, "qcow2")  # version 2 has no features: these bytes are something else
    check_alone(vmdk(), "vmdk")
    check_alone(qcow2(backing=1), "raw")
