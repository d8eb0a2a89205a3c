"""One contract for LMDB and its twin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.engine.index import Index, LmdbIndex
from tests.twins.index import IndexMedium, SimIndex

keys = st.binary(min_size=1, max_size=3)
changes = st.dictionaries(keys, st.one_of(st.none(), st.binary(max_size=4)), max_size=8)


@pytest.fixture(params=["lmdb", "twin"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Index:
    return LmdbIndex(str(tmp_path)) if request.param == "lmdb" else SimIndex(IndexMedium())


def _write(index: Index, batch: dict[bytes, bytes | None]) -> None:
    index.write((key, batch[key]) for key in sorted(batch))


def test_changes_and_deletions(index: Index) -> None:
    _write(index, {b"a": b"1", b"b": b"2"})
    _write(index, {b"a": None, b"b": b"3", b"none": None})
    assert (index.get(b"a"), index.get(b"b")) == (None, b"3")
    index.close()


def test_an_empty_value_is_not_none(index: Index) -> None:
    _write(index, {b"a": b""})
    assert index.get(b"a") == b""
    assert index.range(b"a", b"b", 10) == [(b"a", b"")]
    index.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_ranges(index: Index, reverse: bool) -> None:
    _write(index, {bytes([letter]): b"" for letter in b"bdfh"})
    for start in b"abcdefghi":
        for stop in b"abcdefghi":
            for limit in range(6):
                within = sorted((k for k in b"bdfh" if start <= k < stop), reverse=reverse)[:limit]
                found = index.range(bytes([start]), bytes([stop]), limit, reverse=reverse)
                assert [key[0] for key, _ in found] == within
    index.close()


@given(st.lists(changes, max_size=5), keys, keys, st.integers(0, 5), st.booleans())
def test_twin_is_a_dictionary(
    batches: list[dict[bytes, bytes | None]], start: bytes, stop: bytes, limit: int, reverse: bool
) -> None:
    index = SimIndex(IndexMedium())
    model: dict[bytes, bytes] = {}
    for batch in batches:
        _write(index, batch)
        for key, value in batch.items():
            model.pop(key, None)
            if value is not None:
                model[key] = value
    expected = sorted(((k, v) for k, v in model.items() if start <= k < stop), reverse=reverse)[:limit]
    assert index.range(start, stop, limit, reverse=reverse) == expected


def test_reads_of_lmdb_write_nothing_to_the_disk(tmp_path: Path) -> None:
    """Its lock file, in which it notes every read, is in memory; what an earlier version left is out of the way."""
    (tmp_path / "lock.mdb").write_bytes(b"stale")
    index = LmdbIndex(str(tmp_path))
    index.write([(b"a", b"1")])
    assert index.get(b"a") == b"1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.mdb"]
    mapped = Path("/proc/self/maps").read_text().splitlines()
    assert not any(str(tmp_path) in line and "rw-s" in line for line in mapped)
    index.close()


def test_what_the_loop_looks_up_is_what_was_written_last(index: Index) -> None:
    assert index.peek(b"a") is None
    for number in range(3):
        index.write([(b"a", b"%d" % number), (b"b", None if number else b"there")])
        assert index.peek(b"a") == index.get(b"a") == b"%d" % number
        assert index.peek(b"b") == (None if number else b"there")
    index.close()


def test_a_reader_that_is_kept_does_not_make_the_index_grow(tmp_path: Path) -> None:
    index = LmdbIndex(str(tmp_path))
    entries = [(b"%04d" % number, bytes(200)) for number in range(2000)]
    sizes = []
    for _ in range(30):
        index.write(entries)
        assert index.peek(b"0000") == bytes(200)
        sizes.append(os.path.getsize(tmp_path / "data.mdb"))
    assert sizes[-1] == sizes[5]
    index.close()
