"""What a file says of itself as a disk image, before any other program is let at it: its format, by its first bytes,
and whether it would have whoever opens it open other files, too.

An image comes from a stranger, and is opened by who may read much of this host. One that has a part of its content in
other files (a backing file, an external data file, extents of VMDK) could name any. `qemu-img` follows some of these
already when it is only asked what an image is, so they are looked for here. Forms: docs/interop/qcow2.txt of QEMU,
VMware's Virtual Disk Format 5.0, Microsoft's VHD and VHDX.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from store.core.errors import InvalidError

FORMATS: Final = ("raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc")
HEAD_BYTES: Final = 512

_QCOW2: Final = struct.Struct(">4sIQIIQI")
"""Magic, version, offset and length of the backing file's name, bits of a cluster, size, encryption."""
_QCOW2_FEATURES: Final = struct.Struct(">Q")
_QCOW2_FEATURES_AT: Final = 72
_QCOW2_DATA_FILE: Final = 1 << 2
_VMDK_SPARSE: Final = struct.Struct("<4sIIQ")
"""Magic, version, flags, capacity."""
_VDI_SIGNATURE: Final = bytes.fromhex("7f10dabe")
_VDI_SIGNATURE_AT: Final = 64


def format_of(head: bytes) -> str:
    """Of an image that begins so. What has no mark of another is raw: also a fixed VHD, whose mark is at its end."""
    if head.startswith(b"QFI\xfb"):
        return "qcow2"
    if head.startswith((b"KDMV", b"COWD", b"# Disk DescriptorFile")):
        return "vmdk"
    if head[_VDI_SIGNATURE_AT:].startswith(_VDI_SIGNATURE):
        return "vdi"
    if head.startswith(b"vhdxfile"):
        return "vhdx"
    if head.startswith(b"conectix"):
        return "vpc"
    return "raw"


def check_alone(head: bytes, format_: str) -> None:
    """Raises InvalidError where an image of this format that begins so needs other files, or a key, or cannot be looked
    through for that."""
    if format_ in _CHECKS:
        _CHECKS[format_](head.ljust(HEAD_BYTES, b"\0"))


def _check_qcow2(head: bytes) -> None:
    magic, version, backing, _, _, _, encryption = _QCOW2.unpack_from(head)
    if magic != b"QFI\xfb" or version not in (2, 3):
        raise InvalidError("the image is no qcow2 of version 2 or 3")
    if backing:
        raise InvalidError(
            "the image has a backing file, which is not read: make it whole first, with 'qemu-img convert' or "
            "'qemu-img rebase -b \"\"', where you trust it"
        )
    (features,) = _QCOW2_FEATURES.unpack_from(head, _QCOW2_FEATURES_AT)
    if version == 3 and features & _QCOW2_DATA_FILE:
        raise InvalidError("the image has its data in another file, which is not read: make it whole first")
    if encryption:
        raise InvalidError("the image is encrypted: decrypt it first")


def _check_vmdk(head: bytes) -> None:
    """One with a descriptor in plain text, or whose header says that it has no content itself, names files."""
    magic, _, _, capacity = _VMDK_SPARSE.unpack_from(head)
    if magic == b"COWD":
        raise InvalidError("the image is a part of a VMDK of ESX: import a VMDK that is one file")
    if magic != b"KDMV" or not capacity:
        raise InvalidError("the image is a VMDK that has its content in other files: import one that is one file")


_CHECKS: Final[dict[str, Callable[[bytes], None]]] = {"qcow2": _check_qcow2, "vmdk": _check_vmdk}
