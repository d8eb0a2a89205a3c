"""Which formats the first bytes of an image have the mark of.

All marks are looked for, whatever the image is said to be: what has two is made to be taken for either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from image_registry.formats.plan import HEAD_BYTES

_SECTOR: Final = 512
_TEXT_BYTES: Final = 64
_ISO_AT: Final = 32 * 1024 + 1
_ISO_MARKS: Final = (b"CD001", b"NSR02", b"NSR03")
_VDI_AT: Final = 0x40
_BOOT_MARK_AT: Final = 510
_FAT_COUNT_AT: Final = 0x10
_FAT_MEDIA_AT: Final = 0x15
_FIXED_DISK: Final = 0xF8

_DESCRIPTOR: Final = re.compile(rb"\A(?:#[^\n]*\n|[ \t]*\r?\n)*[ \t]*version *= *[0-9]", re.IGNORECASE)
"""As QEMU's vmdk_probe looks for one: comments and empty lines, then the version."""


def is_text(head: bytes) -> bool:
    """So it may be a VMDK's descriptor, which is a file of its own in some of its kinds."""
    start = head[:_TEXT_BYTES].decode("latin-1")
    return bool(start) and start.isascii() and all(each.isprintable() or each.isspace() for each in start)


def names_extents(text: bytes) -> bool:
    """Whether a text is a VMDK's descriptor, as stock Glance tells one."""
    return b'createtype="' in text.lower()


def _is_vmdk(head: bytes) -> bool:
    if head.startswith((b"KDMV", b"COWD")):
        return True
    start = head[:_SECTOR].lstrip().lower()
    return start.startswith(b"# disk descriptorfile") or _DESCRIPTOR.match(head) is not None


def _has_boot_sector(head: bytes) -> bool:
    """Of an MBR, or the protective one of a GPT. That of a FAT file system has the same signature, and partitions
    nothing."""
    if head[_BOOT_MARK_AT:_SECTOR] != b"\x55\xaa":
        return False
    return not (head[_FAT_COUNT_AT] == 2 and head[_FAT_MEDIA_AT] == _FIXED_DISK)


_MARKS: Final[dict[str, Callable[[bytes], bool]]] = {
    "qcow2": lambda head: head.startswith(b"QFI\xfb"),
    "qed": lambda head: head.startswith(b"QED\0"),
    "vhd": lambda head: head.startswith(b"conectix"),
    "vhdx": lambda head: head.startswith(b"vhdxfile"),
    "vmdk": _is_vmdk,
    "vdi": lambda head: head[_VDI_AT : _VDI_AT + 4] == b"\x7f\x10\xda\xbe",
    "luks": lambda head: head.startswith(b"LUKS\xba\xbe"),
    "ploop": lambda head: head.startswith((b"WithoutFreeSpace", b"WithouFreSpacExt")),
    "iso": lambda head: len(head) >= HEAD_BYTES and head[_ISO_AT : _ISO_AT + 5] in _ISO_MARKS,
    "gpt": _has_boot_sector,
}


def marks(head: bytes) -> frozenset[str]:
    """Names of formats, as Glance has them; `gpt` for any table of partitions. `head`: the first HEAD_BYTES, or all."""
    return frozenset(name for name, has in _MARKS.items() if has(head))


def format_of(head: bytes) -> str:
    """The one format of an image that begins so: of `marks`, or raw. A table of partitions makes a disk no less raw."""
    found = marks(head) - {"gpt"}
    return min(found) if found else "raw"
