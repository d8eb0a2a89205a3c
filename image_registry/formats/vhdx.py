"""VHDX (Microsoft, MS-VHDX)."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from image_registry.formats.errors import ImageRefusedError, cut_off
from image_registry.formats.plan import Finding, Part, Plan, Window

_KIB: Final = 1024
_MIB: Final = 1 << 20
_HEADERS_AT: Final = (64 * _KIB, 128 * _KIB)
_HEADER: Final = struct.Struct("<4sIQ16s16s16sHHIQ")
"""Mark, checksum, sequence number, three UUIDs (the last is that of the log), versions of log and format, length and
place of the log."""
_TABLES_AT: Final = (192 * _KIB, 256 * _KIB)
_TABLE_BYTES: Final = 64 * _KIB
_TABLE: Final = struct.Struct("<4sIII")
_ENTRY: Final = struct.Struct("<16sQII")
_ENTRIES_MAX: Final = 2047
_BLOCKS_REGION: Final = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
_METADATA_REGION: Final = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
_METADATA: Final = struct.Struct("<8sHH20s")
_ITEM: Final = struct.Struct("<16sIIII")
_ITEM_REQUIRED: Final = 1 << 2
_PARAMETERS: Final = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
_DISK_SIZE: Final = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
_SECTOR_SIZE: Final = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F").bytes_le
_PHYSICAL_SECTOR_SIZE: Final = UUID("CDA348C7-445D-4471-9CC9-E9885251C556").bytes_le
_DISK_ID: Final = UUID("BECA12AB-B2E6-4523-93EF-C309E000C746").bytes_le
_LENGTHS: Final = {_PARAMETERS: 8, _DISK_SIZE: 8, _SECTOR_SIZE: 4, _PHYSICAL_SECTOR_SIZE: 4, _DISK_ID: 16}
"""Of the items that a disk without a parent has. That of a parent (its locator) is not among them."""
_HAS_PARENT: Final = 1 << 1
_BLOCK_MIN: Final = _MIB
_BLOCK_MAX: Final = 256 * _MIB
_SIZE_MAX: Final = 64 << 40
_REGION_MAX: Final = 1 << 40


class _Regions(NamedTuple):
    blocks: Part
    metadata: Part


def inspect(head: bytes) -> Plan:
    first_header = yield Window(_HEADERS_AT[0], _HEADER.size)
    second_header = yield Window(_HEADERS_AT[1], _HEADER.size)
    log = _check_headers([first_header, second_header])
    first_table = yield Window(_TABLES_AT[0], _TABLE_BYTES)
    second_table = yield Window(_TABLES_AT[1], _TABLE_BYTES)
    regions = _read_regions(first_table, second_table)
    metadata = yield Window(regions.metadata.offset, _TABLE_BYTES)
    places = _read_items(metadata, regions.metadata)
    values = {}
    for kind, place in sorted(places.items(), key=lambda item: item[1].offset):
        values[kind] = yield place
        if len(values[kind]) < place.length:
            raise cut_off("its metadata")
    size = _read_values(values)
    parts = (Part("headers", 0, _MIB), *regions, *([log] if log.length else []))
    return Finding(size, size, parts)


def _check_headers(headers: list[bytes]) -> Part:
    """Of the two the one with the higher number counts. Its log is empty: what is in a log would change all else."""
    found = []
    for data in headers:
        if len(data) < _HEADER.size:
            raise cut_off("its headers")
        mark, _, number, _, _, log, _, version, length, offset = _HEADER.unpack(data)
        if mark == b"head":
            found.append((number, version, log, Part("log", offset, length)))
    if not found:
        raise ImageRefusedError("the image is a VHDX without a header")
    _, version, log, place = max(found, key=lambda each: each[0])
    if version != 1:
        raise ImageRefusedError(f"the image is a VHDX of version {version}, not 1")
    if any(log):
        raise ImageRefusedError("the image is a VHDX that was not closed: open and close it first, where it was made")
    return place


def _read_regions(table: bytes, copy: bytes) -> _Regions:
    """The second table is a copy of the first: which of them a program goes by makes no difference."""
    if len(copy) < _TABLE_BYTES:
        raise cut_off("its table of regions")
    mark, _, count, _ = _TABLE.unpack_from(table)
    if mark != b"regi" or count > _ENTRIES_MAX:
        raise ImageRefusedError("the image is a VHDX whose table of regions is damaged")
    if table != copy:
        raise ImageRefusedError("the image is a VHDX with two tables of regions that differ")
    found: dict[bytes, Part] = {}
    for number in range(count):
        kind, offset, length, _ = _ENTRY.unpack_from(table, _TABLE.size + number * _ENTRY.size)
        if kind not in (_BLOCKS_REGION, _METADATA_REGION) or kind in found:
            raise ImageRefusedError("the image is a VHDX with a region that is not known here, or there twice")
        if offset < _MIB or offset % _MIB or not length or length % _MIB or length > _REGION_MAX:
            raise ImageRefusedError("the image is a VHDX with a region at no place for one")
        found[kind] = Part("table of blocks" if kind == _BLOCKS_REGION else "metadata", offset, length)
    if len(found) < len(_Regions._fields):
        raise ImageRefusedError("the image is a VHDX without metadata or table of blocks")
    return _Regions(found[_BLOCKS_REGION], found[_METADATA_REGION])


def _read_items(data: bytes, region: Part) -> dict[bytes, Window]:
    """Where each item of the metadata is in the image."""
    if len(data) < _TABLE_BYTES:
        raise cut_off("its metadata")
    mark, _, count, _ = _METADATA.unpack_from(data)
    if mark != b"metadata" or count > _ENTRIES_MAX:
        raise ImageRefusedError("the image is a VHDX whose metadata are damaged")
    found: dict[bytes, Window] = {}
    for number in range(count):
        kind, offset, length, flags, _ = _ITEM.unpack_from(data, _METADATA.size + number * _ITEM.size)
        if kind not in _LENGTHS:
            if flags & _ITEM_REQUIRED:
                raise ImageRefusedError("the image is a VHDX that has a parent, or needs what is not known here")
            continue
        if kind in found or length != _LENGTHS[kind] or not _TABLE_BYTES <= offset <= region.length - length:
            raise ImageRefusedError("the image is a VHDX with metadata at no place for them")
        found[kind] = Window(region.offset + offset, length)
    if not found.keys() >= {_PARAMETERS, _DISK_SIZE, _SECTOR_SIZE}:
        raise ImageRefusedError("the image is a VHDX that does not say how large its disk is")
    if any(one.offset + one.length > other.offset for one, other in pairwise(sorted(found.values()))):
        raise ImageRefusedError("the image is a VHDX whose metadata overlap")
    return found


def _read_values(values: dict[bytes, bytes]) -> int:
    """Bytes of the disk."""
    block, flags = struct.unpack("<II", values[_PARAMETERS])
    if flags & _HAS_PARENT:
        raise ImageRefusedError("the image is a VHDX that has a parent: make it whole first")
    if not _BLOCK_MIN <= block <= _BLOCK_MAX or block & (block - 1):
        raise ImageRefusedError(f"the image is a VHDX with blocks of {block} bytes, which cannot be")
    (sector,) = struct.unpack("<I", values[_SECTOR_SIZE])
    (size,) = struct.unpack("<Q", values[_DISK_SIZE])
    if sector not in (512, 4096) or size % sector or size > _SIZE_MAX:
        raise ImageRefusedError("the image is a VHDX with a disk of a size that cannot be")
    return int(size)
