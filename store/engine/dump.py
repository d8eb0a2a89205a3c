"""Dumping a device: what is in its segments, for people, read from the log alone, without the index.

Public: for the owner of devices.
"""

from __future__ import annotations

from collections.abc import Iterator

from store.core.disk import SystemDisk
from store.core.errors import DamageError
from store.device.block import decode_meta as decode_block
from store.device.block import decode_target
from store.device.data_fence import decode_meta as decode_fence
from store.device.promise import decode_meta as decode_promise
from store.device.record import BULK_ALIGN, LOG_ALIGN, Kind
from store.device.row import FLAG_NAMES, decode_meta
from store.engine.committer import decode_previous
from store.engine.folder import find_superblock
from store.engine.recovery import Found, Reader
from store.engine.segment import HEADER_BYTES, SegmentKind, Segments

_NAMES = {int(kind): kind.name.lower() for kind in Kind}
KIND_NAMES = tuple(_NAMES.values())


def dump_folder(path: str, kind: str | None = None) -> Iterator[str]:
    """A line for each record, or each of one kind, and for each stretch that holds none. Blocks. Raises DeviceError
    where there is no device, BlockingIOError where another process has it."""
    superblock = find_superblock(path)
    disk = SystemDisk(path)
    yield (
        f"device {superblock.device} of cluster {superblock.cluster.hex()}, in sync={superblock.in_sync}, "
        f"incarnation={superblock.incarnation.hex()}, enforced={superblock.enforced}"
    )
    segments = Segments(disk, superblock.device)
    for segment, its_kind in sorted(segments.kinds.items()):
        align = LOG_ALIGN if its_kind is SegmentKind.LOG else BULK_ALIGN
        reader = Reader(segments.file(segment), segment, align)
        yield f"segment {segment:016x} ({its_kind.name.lower()}, {reader.size} bytes)"
        offset = HEADER_BYTES
        while (found := reader.record(offset) or reader.next(offset, reader.size)) is not None:
            if found.location.offset != offset:
                yield f"  {offset}: {found.location.offset - offset} bytes hold no record"
            offset = found.location.offset + found.location.length
            if kind is None or _name(found.header.kind) == kind:
                yield "  " + _describe(found)
    disk.close()


def _describe(found: Found) -> str:
    try:
        return _describe_known(found)
    except DamageError as error:
        return f"{found.location.offset}: {_name(found.header.kind)}: {error}"


def _describe_known(found: Found) -> str:
    header, location = found.header, found.location
    front = f"{location.offset}: seq {header.seq}, {location.length} bytes, "
    match header.kind:
        case Kind.ROW:
            row = decode_meta(found.meta, found.payload)
            flags = ", ".join(name for bit, name in FLAG_NAMES.items() if row.flags & bit) or "-"
            stamp = f"{row.stamp.time_us}.{row.stamp.writer}"
            return (
                f"{front}row {row.key.table.hex()}/{row.key.shard} {row.key.name!r} at {stamp} {flags} {row.size} bytes"
            )
        case Kind.PROMISE:
            promised = decode_promise(found.meta)
            where = f"{promised.key.table.hex()}/{promised.key.shard} {promised.key.name!r}"
            return f"{front}promise of {where} below {promised.stamp.time_us}.{promised.stamp.writer}"
        case Kind.FENCE:
            fence = decode_fence(found.meta)
            return f"{front}fence of {fence.data_id.hex()} below epoch {fence.epoch}, the first at {fence.first}"
        case Kind.BLOCK:
            key, owner = decode_block(found.meta)
            return f"{front}block {key.block}/{key.fragment} of {key.data_id.hex()} for {owner.name!r}"
        case Kind.REFERENCE:
            key, owner = decode_block(found.meta)
            at = decode_target(found.meta).location
            return (
                f"{front}block {key.block}/{key.fragment} of {key.data_id.hex()} for {owner.name!r}, "
                f"the payload at {at.offset} of segment {at.segment:016x}"
            )
        case Kind.PREVIOUS_SEGMENT:
            previous = decode_previous(found.meta)
            return f"{front}segment {previous.segment:016x} before this ends at {previous.end}, seq {previous.seq}"
    return f"{front}{_name(header.kind)}"


def _name(kind: int) -> str:
    return _NAMES.get(kind, f"kind {kind}, which is not known here")
