"""qcow2, versions 2 and 3 (QEMU, docs/interop/qcow2.rst)."""

from __future__ import annotations

import struct
from typing import Final

from image_registry.formats.errors import ImageRefusedError, cut_off
from image_registry.formats.plan import TABLE_LOOKED_AT_MAX, WINDOW_MAX, Finding, Part, Plan, Window
from image_registry.formats.tables import check_blocks, numbers

HEADER_BYTES: Final = 512
"""No image is shorter: one cluster."""
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_LATER: Final = struct.Struct(">QQQII")
"""Of version 3: features (incompatible, compatible, that clear themselves), order of reference counts, length."""
_LATER_AT: Final = 72
_HEADER_LENGTHS: Final = {2: 72, 3: 104}
_COMPRESSION_AT: Final = 104

_CORRUPT: Final = 1 << 1
_DATA_FILE: Final = 1 << 2
_COMPRESSION: Final = 1 << 3
_KNOWN: Final = 0b1111
"""Dirty, corrupt, data file, kind of compression. Extended L2 tables (bit 4) stock Glance refuses, too."""

_CLUSTER_BITS: Final = range(9, 22)
_REFCOUNT_ORDER_MAX: Final = 6
_L1_MAX: Final = 32 << 20
_REFCOUNT_TABLE_MAX: Final = 8 << 20
_SNAPSHOTS_MAX: Final = 65536
_SNAPSHOT_BYTES: Final = 40
_OFFSET_BITS: Final = 0x00FF_FFFF_FFFF_FE00

_EXTENSION: Final = struct.Struct(">II")
_END: Final = 0
_EXTENSIONS_MAX: Final = 64
"""Of some ten kinds that there are."""
_EXTENSIONS_REFUSED: Final = {
    0x44415441: "has its data in another file",
    0x0537BE77: "is encrypted",
}


def inspect(head: bytes) -> Plan:
    if len(head) < HEADER_BYTES:
        raise cut_off("its header")
    (_, version, backing, backing_length, bits, size, encryption, l1_entries, l1_at, counts_at, counts, snapshots) = (
        _HEADER.unpack_from(head)[:12]
    )
    snapshots_at = _HEADER.unpack_from(head)[12]
    if version not in _HEADER_LENGTHS:
        raise ImageRefusedError(f"the image is no qcow2 of version 2 or 3, but of {version}")
    if backing or backing_length:
        raise ImageRefusedError(
            "the image has a backing file, which is not read: make it whole first, with 'qemu-img convert' or "
            "'qemu-img rebase -b \"\"', where you trust it"
        )
    if encryption:
        raise ImageRefusedError("the image is encrypted: decrypt it first")
    if bits not in _CLUSTER_BITS:
        raise ImageRefusedError(f"the image has clusters of 2^{bits} bytes, which qcow2 does not have")
    cluster = 1 << bits
    header_length = _check_features(head, version, cluster)
    extensions = head[header_length:cluster]
    if cluster > len(head):
        extensions += yield Window(len(head), min(cluster, WINDOW_MAX) - len(head))
    _check_extensions(extensions)
    _check_entries(size, cluster, l1_entries)
    parts = [
        Part("header", 0, cluster),
        _table("L1 table", l1_at, l1_entries * 8, cluster, _L1_MAX),
        _table("table of reference counts", counts_at, counts * cluster, cluster, _REFCOUNT_TABLE_MAX),
    ]
    if snapshots > _SNAPSHOTS_MAX:
        raise ImageRefusedError(f"the image has {snapshots} snapshots, and may have {_SNAPSHOTS_MAX}")
    if snapshots:
        most = _SNAPSHOTS_MAX * _SNAPSHOT_BYTES
        parts.append(_table("table of snapshots", snapshots_at, snapshots * _SNAPSHOT_BYTES, cluster, most))
    reach = 0
    if 0 < l1_entries * 8 <= TABLE_LOOKED_AT_MAX:
        table = yield Window(l1_at, l1_entries * 8)
        starts = [entry & _OFFSET_BITS for entry in numbers(table, "Q", "big") if entry & _OFFSET_BITS]
        if any(start % cluster for start in starts):
            raise ImageRefusedError("an L2 table of the image does not begin with a cluster")
        reach = check_blocks("L2 tables", starts, cluster, parts)
    return Finding(size, size, tuple(parts), reach)


def _check_features(head: bytes, version: int, cluster: int) -> int:
    """How long the header is."""
    features, _, _, order, length = _LATER.unpack_from(head, _LATER_AT)
    if features & _DATA_FILE:  # of version 2 these bytes are something else, which stock Glance refuses all the same
        raise ImageRefusedError("the image has its data in another file, which is not read: make it whole first")
    if version == 2:
        return _HEADER_LENGTHS[version]
    if features & ~_KNOWN:
        raise ImageRefusedError("the image has features that are not known here (incompatible feature bits)")
    if features & _CORRUPT:
        raise ImageRefusedError("the image is marked as corrupt: repair it first, with 'qemu-img check -r all'")
    if order > _REFCOUNT_ORDER_MAX:
        raise ImageRefusedError("the image has reference counts of more than 64 bits")
    if not _HEADER_LENGTHS[version] <= length <= cluster:
        raise ImageRefusedError(f"the image has a header of {length} bytes, which cannot be")
    kind = head[_COMPRESSION_AT] if length > _COMPRESSION_AT else 0
    if kind > 1 or bool(kind) != bool(features & _COMPRESSION):
        raise ImageRefusedError("the image is compressed in a way that is not known here")
    return int(length)


def _check_extensions(data: bytes) -> None:
    """Of the header, up to the end mark or the end of the first cluster."""
    at = 0
    for _ in range(_EXTENSIONS_MAX):
        if at + _EXTENSION.size > len(data):
            break
        kind, length = _EXTENSION.unpack_from(data, at)
        if kind == _END:
            return
        if kind in _EXTENSIONS_REFUSED:
            raise ImageRefusedError(f"the image {_EXTENSIONS_REFUSED[kind]}, by an extension of its header")
        at += _EXTENSION.size + -(-length // 8) * 8
    else:
        raise ImageRefusedError(f"the image's header has more than {_EXTENSIONS_MAX} extensions")
    if at > len(data):
        raise ImageRefusedError("an extension of the image's header is longer than the first cluster")


def _check_entries(size: int, cluster: int, l1_entries: int) -> None:
    """The L1 table has room for the whole disk: QEMU opens no other."""
    covered = cluster * (cluster // 8)
    if l1_entries * covered < size:
        raise ImageRefusedError("the image's L1 table is too small for its disk")


def _table(name: str, offset: int, length: int, cluster: int, most: int) -> Part:
    if length > most:
        raise ImageRefusedError(f"the image's {name} has {length} bytes, and may have {most}")
    if length and (offset % cluster or not offset):
        raise ImageRefusedError(f"the image's {name} does not begin with a cluster")
    return Part(name, offset, length)
