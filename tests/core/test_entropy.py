"""Random bytes by the page."""

from __future__ import annotations

import pytest

from store.core.entropy import PooledRandom


def test_no_byte_is_given_twice_and_none_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[bytes] = []

    def page(count: int) -> bytes:
        # Every byte of every page is told apart by its place.
        start = sum(map(len, pages)) // 4
        pages.append(b"".join((start + at).to_bytes(4, "big") for at in range(-(-count // 4)))[:count])
        return pages[-1]

    monkeypatch.setattr("os.urandom", page)
    random = PooledRandom()
    drawn = [random.bytes(16) for _ in range(1000)] + [random.bytes(10_000), random.bytes(16), random.bytes(0)]
    assert [len(piece) for piece in drawn] == [16] * 1000 + [10_000, 16, 0]
    assert len(set(drawn[:1000])) == 1000
    assert drawn[1000] not in drawn[1001:]
    assert all(any(piece in page for page in pages) for piece in drawn)
