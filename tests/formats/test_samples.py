"""Samples of every stored format are read as what they were, and still written byte for byte."""

from __future__ import annotations

import msgpack
import pytest

from drystone.device_copies import decode_cluster, decode_ring, encode_cluster, encode_ring
from drystone.device_records import RECORD_CODEC
from drystone.join_tokens import TOKEN_CODEC, TokenRecord
from drystone.node_records import AUTHORITY_CODEC, LIFE_CODEC, NODE_CODEC, Life
from store.core.direct import Buffer
from store.core.errors import DamageError
from store.core.stamp import Stamp
from store.device import block
from store.device.data_fence import decode_meta as decode_fence
from store.device.data_fence import decode_value as decode_fence_value
from store.device.promise import decode_meta as decode_promise
from store.device.promise import decode_value as decode_promise_value
from store.device.record import BULK_ALIGN, LOG_ALIGN, Kind
from store.device.row import RowKey, decode_meta, decode_value, index_key, retired_value, verify_value
from store.engine.committer import PreviousSegment, decode_previous
from store.engine.recovery import Found, Reader
from store.engine.segment import HEADER_BYTES, SegmentKind, check_header
from store.engine.superblock import decode_superblock, encode_superblock
from store.objects.rowcodec import decode_headers, decode_object, decode_table
from store.ring import LAYOUT_CODEC
from store.wire.authority import Identity
from tests.formats import make_samples as samples


class SampleFile:
    """A file that is only read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    read_cached = read

    def size(self) -> int:
        return len(self._data)

    def write(self, offset: int, buffers: list[Buffer]) -> None:
        raise AssertionError("samples are never written")

    def sync(self) -> None: ...

    def allocate(self, length: int) -> None: ...

    def punch(self, offset: int, length: int) -> None: ...


def records(name: str, segment: int, align: int) -> list[Found]:
    reader = Reader(SampleFile((samples.SAMPLES / name).read_bytes()), segment, align)  # type: ignore[arg-type]
    found = []
    offset = HEADER_BYTES
    while (record := reader.record(offset)) is not None:
        found.append(record)
        offset = record.location.offset + record.location.length
    return found


def test_log_segment_version_1() -> None:
    previous, *rest = records("log-segment-1.bin", 5, LOG_ALIGN)
    assert previous.header.kind == Kind.PREVIOUS_SEGMENT
    assert decode_previous(previous.meta) == PreviousSegment(4, 8192, 0)
    assert [record.header.seq for record in rest] == [2, 3, 4, 5, 6, 7]
    rows = [decode_meta(record.meta, bytes(record.payload)) for record in rest]
    assert rows == samples.rows()
    small, large, container, *_ = rows
    summary = decode_object(small.summary, small.stamp)
    assert (summary.etag, summary.content_type) == ("00112233445566778899aabbccddeeff", "text/plain")
    assert summary.created == small.stamp == Stamp(1_700_000_000_000_001, 77)
    assert summary.listing == {"slo_etag": "abc"}
    assert decode_headers(small.detail) == {"x-object-meta-color": "grey"}
    data_location = decode_object(large.summary, large.stamp).data_location
    assert data_location is not None
    assert (data_location.k, data_location.m, data_location.codec, data_location.devices) == (
        4,
        2,
        "zfec",
        (3, 1, 4, 5, 9, 2),
    )
    assert decode_table(container.summary, container.stamp).shards == 4


def test_log_segment_with_promises_and_rows_that_are_not_plain() -> None:
    _, *rest, promise = records("log-segment-2.bin", 9, LOG_ALIGN)
    assert [decode_meta(record.meta, bytes(record.payload)) for record in rest] == samples.conditional_rows()
    assert [msgpack.unpackb(record.meta)[0] for record in rest] == [2, 2, 2]
    assert promise.header.kind == Kind.PROMISE
    assert decode_promise(promise.meta) == samples.promise()
    entries = msgpack.unpackb((samples.SAMPLES / "index-3.bin").read_bytes())
    for (key, value), row, record in zip(entries[:3], samples.conditional_rows(), rest, strict=True):
        verify_value(key, value)
        found = decode_value(key, value)
        assert (key, found.location) == (index_key(row.key), record.location)
        assert (found.name, found.origin, found.summary, found.expires) == (
            row.key.name,
            row.origin,
            row.summary,
            row.expires,
        )
        assert found.root == samples.STAMP.pack()
    key, value = entries[3]
    assert key[1:] == index_key(samples.promise().key)
    assert decode_promise_value(key, value) == (samples.promise().stamp.pack(), promise.location)
    key, note = entries[4]
    retired = decode_value(key[1:], retired_value(key[1:], note))
    assert (retired.live, retired.stamp, retired.origin) == (
        False,
        samples.LATEST.pack(),
        samples.conditional_rows()[1].origin,
    )


def test_rows_that_say_the_length_of_each_block() -> None:
    _, *rest = records("log-segment-3.bin", 10, LOG_ALIGN)
    rows = [decode_meta(record.meta, bytes(record.payload)) for record in rest]
    assert rows == samples.lengths_rows()
    locations = [decode_object(row.summary, row.stamp).data_location for row in rows]
    assert [(each.block_bytes, each.devices, each.lengths) for each in locations if each is not None] == [
        (4096, (3, 1, 4), ()),
        (4096, (3, 1, 4), (2, 4, 1)),
    ]
    assert (samples.SAMPLES / "log-segment-3.bin").read_bytes() == samples.lengths_segment()[0]


def test_fences_version_1() -> None:
    _, record = records("fence-segment-1.bin", 10, LOG_ALIGN)
    assert (record.header.kind, len(record.payload)) == (Kind.FENCE, 0)
    assert decode_fence(record.meta) == samples.fence() == (samples.DATA_ID, 9, 5)
    ((key, value),) = msgpack.unpackb((samples.SAMPLES / "fence-index-1.bin").read_bytes())
    assert key == b"z" + samples.DATA_ID
    assert decode_fence_value(key, value) == (9, 5, record.location)


def test_bulk_segment_version_1() -> None:
    (record,) = records("bulk-segment-1.bin", 6, BULK_ALIGN)
    assert record.header.kind == Kind.BLOCK
    key, owner = block.decode_meta(record.meta)
    assert key == block.BlockKey(samples.DATA_ID, 1, 4)
    assert owner == RowKey(7, samples.TABLE, 2, "größer".encode())
    assert bytes(record.payload) == samples.LARGE
    assert record.header.payload_at % BULK_ALIGN == 0


def test_links_version_1() -> None:
    (record,) = records("link-segment-1.bin", 8, BULK_ALIGN)
    assert (record.header.kind, record.location.length, len(record.payload)) == (Kind.REFERENCE, BULK_ALIGN, 0)
    key, owner = block.decode_meta(record.meta)
    assert (key, owner) == (block.BlockKey(samples.LINK_ID, 1, 4), RowKey(7, samples.TABLE, 2, b"copy"))
    target = block.decode_target(record.meta)
    (payload,) = records("bulk-segment-1.bin", 6, BULK_ALIGN)
    assert target == block.IndexBlock(payload.location, payload.header.payload_at, len(samples.LARGE))
    (packed, value), (references, count) = msgpack.unpackb((samples.SAMPLES / "link-index-1.bin").read_bytes())
    assert block.parse_key(packed) == key
    assert block.decode_value(packed, value) == target._replace(reference=record.location)
    assert block.decode_references(references, count) == 2
    assert references == block.references_key(payload.location)


def test_segment_headers_version_1() -> None:
    check_header((samples.SAMPLES / "log-segment-1.bin").read_bytes()[:HEADER_BYTES], SegmentKind.LOG, 3, 5)
    check_header((samples.SAMPLES / "bulk-segment-1.bin").read_bytes()[:HEADER_BYTES], SegmentKind.BULK, 3, 6)


@pytest.mark.parametrize("name", ["index-1.bin", "index-2.bin"])
def test_index_entries(name: str) -> None:
    """Those of version 1 have no details; in version 2 the small ones are there."""
    entries = msgpack.unpackb((samples.SAMPLES / name).read_bytes())
    for (key, value), row in zip(entries, samples.rows(), strict=False):
        verify_value(key, value)
        found = decode_value(key, value)
        assert key == index_key(row.key)
        assert (found.name, found.stamp, found.size, found.expires) == (
            row.key.name,
            row.stamp.pack(),
            row.size,
            row.expires,
        )
        assert (found.data_id, found.summary) == (row.data_id, row.summary)
        assert found.detail == (row.detail or None if name == "index-2.bin" else None)
    key, value = entries[-1]
    assert block.parse_key(key) == block.BlockKey(samples.DATA_ID, 1, 4)
    assert block.decode_value(key, value).payload_bytes == len(samples.LARGE)


def test_superblock_version_1() -> None:
    found = decode_superblock((samples.SAMPLES / "superblock-1.bin").read_bytes())
    assert found == samples.superblock()._replace(incarnation=b"", enforced=0)


def test_superblock_version_2() -> None:
    assert decode_superblock((samples.SAMPLES / "superblock-2.bin").read_bytes()) == samples.superblock()


def test_superblock_version_3() -> None:
    found = decode_superblock((samples.SAMPLES / "superblock-3.bin").read_bytes())
    assert found == samples.superblock()._replace(has_ballots=True)


def test_what_devices_keep_of_their_cluster_version_1() -> None:
    assert decode_cluster((samples.SAMPLES / "cluster-copy-1.bin").read_bytes()) == samples.cluster()
    for name, made in (("ring-copy-1", samples.ring_copy()), ("ring-copy-2", samples.ring_copy(collected=True))):
        stored = (samples.SAMPLES / f"{name}.bin").read_bytes()
        found = decode_ring(stored, samples.cluster().key)
        assert (found.generation, found.records, found.order) == (made.generation, made.records, made.order)
        assert [LAYOUT_CODEC.encode(layout) for layout in found.ring.live] == [
            LAYOUT_CODEC.encode(layout) for layout in made.ring.live
        ]
        assert found.ring.progress == made.ring.progress
    record = RECORD_CODEC.decode((samples.SAMPLES / "device-record-1.bin").read_bytes())
    assert record == made.records[0]
    for at in (0, 20, len(stored) - 1):
        with pytest.raises(DamageError, match="checksum"):
            decode_ring(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :], samples.cluster().key)


def test_records_of_nodes_and_of_their_devices() -> None:
    def sample(name: str) -> bytes:
        return (samples.SAMPLES / name).read_bytes()

    assert RECORD_CODEC.decode(sample("device-record-2.bin")) == samples.device_record()
    assert NODE_CODEC.decode(sample("node-record-1.bin")) == samples.node_record()
    assert LIFE_CODEC.decode(sample("life-1.bin")) == Life(bytes(range(112, 128)), "0.1.0")
    assert TOKEN_CODEC.decode(sample("token-1.bin")) == TokenRecord("n2")
    assert AUTHORITY_CODEC.decode(sample("authority-1.bin")) == Identity(b"certificate", b"key")
    assert NODE_CODEC.encode(samples.node_record()) == sample("node-record-1.bin")
    assert RECORD_CODEC.encode(samples.device_record()) == sample("device-record-2.bin")
    assert RECORD_CODEC.decode(sample("device-record-2-opened.bin")) == samples.opened_record()
    assert RECORD_CODEC.encode(samples.opened_record()) == sample("device-record-2-opened.bin")


def test_formats_are_still_written_as_they_were() -> None:
    assert (samples.SAMPLES / "log-segment-1.bin").read_bytes() == samples.log_segment()[0]
    assert (samples.SAMPLES / "bulk-segment-1.bin").read_bytes() == samples.bulk_segment()[0]
    assert (samples.SAMPLES / "link-segment-1.bin").read_bytes() == samples.link_segment()[0]
    assert (samples.SAMPLES / "log-segment-2.bin").read_bytes() == samples.ballot_segment()[0]
    assert msgpack.unpackb((samples.SAMPLES / "index-3.bin").read_bytes()) == [
        list(entry) for entry in samples.ballot_entries()
    ]
    assert (samples.SAMPLES / "fence-segment-1.bin").read_bytes() == samples.fence_segment()[0]
    assert msgpack.unpackb((samples.SAMPLES / "fence-index-1.bin").read_bytes()) == [
        list(entry) for entry in samples.fence_entries()
    ]
    assert (samples.SAMPLES / "superblock-2.bin").read_bytes() == encode_superblock(samples.superblock())
    with_ballots = samples.superblock()._replace(has_ballots=True)
    assert (samples.SAMPLES / "superblock-3.bin").read_bytes() == encode_superblock(with_ballots)
    assert (samples.SAMPLES / "cluster-copy-1.bin").read_bytes() == encode_cluster(samples.cluster())
    assert (samples.SAMPLES / "ring-copy-2.bin").read_bytes() == encode_ring(samples.ring_copy(collected=True))
    assert msgpack.unpackb((samples.SAMPLES / "link-index-1.bin").read_bytes()) == [
        list(entry) for entry in samples.link_entries()
    ]
    assert msgpack.unpackb((samples.SAMPLES / "index-2.bin").read_bytes()) == [
        list(entry) for entry in samples.index_entries()
    ]


def test_a_version_that_is_not_known_is_refused_in_words() -> None:
    for meta in (msgpack.packb([3, *range(13)]), b"\xc1", msgpack.packb([1])):
        with pytest.raises(DamageError, match="known"):
            decode_meta(meta)
