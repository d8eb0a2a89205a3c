"""Memory table and index together are one ordered map, and a shard's rows are in the order of their names."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from store.core.stamp import Stamp
from store.device.row import Flag, Location, Row, RowKey, decode_value, index_key, value_of
from store.engine.memtable import Memtable
from store.engine.merged_index import MergedIndex
from store.engine.row_table import RowTable
from store.engine.segment_usage import SegmentUsage
from store.objects.upload import intent_row
from tests.twins.index import IndexMedium, SimIndex

TABLE = b"t" * 16
keys = st.sampled_from([bytes([letter]) for letter in b"abcdefgh"])
LONG = b"l" * 399
NAMES = [b"a", b"b", LONG, LONG + b"1", LONG + b"11", LONG + b"12", LONG + b"13", LONG + b"1\xff", LONG + b"2", b"m"]
names = st.sampled_from(NAMES)


@given(st.lists(st.tuples(st.sampled_from("pdf"), keys, st.binary(max_size=1)), max_size=40), keys, keys)
def test_memtable_is_a_dictionary(steps: list[tuple[str, bytes, bytes]], start: bytes, stop: bytes) -> None:
    table = Memtable()
    model: dict[bytes, bytes | None] = {}
    for step, key, value in steps:
        if step == "f":
            table.freeze()
            table.unflushed()
        else:
            table.put(key, value if step == "p" else None)
            model[key] = value if step == "p" else None
    for key in (bytes([letter]) for letter in b"abcdefgh"):
        assert table.get(key) == (key in model, model.get(key))
    assert table.between(start, stop) == {k: v for k, v in model.items() if start <= k < stop}


def _flush(index: MergedIndex, *, finish: bool) -> None:
    index.write(index.freeze())
    if finish:
        index.flushed()
    else:
        index.unflushed()


def _apply(row_table: RowTable, name: bytes, number: int, flags: int) -> None:
    row = Row(RowKey(1, TABLE, 0, name), Stamp(number, 1), flags, 0, 1, 0, b"", b"", b"", b"")
    row_table.apply(index_key(row.key), row, value_of(row), Location(1, 4096 + number * 64, 64))


steps = st.lists(st.tuples(st.sampled_from("rrrrtfu"), names), max_size=30)


@settings(max_examples=300)
@given(steps, st.one_of(st.just(b""), names), st.one_of(st.none(), names), st.integers(1, 6), st.booleans())
def test_shard_rows_are_in_order(
    steps: list[tuple[str, bytes]], start: bytes, stop: bytes | None, limit: int, reverse: bool
) -> None:
    index = MergedIndex(SimIndex(IndexMedium()))
    row_table = RowTable(index, SegmentUsage(index), lambda key, what: None)
    model: dict[bytes, bool] = {}
    for number, (step, name) in enumerate(steps):
        if step in "fu":
            row_table.note_usage()
            _flush(index, finish=step == "f")
        else:
            _apply(row_table, name, number + 1, Flag.TOMBSTONE if step == "t" else 0)
            model[name] = step == "r"
    within = sorted((n for n in model if start <= n and (stop is None or n < stop)), reverse=reverse)
    found = [decode_value(*e) for e in row_table.shard_entries(1, TABLE, 0, start, stop, limit, reverse=reverse)]
    assert [(row.name, row.live) for row in found] == [(name, model[name]) for name in within[:limit]]
    live = sum(model.values())
    assert row_table.usage(1, TABLE, 0) == ({0: (live, live)} if live else {})
    everything = dict(index.range(b"r", b"s", 1000))
    for size in (1, 2, 3):
        paged: list[bytes] = []
        low = b"r"
        while page := index.range(low, b"s", size):
            paged += [key for key, _ in page]
            low = page[-1][0] + b"\0"
        assert paged == sorted(everything)


def test_nothing_as_old_comes_in_the_ring_hash_of_a_forgotten_tombstone_until_it_is_released() -> None:
    """A replica may still come back with what it had before."""
    index = MergedIndex(SimIndex(IndexMedium()))
    row_table = RowTable(index, SegmentUsage(index), lambda _key, _what: None)
    packed, stamp = index_key(RowKey(1, TABLE, 0, b"o")), Stamp(5, 1).pack()
    _apply(row_table, b"o", 5, Flag.TOMBSTONE)
    assert row_table.retire(packed, stamp)
    again = RowTable(index, SegmentUsage(index), lambda _key, _what: None)
    again.load()
    for kept in (row_table, again):
        for number in (4, 5):
            _apply(kept, b"o", number, 0)
            assert kept.row(packed) is None
    row_table.release(packed, stamp)
    row_table.released(row_table.take_releasing(), durably=False)
    _apply(row_table, b"o", 4, 0)
    assert row_table.row(packed) is None
    row_table.released(row_table.take_releasing(), durably=True)
    _apply(row_table, b"o", 4, 0)
    assert row_table.row(packed) is not None


def test_of_the_same_version_twice_the_later_record_counts() -> None:
    """So a record that was damaged is mended: by the same version from another replica."""
    index = MergedIndex(SimIndex(IndexMedium()))
    row_table = RowTable(index, SegmentUsage(index), lambda _key, _what: None)
    row = Row(RowKey(1, TABLE, 0, b"o"), Stamp(1, 1), 0, 0, 1, 0, b"", b"", b"", b"")
    packed = index_key(row.key)
    for location in (Location(1, 4096, 64), Location(2, 8192, 64)):
        assert row_table.apply(packed, row, value_of(row), location).stamp == row.stamp.pack()
        found = row_table.row(packed)
        assert found is not None
        assert found.location == location


def test_data_are_displaced_by_a_row_that_names_others_or_none() -> None:
    """A row that was changed in nothing but its headers names the same."""
    index = MergedIndex(SimIndex(IndexMedium()))
    row_table = RowTable(index, SegmentUsage(index), lambda _key, _what: None)
    first, second = b"1" * 16, b"2" * 16
    row = Row(RowKey(1, TABLE, 0, b"o"), Stamp(1, 1), Flag.DATA, 0, 1, 0, first, b"", b"", b"")
    later = [
        (row._replace(stamp=Stamp(2, 1), detail=b"changed"), []),
        (row._replace(stamp=Stamp(3, 1), data_id=second), [first]),
        (row._replace(stamp=Stamp(4, 1), flags=Flag.TOMBSTONE, data_id=b""), [first, second]),
    ]
    row_table.apply(index_key(row.key), row, value_of(row), Location(1, 4096, 64))
    for number, (newer, displaced) in enumerate(later, 1):
        row_table.apply(index_key(row.key), newer, value_of(newer), Location(1, 4096 + number * 64, 64))
        assert [note.data_id for note in row_table.garbage(b"", 10)] == displaced


def test_an_upload_that_was_given_up_is_refused_and_its_mark_stays() -> None:
    index = MergedIndex(SimIndex(IndexMedium()))
    row_table = RowTable(index, SegmentUsage(index), lambda _key, _what: None)
    target, data_id = RowKey(1, TABLE, 0, b"o"), b"d" * 16
    mark = intent_row(target, data_id, b"", Flag.ABORT)
    row_table.apply(index_key(mark.key), mark, value_of(mark), Location(1, 4096, 64))
    row = Row(target, Stamp(1, 1), Flag.DATA | Flag.GUARD, 0, 1, 0, data_id, b"", b"", b"")
    for number in (1, 2):
        assert row_table.apply(index_key(target), row, value_of(row), Location(1, 4096 + number * 64, 64)).refused
        assert row_table.row(index_key(target)) is None
        assert row_table.row(index_key(mark.key)) is not None
