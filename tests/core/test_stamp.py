"""Stamps grow whatever the clock does, and their bytes are in their order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from store.core.stamp import DRIFT_MAX_US, Stamp, StampSource

stamps = st.builds(Stamp, st.integers(0, 2**63), st.integers(0, 2**32 - 1))


NOW_US = 1_800_000_000_000_000


class _JumpingClock:
    def __init__(self, readings: list[int]) -> None:
        self._readings = readings
        self.now_us = 0

    def wall_us(self) -> int:
        self.now_us = self._readings.pop() if self._readings else self.now_us
        return self.now_us

    def monotonic(self) -> float:
        return 0.0


@settings(derandomize=True)
@given(
    st.lists(st.integers(NOW_US, NOW_US + DRIFT_MAX_US)),
    st.lists(st.one_of(st.none(), st.builds(Stamp, st.integers(0, NOW_US), st.integers(0, 9))), max_size=20),
)
def test_each_stamp_exceeds_all_before_and_all_observed(readings: list[int], seen: list[Stamp | None]) -> None:
    """While clocks agree within the drift."""
    source = StampSource(_JumpingClock(readings or [NOW_US]), 7)
    highest = Stamp(0, 0)
    for observed in seen:
        if observed is not None:
            source.observe(observed)
            highest = max(highest, observed)
        stamp = source.next()
        assert stamp > highest
        highest = stamp


@settings(derandomize=True)
@given(st.lists(st.integers(0, 2**52)), st.lists(stamps, max_size=20))
def test_each_stamp_exceeds_what_its_writer_has_seen_and_none_comes_twice(
    readings: list[int], seen: list[Stamp]
) -> None:
    """Whatever the clocks do."""
    source = StampSource(_JumpingClock(readings), 7)
    given_out = []
    for each in seen:
        source.observe(each)
        given_out += [source.next(each), source.next(each)]
        assert min(given_out[-2:]) > each
        given_out.append(source.next())
    assert len(set(given_out)) == len(given_out)


def test_a_version_of_a_far_future_drags_no_other_row_there() -> None:
    source = StampSource(_JumpingClock([NOW_US]), 7)
    far = Stamp(NOW_US + 12 * 365 * 86_400_000_000, 3)
    source.observe(far)
    assert source.next(far) > far
    assert source.next().time_us < NOW_US + DRIFT_MAX_US


def test_no_two_stamps_above_a_version_of_a_far_future_are_alike() -> None:
    """Two that are at the same row in one process at the same moment, or one after another whose outcome is unknown."""
    source = StampSource(_JumpingClock([NOW_US]), 7)
    far = Stamp(NOW_US + 12 * 365 * 86_400_000_000, 3)
    assert len({source.next(far) for _ in range(1000)}) == 1000


def test_a_clock_that_was_far_ahead_leaves_nothing_behind() -> None:
    clock = _JumpingClock([])
    clock.now_us = NOW_US + 12 * 365 * 86_400_000_000
    source = StampSource(clock, 7)
    ahead = source.next()
    clock.now_us = NOW_US
    after = source.next()
    assert (after.time_us, ahead.time_us) == (NOW_US, NOW_US + 12 * 365 * 86_400_000_000)
    assert after.writer != ahead.writer  # what it gave out at this time before, if it did, is another's


@settings(derandomize=True)
@given(stamps, stamps)
def test_packed_stamps_are_in_order(one: Stamp, other: Stamp) -> None:
    assert (one < other) == (one.pack() < other.pack())
    assert Stamp.unpack(one.pack()) == one
