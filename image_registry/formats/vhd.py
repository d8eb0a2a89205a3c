"""VHD, which QEMU calls vpc (Microsoft, Virtual Hard Disk Image Format Specification 1.0; QEMU's block/vpc.c)."""

from __future__ import annotations

import struct
from typing import Final

from image_registry.formats.errors import ImageRefusedError, cut_off
from image_registry.formats.plan import TABLE_LOOKED_AT_MAX, Finding, Part, Plan, Window
from image_registry.formats.tables import check_blocks, numbers

MARK: Final = b"conectix"
FOOTER_BYTES: Final = 512
_FOOTER: Final = struct.Struct(">8sIIQI4sI4sQQHBBII")
_CHECKSUM_AT: Final = 64
_DYNAMIC_BYTES: Final = 1024
_DYNAMIC: Final = struct.Struct(">8sQQIIII")
_DYNAMIC_MARK: Final = b"cxsparse"
_DYNAMIC_CHECKSUM_AT: Final = 36
_VERSION: Final = 0x00010000
_KIND_FIXED: Final = 2
_KIND_DYNAMIC: Final = 3
_SECTOR: Final = 512
_NO_PLACE: Final = 0xFFFFFFFF
_BLOCK_MAX: Final = 256 << 20
_GEOMETRY_MAX: Final = 65535 * 16 * 255
_SIZE_SAID_BY: Final = (b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS")
"""Programs whose disks have the size that is said; of all others cylinders, heads and sectors count, as QEMU has it."""


def inspect(head: bytes) -> Plan:
    """Of one with a table of blocks: it begins with a copy of the footer."""
    if len(head) < FOOTER_BYTES:
        raise cut_off("its header")
    footer = head[:FOOTER_BYTES]
    kind, size, disk_size = _read_footer(footer)
    if kind != _KIND_DYNAMIC:
        raise ImageRefusedError(
            "the image is a VHD that has a parent, or is of another kind than dynamic: make it whole first"
        )
    (header_at,) = struct.unpack_from(">Q", footer, 16)
    if header_at < FOOTER_BYTES or header_at % _SECTOR:
        raise ImageRefusedError("the image is a VHD whose second header is at no place of its own")
    header = yield Window(header_at, _DYNAMIC_BYTES)
    if len(header) < _DYNAMIC_BYTES:
        raise cut_off("its second header")
    mark, _, table_at, _, entries, block, _ = _DYNAMIC.unpack_from(header)
    if mark != _DYNAMIC_MARK or not _sum_is_right(header, _DYNAMIC_CHECKSUM_AT):
        raise ImageRefusedError("the image is a VHD whose second header is damaged")
    if block < _SECTOR or block > _BLOCK_MAX or block & (block - 1):
        raise ImageRefusedError(f"the image is a VHD with blocks of {block} bytes, which cannot be")
    if entries * block < disk_size:
        raise ImageRefusedError("the image is a VHD with a table of blocks that is too small for its disk")
    if table_at % _SECTOR:
        raise ImageRefusedError("the image is a VHD whose table of blocks does not begin with a sector")
    parts = (
        Part("header", 0, FOOTER_BYTES),
        Part("second header", header_at, _DYNAMIC_BYTES),
        Part("table of blocks", table_at, entries * 4),
    )
    reach = 0
    if 0 < entries * 4 <= TABLE_LOOKED_AT_MAX:
        table = yield Window(table_at, entries * 4)
        starts = [entry * _SECTOR for entry in numbers(table, "I", "big") if entry != _NO_PLACE]
        bitmap = -(-block // _SECTOR // 8 // _SECTOR) * _SECTOR
        reach = check_blocks("blocks", starts, bitmap + block, parts)

    def check_tail(tail: bytes) -> None:
        if tail[-FOOTER_BYTES:] != footer:
            raise ImageRefusedError("the image is a VHD whose header and footer differ, or which is cut off")

    return Finding(size, disk_size, parts, reach, check_tail)


def fixed_size(tail: bytes, image: int) -> int:
    """Bytes of the disk of one with its mark at its end alone, in an image of so many bytes. Raises
    ImageRefusedError."""
    footer = tail[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or not footer.startswith(MARK):
        raise ImageRefusedError("the image is no VHD: the mark of one is neither at its beginning nor at its end")
    kind, _, disk_size = _read_footer(footer)
    if kind != _KIND_FIXED or disk_size > image - FOOTER_BYTES:
        raise ImageRefusedError("the image is no fixed VHD, or is cut off")
    return disk_size


def _read_footer(footer: bytes) -> tuple[int, int, int]:
    """Kind, size that is said, size that the disk has. Raises ImageRefusedError."""
    fields = _FOOTER.unpack_from(footer)
    version, creator, original, current, cylinders, heads, sectors, kind = (
        fields[2], fields[5], fields[8], fields[9], fields[10], fields[11], fields[12], fields[13],
    )  # fmt: skip
    if version >> 16 != _VERSION >> 16 or not _sum_is_right(footer, _CHECKSUM_AT):
        raise ImageRefusedError("the image is a VHD whose footer is damaged, or of another version than 1")
    geometry = cylinders * heads * sectors
    if creator in _SIZE_SAID_BY or geometry == _GEOMETRY_MAX:
        return kind, original, current // _SECTOR * _SECTOR
    return kind, original, geometry * _SECTOR


def _sum_is_right(data: bytes, at: int) -> bool:
    """One's complement of the sum of all bytes but its own."""
    (said,) = struct.unpack_from(">I", data, at)
    return bool(said == ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF)
