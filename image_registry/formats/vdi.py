"""VDI, of VirtualBox (QEMU's block/vdi.c)."""

from __future__ import annotations

import struct
from typing import Final

from image_registry.formats.errors import ImageRefusedError, cut_off
from image_registry.formats.plan import TABLE_LOOKED_AT_MAX, Finding, Part, Plan, Window
from image_registry.formats.tables import check_blocks, numbers

_HEADER_BYTES: Final = 512
_START: Final = struct.Struct("<III")
"""Version, header size, kind."""
_START_AT: Final = 0x44
_TABLES: Final = struct.Struct("<II")
"""Where the map of blocks is, and where the blocks are."""
_TABLES_AT: Final = 0x154
_SECTOR_SIZE_AT: Final = 0x168
_SIZES: Final = struct.Struct("<QIIII")
"""Of the disk, of a block, of what is extra to a block; how many blocks, and how many have a place."""
_SIZES_AT: Final = 0x170
_LINKS_AT: Final = 0x1A8
_LINKS_BYTES: Final = 32
"""UUIDs of the image before and of the parent."""

_VERSION: Final = 0x00010001
_DYNAMIC: Final = 1
_STATIC: Final = 2
_BLOCK: Final = 1 << 20
_SECTOR: Final = 512
_BLOCKS_MAX: Final = 0x3FFFFFFF // 4
_NO_PLACE: Final = 0xFFFFFFFE
"""From here on: zeros, or nothing."""


def inspect(head: bytes) -> Plan:
    if len(head) < _HEADER_BYTES:
        raise cut_off("its header")
    version, _, kind = _START.unpack_from(head, _START_AT)
    map_at, data_at = _TABLES.unpack_from(head, _TABLES_AT)
    (sector,) = struct.unpack_from("<I", head, _SECTOR_SIZE_AT)
    size, block, extra, blocks, placed = _SIZES.unpack_from(head, _SIZES_AT)
    if version != _VERSION:
        raise ImageRefusedError(f"the image is a VDI of version {version >> 16}.{version & 0xFFFF}, not 1.1")
    if any(head[_LINKS_AT : _LINKS_AT + _LINKS_BYTES]):
        raise ImageRefusedError("the image is a VDI that has a parent: it has its data in other files")
    if kind not in (_DYNAMIC, _STATIC):
        raise ImageRefusedError("the image is a VDI that is neither dynamic nor static: it needs other files")
    if block != _BLOCK or extra or sector != _SECTOR:
        raise ImageRefusedError("the image is a VDI whose blocks are not of 1 MiB, or sectors not of 512 bytes")
    if blocks > _BLOCKS_MAX or size > blocks * _BLOCK or placed > blocks:
        raise ImageRefusedError("the image is a VDI with a map that does not fit its disk")
    if map_at < _HEADER_BYTES or map_at % _SECTOR or data_at % _SECTOR:
        raise ImageRefusedError("the image is a VDI whose map or blocks do not begin with a sector")
    parts = (Part("header", 0, _HEADER_BYTES), Part("map of blocks", map_at, blocks * 4))
    if 0 < blocks * 4 <= TABLE_LOOKED_AT_MAX:
        table = yield Window(map_at, blocks * 4)
        entries = [entry for entry in numbers(table, "I", "little") if entry < _NO_PLACE]
        if any(entry >= placed for entry in entries):
            raise ImageRefusedError("a block of the image is beyond those that it says it has")
        check_blocks("blocks", [data_at + entry * _BLOCK for entry in entries], _BLOCK, parts)
    return Finding(size, size, parts, data_at + placed * _BLOCK if placed else 0)
