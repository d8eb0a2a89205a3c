"""Stamps grow whatever the clock does, and their bytes are in their order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from store.core.stamp import Stamp, StampSource

stamps = st.builds(Stamp, st.integers(0, 2**63), st.integers(0, 2**32 - 1))


class _JumpingClock:
    def __init__(self, readings: list[int]) -> None:
        self._readings = readings

    def wall_us(self) -> int:
        return self._readings.pop() if self._readings else 0

    def monotonic(self) -> float:
        return 0.0


@settings(derandomize=True)
@given(st.lists(st.integers(0, 2**40)), st.lists(st.one_of(st.none(), stamps), max_size=20))
def test_each_stamp_exceeds_all_before_and_all_seen(readings: list[int], seen: list[Stamp | None]) -> None:
    source = StampSource(_JumpingClock(readings), 7)
    highest = Stamp(0, 0)
    for observed in seen:
        if observed is not None:
            source.observe(observed)
            highest = max(highest, observed)
        stamp = source.next()
        assert stamp > highest
        highest = stamp


@settings(derandomize=True)
@given(stamps, stamps)
def test_packed_stamps_are_in_order(one: Stamp, other: Stamp) -> None:
    assert (one < other) == (one.pack() < other.pack())
    assert Stamp.unpack(one.pack()) == one
