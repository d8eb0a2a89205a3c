"""Writes the samples. Run by hand when a format gets a new version, which gets a new file: old ones are never changed.

python -m tests.formats.make_samples
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgpack

from drystone.cluster import Cluster
from drystone.device_copies import RingCopy, encode_cluster, encode_ring
from drystone.device_records import RECORD_CODEC, DeviceRecord
from drystone.join_tokens import TOKEN_CODEC, TokenRecord
from drystone.node_records import AUTHORITY_CODEC, LIFE_CODEC, NODE_CODEC, Life, NodeRecord, State
from store.core.direct import Buffer
from store.core.stamp import Stamp
from store.device import block
from store.device.data_fence import DataFence, IndexFence, seal_fence
from store.device.data_fence import encode_value as encode_fence_value
from store.device.data_fence import index_key as fence_key
from store.device.promise import IndexPromise, Promise
from store.device.promise import encode_meta as encode_promise
from store.device.promise import encode_value as encode_promise_value
from store.device.promise import index_key as promise_key
from store.device.record import BULK_ALIGN, LOG_ALIGN, Kind, Sealed, lay_out, seal
from store.device.row import (
    Flag,
    Location,
    Origin,
    Row,
    RowKey,
    decode_value,
    encode_meta,
    encode_value,
    index_key,
    retired_note,
    value_of,
)
from store.engine.committer import PreviousSegment, encode_previous
from store.engine.segment import HEADER_BYTES, SegmentKind, encode_header
from store.engine.superblock import Superblock, encode_superblock
from store.objects.model import ObjectHead, Policy
from store.objects.rowcodec import DataLocation, TableSummary, encode_headers, encode_object, encode_table
from store.ring import Builder, Ring
from store.wire.authority import Identity

SAMPLES = Path(__file__).parent / "samples"
TABLE = bytes(range(16))
DATA_ID = bytes(range(16, 32))
LINK_ID = DATA_ID[:8] + bytes(range(32, 40))
STAMP = Stamp(1_700_000_000_000_001, 77)
LATER = Stamp(1_700_000_000_000_002, 77)
LATEST = Stamp(1_700_000_000_000_009, 77)
SMALL = b"dry stone " * 30
LARGE = bytes(range(256)) * 300  # more than one checksum


def rows() -> list[Row]:
    """A small object, a large one that expires, a container, a tombstone, an abort mark, and a name of 1,024 bytes."""
    head = ObjectHead("text/plain", {"x-object-meta-color": "grey"}, {"slo_etag": "abc"}, None)
    summary, detail = encode_object("00112233445566778899aabbccddeeff", head, None, None)
    expiring = ObjectHead("image/png", {}, {}, 2_000_000_000)
    data_location = DataLocation(1024 * 1024, 4, 2, "zfec", (3, 1, 4, 5, 9, 2))
    far, far_detail = encode_object("ffeeddccbbaa99887766554433221100", expiring, STAMP, data_location)
    table = encode_table(TableSummary(DATA_ID, 4, STAMP), LATER)
    return [
        Row(RowKey(7, TABLE, 2, b"small"), STAMP, 0, 0, len(SMALL), 0, b"", summary, detail, SMALL),
        Row(
            RowKey(7, TABLE, 2, "größer".encode()),
            LATER,
            Flag.DATA | Flag.EXPIRES | Flag.GUARD,
            1,
            5_000_000,
            2_000_000_000,
            DATA_ID,
            far,
            far_detail,
            b"",
        ),
        Row(RowKey(9, TABLE, 0, b"photos"), LATER, 0, 1, 0, 0, b"", table, encode_headers({"x-read": ".r:*"}), b""),
        Row(RowKey(7, TABLE, 2, b"gone"), LATER, Flag.TOMBSTONE, 0, 0, 0, b"", b"", b"", b""),
        Row(RowKey(7, TABLE, 2, b"\0u" + DATA_ID), STAMP, Flag.ABORT, 0, 0, 0, b"", b"lost", b"", b""),
        Row(RowKey(7, TABLE, 2, b"n" * 1024), STAMP, 0, 0, len(SMALL), 0, b"", summary, detail, SMALL),
    ]


def conditional_rows() -> list[Row]:
    """An object that was written under a condition, the tombstone of another, and one that has all there is."""
    small, large, *_, long = rows()
    origin = Origin(STAMP.pack(), LATER.pack(), STAMP.pack())
    return [
        small._replace(stamp=LATEST, origin=origin),
        Row(RowKey(7, TABLE, 2, b"gone too"), LATEST, Flag.TOMBSTONE, 0, 0, 0, b"", b"", b"", b"", origin),
        large._replace(key=long.key, stamp=LATEST, origin=origin._replace(base=STAMP.pack())),
    ]


def lengths_rows() -> list[Row]:
    """Data whose blocks have each their own length: open, and as they were sealed."""
    head = ObjectHead("t", {}, {}, None)
    found = []
    for stamp, size, lengths in ((STAMP, 0, ()), (LATER, 7 * 4096, (2, 4, 1))):
        data_location = DataLocation(4096, 0, 0, "", (3, 1, 4), lengths)
        summary, detail = encode_object("00112233445566778899aabbccddeeff", head, None, data_location)
        key = RowKey(7, TABLE, 2, b"frames")
        found.append(Row(key, stamp, Flag.DATA, 0, size, 0, DATA_ID, summary, detail, b""))
    return found


def promise() -> Promise:
    return Promise(RowKey(7, TABLE, 2, b"small"), Stamp(LATEST.time_us + 1, 78))


def segment(kind: SegmentKind, number: int, records: list[Sealed]) -> tuple[bytes, list[Location]]:
    """The bytes of a segment, and where its records lie."""
    align = LOG_ALIGN if kind is SegmentKind.LOG else BULK_ALIGN
    parts: list[Buffer] = [encode_header(kind, 3, number)]
    places = []
    offset = HEADER_BYTES
    for seq, sealed in enumerate(records, 1):
        buffers, length, _ = lay_out(sealed, seq=seq, durable=seq - 1, segment=number, offset=offset, align=align)
        parts += buffers
        places.append(Location(number, offset, length))
        offset += length
    return b"".join(parts), places


def log_segment() -> tuple[bytes, list[Location]]:
    sealed = [encode_previous(PreviousSegment(4, 8192, 0))]
    sealed += [seal(Kind.ROW, encode_meta(row), row.payload) for row in rows()]
    return segment(SegmentKind.LOG, 5, sealed)


def ballot_segment() -> tuple[bytes, list[Location]]:
    sealed = [encode_previous(PreviousSegment(5, 8192, 7))]
    sealed += [seal(Kind.ROW, encode_meta(row), row.payload) for row in conditional_rows()]
    sealed.append(seal(Kind.PROMISE, encode_promise(promise())))
    return segment(SegmentKind.LOG, 9, sealed)


def ballot_entries() -> list[tuple[bytes, bytes]]:
    _, (_, *places, given) = ballot_segment()
    entries = [
        (index_key(row.key), encode_value(index_key(row.key), value_of(row), place))
        for row, place in zip(conditional_rows(), places, strict=True)
    ]
    packed = promise_key(index_key(promise().key))
    entries.append((packed, encode_promise_value(packed, IndexPromise(promise().stamp.pack(), given))))
    packed, value = entries[1]
    entries.append((b"f" + packed, retired_note(decode_value(packed, value))))
    return entries


def lengths_segment() -> tuple[bytes, list[Location]]:
    sealed = [encode_previous(PreviousSegment(9, 8192, 5))]
    sealed += [seal(Kind.ROW, encode_meta(row), row.payload) for row in lengths_rows()]
    return segment(SegmentKind.LOG, 10, sealed)


def fence() -> DataFence:
    return DataFence(DATA_ID, 9, 5)


def fence_segment() -> tuple[bytes, list[Location]]:
    return segment(SegmentKind.LOG, 10, [encode_previous(PreviousSegment(9, 8192, 12)), seal_fence(fence())])


def fence_entries() -> list[tuple[bytes, bytes]]:
    _, (_, place) = fence_segment()
    packed = fence_key(DATA_ID)
    return [(packed, encode_fence_value(packed, IndexFence(fence().epoch, fence().first, place)))]


def bulk_segment() -> tuple[bytes, list[Location]]:
    key = block.BlockKey(DATA_ID, 1, 4)
    meta = block.encode_meta(key, RowKey(7, TABLE, 2, "größer".encode()))
    return segment(SegmentKind.BULK, 6, [seal(Kind.BLOCK, meta, LARGE)])


def link_segment() -> tuple[bytes, list[Location]]:
    """A reference to the block of `bulk_segment`."""
    key = block.BlockKey(LINK_ID, 1, 4)
    meta = block.encode_reference(key, RowKey(7, TABLE, 2, b"copy"), _target())
    return segment(SegmentKind.BULK, 8, [seal(Kind.REFERENCE, meta)])


def link_entries() -> list[tuple[bytes, bytes]]:
    _, (own,) = link_segment()
    target = _target()
    packed, references = block.index_key(block.BlockKey(LINK_ID, 1, 4)), block.references_key(target.location)
    return [
        (packed, block.encode_value(packed, target._replace(reference=own))),
        (references, block.encode_references(references, 2)),
    ]


def superblock() -> Superblock:
    return Superblock(bytes(range(32, 48)), 3, False, bytes(range(48, 64)), 7)


def cluster() -> Cluster:
    policies = (
        Policy(0, "standard", replicas=3, default=True),
        Policy(1, "archive", replicas=0, k=4, m=2, codec="zfec"),
    )
    return Cluster(bytes(range(64, 80)), bytes(range(80, 96)), policies)


def ring_copy(*, collected: bool = False) -> RingCopy:
    """Two live layouts of a small ring; where it has `collected` tombstones, its progress is of version 3."""
    builder = Builder(part_power=2)
    for number in range(3):
        builder.add(1, 1, "m", 1.0, f"devices/{number}")
    ring = Ring(cluster().key, (builder.rebalance(0),))
    builder = Builder(ring.newest)
    builder.set_weight(2, 2.0)
    records = {
        0: DeviceRecord(bytes(range(96, 112)), in_sync=True, label="devices/0"),
        1: DeviceRecord(b"", in_sync=False, label="/mnt/disk1"),
    }
    ring = ring.publish(builder.rebalance(0)).mark_synced(2, 1)
    return RingCopy(7, ring.collect() if collected else ring, records)


def device_record() -> DeviceRecord:
    return replace(ring_copy().records[0], node="n1")


def opened_record() -> DeviceRecord:
    return replace(device_record(), opening=bytes(range(128, 144)))


def node_record() -> NodeRecord:
    return NodeRecord("10.0.0.1:7400", 1, 2, "m1", State.MEMBER, "5f" * 20, STAMP.time_us)


def _target() -> block.IndexBlock:
    _, (ring_hash,) = bulk_segment()
    return block.IndexBlock(ring_hash, 4096, len(LARGE))


def index_entries() -> list[tuple[bytes, bytes]]:
    _, places = log_segment()
    entries = [
        (index_key(row.key), encode_value(index_key(row.key), value_of(row), ring_hash))
        for row, ring_hash in zip(rows(), places[1:], strict=True)
    ]
    packed = block.index_key(block.BlockKey(DATA_ID, 1, 4))
    entries.append((packed, block.encode_value(packed, _target())))
    return entries


def main() -> None:
    SAMPLES.mkdir(exist_ok=True)
    (SAMPLES / "log-segment-1.bin").write_bytes(log_segment()[0])
    (SAMPLES / "bulk-segment-1.bin").write_bytes(bulk_segment()[0])
    (SAMPLES / "link-segment-1.bin").write_bytes(link_segment()[0])
    (SAMPLES / "link-index-1.bin").write_bytes(msgpack.packb(link_entries()))
    (SAMPLES / "log-segment-2.bin").write_bytes(ballot_segment()[0])
    (SAMPLES / "log-segment-3.bin").write_bytes(lengths_segment()[0])
    (SAMPLES / "index-3.bin").write_bytes(msgpack.packb(ballot_entries()))
    (SAMPLES / "fence-segment-1.bin").write_bytes(fence_segment()[0])
    (SAMPLES / "fence-index-1.bin").write_bytes(msgpack.packb(fence_entries()))
    (SAMPLES / "superblock-2.bin").write_bytes(encode_superblock(superblock()))
    (SAMPLES / "superblock-3.bin").write_bytes(encode_superblock(superblock()._replace(has_ballots=True)))
    (SAMPLES / "cluster-copy-1.bin").write_bytes(encode_cluster(cluster()))
    (SAMPLES / "ring-copy-2.bin").write_bytes(encode_ring(ring_copy(collected=True)))
    (SAMPLES / "device-record-2.bin").write_bytes(RECORD_CODEC.encode(device_record()))
    (SAMPLES / "device-record-2-opened.bin").write_bytes(RECORD_CODEC.encode(opened_record()))
    (SAMPLES / "node-record-1.bin").write_bytes(NODE_CODEC.encode(node_record()))
    (SAMPLES / "life-1.bin").write_bytes(LIFE_CODEC.encode(Life(bytes(range(112, 128)), "0.1.0")))
    (SAMPLES / "token-1.bin").write_bytes(TOKEN_CODEC.encode(TokenRecord("n2")))
    (SAMPLES / "authority-1.bin").write_bytes(AUTHORITY_CODEC.encode(Identity(b"certificate", b"key")))
    (SAMPLES / "index-2.bin").write_bytes(msgpack.packb(index_entries()))


if __name__ == "__main__":
    main()
