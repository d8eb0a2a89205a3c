"""VMDK in one file with a header: monolithicSparse and streamOptimized (VMware, Virtual Disk Format 5.0)."""

from __future__ import annotations

import struct
from typing import Final

from image_registry.formats.errors import ImageRefusedError, cut_off
from image_registry.formats.plan import TABLE_LOOKED_AT_MAX, TAIL_BYTES, WINDOW_MAX, Finding, Part, Plan, Window
from image_registry.formats.tables import check_blocks, numbers
from image_registry.formats.vmdk_descriptor import check_descriptor

_SECTOR: Final = 512
_HEADER: Final = struct.Struct("<4sIIQQQQIQQQB4sH")
_GRAINS_AT_END: Final = 0xFFFF_FFFF_FFFF_FFFF
_PLACE_OF_GRAINS: Final = slice(56, 64)
"""All that may differ between header and footer."""
_VERSIONS: Final = (1, 2, 3)
_NEWLINES: Final = b"\n \r\n"
_GRAIN_MAX: Final = 128
_ENTRIES_MAX: Final = 512
_DESCRIPTOR_AT: Final = 1
_DIRECTORY_MAX: Final = 512 << 20
_PAD: Final = bytes(496)
_MARKER: Final = struct.Struct("<QII496s")
_FOOTER_MARK: Final = 3


def inspect(head: bytes) -> Plan:
    if head.startswith(b"COWD"):
        raise ImageRefusedError("the image is a part of a VMDK of ESX: send a VMDK that is one file")
    if not head.startswith(b"KDMV"):
        raise ImageRefusedError("the image is a VMDK that has its content in other files: send one that is one file")
    if len(head) < _SECTOR:
        raise cut_off("its header")
    (_, version, flags, capacity, grain, text_at, text_length, entries, _, grains_at, _, _, newlines, _) = (
        _HEADER.unpack_from(head)
    )
    if version not in _VERSIONS:
        raise ImageRefusedError(f"the image is a VMDK of version {version}, which is not known here")
    if not capacity:
        raise ImageRefusedError("the image is a VMDK that has its content in other files: send one that is one file")
    if flags & 1 and newlines != _NEWLINES:
        raise ImageRefusedError("the image was sent as text: its ends of lines have been changed")
    if not 0 < grain <= _GRAIN_MAX or grain & (grain - 1) or not 0 < entries <= _ENTRIES_MAX:
        raise ImageRefusedError("the image is a VMDK with grains or tables of a size that cannot be")
    if text_at != _DESCRIPTOR_AT or not text_length:
        raise ImageRefusedError("the image is a VMDK without a descriptor behind its header")
    descriptor = Part("descriptor", _SECTOR, min(text_length * _SECTOR, WINDOW_MAX - 1))
    text = yield Window(descriptor.offset, descriptor.length)
    if len(text) < descriptor.length:
        raise cut_off("its descriptor")
    check_descriptor(text)
    size = capacity * _SECTOR
    if grains_at == _GRAINS_AT_END:
        header = head[:_SECTOR]
        return Finding(size, size, (descriptor,), 0, lambda tail: _check_footer(header, tail))
    tables = -(-capacity // (grain * entries))
    directory = Part("grain directory", grains_at * _SECTOR, tables * 4)
    if directory.length > _DIRECTORY_MAX:
        raise ImageRefusedError("the image is a VMDK with more tables than one may have")
    parts = (Part("header", 0, _SECTOR), descriptor, directory)
    reach = 0
    if directory.length <= TABLE_LOOKED_AT_MAX and directory.offset >= descriptor.end:
        table = yield Window(directory.offset, directory.length)
        starts = [entry * _SECTOR for entry in numbers(table, "I", "little") if entry]
        reach = check_blocks("grain tables", starts, entries * 4, parts)
    return Finding(size, size, parts, reach)


def _check_footer(header: bytes, tail: bytes) -> None:
    """Where an image has a footer it counts in the place of the header, and comes after all that is decided by it."""
    if len(tail) < TAIL_BYTES:
        raise cut_off("its footer")
    mark, footer, end = (tail[at : at + _SECTOR] for at in range(0, TAIL_BYTES, _SECTOR))
    _, size, kind, pad = _MARKER.unpack(mark)
    if size or kind != _FOOTER_MARK or pad != _PAD:
        raise ImageRefusedError("the image is a VMDK without the footer that its header says it has")
    if any(end):
        raise ImageRefusedError("the image is a VMDK that does not end with an end mark")
    if footer[_PLACE_OF_GRAINS] == header[_PLACE_OF_GRAINS]:
        raise ImageRefusedError("the image is a VMDK whose footer says that there is another footer")
    if _without_place(footer) != _without_place(header):
        raise ImageRefusedError("the image is a VMDK whose header and footer differ")


def _without_place(header: bytes) -> bytes:
    return header[: _PLACE_OF_GRAINS.start] + header[_PLACE_OF_GRAINS.stop : _HEADER.size]
