"""A record is what was written, at the place that it was written to, or it is no record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.core.errors import DamageError
from store.core.limits import CHECK_BYTES
from store.device.record import BULK_ALIGN, LOG_ALIGN, Kind, lay_out, parse_header, read_record, seal, verify_payload

SEGMENT, OFFSET = 7, 8192


def _bytes(meta: bytes, payload: bytes, align: int) -> tuple[bytes, int]:
    sealed = seal(Kind.ROW, meta, payload)
    buffers, length, payload_at = lay_out(sealed, seq=9, durable=8, segment=SEGMENT, offset=OFFSET, align=align)
    data = b"".join(buffers)
    assert len(data) == length
    assert length % align == 0
    return data, payload_at


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([LOG_ALIGN, BULK_ALIGN]))
def test_what_was_written_is_read(meta: bytes, payload: bytes, align: int) -> None:
    data, _ = _bytes(meta, payload, align)
    header, its_meta, its_payload = read_record(data, segment=SEGMENT, offset=OFFSET)
    assert (header.kind, header.seq, header.durable) == (Kind.ROW, 9, 8)
    assert (bytes(its_meta), bytes(its_payload)) == (meta, payload)


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from([LOG_ALIGN, BULK_ALIGN]), st.data())
def test_any_flipped_bit_is_noticed(meta: bytes, payload: bytes, align: int, data: st.DataObject) -> None:
    good, payload_at = _bytes(meta, payload, align)
    body = 56 + (8 if payload else 0) + len(meta)
    meaningful = [*range(body), *range(payload_at, payload_at + len(payload))]
    bad = bytearray(good)
    bad[data.draw(st.sampled_from(meaningful))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamageError):
        read_record(bad, segment=SEGMENT, offset=OFFSET)


@pytest.mark.parametrize(("segment", "offset"), [(SEGMENT + 1, OFFSET), (SEGMENT, OFFSET + 8)])
def test_a_record_elsewhere_is_none(segment: int, offset: int) -> None:
    data, _ = _bytes(b"meta", b"payload", LOG_ALIGN)
    assert parse_header(data, segment=segment, offset=offset) is None


@pytest.mark.parametrize(
    ("payload", "pages", "payload_at"),
    [
        (0, 1, 4096),
        (512, 1, 3584),
        (4096 - 100, 1, 100),
        (4096 - 99, 2, 4096),
        (4096, 2, 4096),
        (5 * 4096 + 512, 6, 3584),
        (CHECK_BYTES, 17, 4096),
        (CHECK_BYTES + 512, 18, 4096),
    ],
)
def test_the_payload_of_a_small_record_ends_with_a_page_where_its_first_bytes_have_room(
    payload: int, pages: int, payload_at: int
) -> None:
    meta = bytes(100 - 56 - 8)
    data, at = _bytes(meta, bytes(payload), BULK_ALIGN)
    assert (len(data), at) == (pages * 4096, payload_at)
    assert len(read_record(data, segment=SEGMENT, offset=OFFSET)[2]) == payload


@given(st.integers(0, 60))
def test_a_record_cut_short_is_none(length: int) -> None:
    data, _ = _bytes(b"meta", b"payload", LOG_ALIGN)
    with pytest.raises(DamageError):
        read_record(data[:length], segment=SEGMENT, offset=OFFSET)


def test_pieces_of_payload_are_verified_by_themselves() -> None:
    payload = bytearray(bytes(range(256)) * (CHECK_BYTES // 128 + 3))
    sums = seal(Kind.BLOCK, b"", payload).body
    payload[0] ^= 1
    verify_payload(sums, payload[CHECK_BYTES : 2 * CHECK_BYTES], 1)
    verify_payload(sums, payload[2 * CHECK_BYTES :], 2)
    with pytest.raises(DamageError):
        verify_payload(sums, payload[:CHECK_BYTES])
