"""Rates of the last minute, and when loops will have done what is left."""

from __future__ import annotations

import pytest

from store.replicator.progress import Progress, ProgressTable
from store.replicator.recent import Recent, ends_in


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall_us(self) -> int:
        return 0


def test_a_rate_is_that_of_the_last_minute_and_not_that_since_the_start() -> None:
    recent = Recent()
    recent.note(0, 0)
    assert recent.rate() == 0
    for second in range(5, 601, 5):  # ten minutes of nothing
        recent.note(second, 0)
    for second in range(605, 631, 5):  # half a minute of ten a second
        recent.note(second, 10 * (second - 600))
    assert recent.rate() == pytest.approx(5)
    for second in range(635, 661, 5):
        recent.note(second, 10 * (second - 600))
    assert recent.rate() == pytest.approx(10)


def test_two_looks_far_apart_give_the_rate_between_them() -> None:
    recent = Recent()
    recent.note(0, 100)
    recent.note(3600, 3700)
    assert recent.rate() == 1


def test_what_begins_anew_has_no_rate_until_it_is_looked_at_again() -> None:
    recent = Recent()
    recent.note(0, 0.2)
    recent.note(10, 0.9)
    recent.note(20, 0.0)
    assert recent.rate() == 0
    recent.note(30, 0.1)
    assert recent.rate() == pytest.approx(0.01)


def test_an_end_is_told_only_of_what_moves_and_is_known() -> None:
    assert ends_in(100, 4) == 25
    assert ends_in(100, 0) is None
    assert ends_in(-1, 4) is None
    assert ends_in(0, 4) is None


def test_a_loop_ends_by_the_share_of_its_round_or_else_by_what_is_left() -> None:
    loop = Progress("rebalance data", share=0.25, done=1, left=-1)
    loop.sample(0)
    loop.share = 0.5
    loop.sample(20)
    assert loop.ends_in() == pytest.approx(40)
    loop.share = None  # the round is over
    loop.sample(25)
    assert loop.ends_in() is None
    loop.left, loop.done = 30, 28
    loop.sample(26)
    assert loop.ends_in() == pytest.approx(30 / (27 / 26))


def test_the_table_shows_the_minute_beside_what_was_since_the_start() -> None:
    clock = Clock()
    table = ProgressTable(clock)
    loop = table.loop("repair")
    table.rows()
    clock.now += 3600
    table.rows()
    clock.now += 30
    loop.done, loop.bytes, loop.left = 60, 3_000_000, 20
    (row,) = table.rows()
    assert row["minute_rate"] == round(60 / 3630, 2)  # nobody looked for an hour
    table = ProgressTable(clock)
    loop = table.loop("repair")
    for _ in range(13):
        table.rows()
        clock.now += 5
    loop.done, loop.bytes, loop.left = 60, 3_000_000, 20
    (row,) = table.rows()
    assert (row["rate"], row["minute_rate"], row["minute_bytes_rate"], row["ends_in_s"]) == (0.92, 1.0, 50000, 20)
