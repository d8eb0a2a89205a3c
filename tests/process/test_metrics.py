"""What is measured stays small, whatever is asked."""

from __future__ import annotations

import pytest

from drystone.loop_stalls import LoopStalls
from drystone.metrics import Metrics, Requests


def test_methods_that_nobody_knows_are_counted_as_one() -> None:
    """Any token is a method: a series for each would let strangers fill the memory, here and where metrics are kept."""
    requests = Requests()
    for number in range(100):
        requests.finished(f"M{number}", 405, 0.001)
    requests.finished("GET", 200, 0.001)
    assert requests.counts == {("other", 405): 100, ("GET", 200): 1}
    shown = Metrics(requests, LoopStalls(), list, list, lambda: 3).text()
    assert b'drystone_requests_total{method="other",status="405"} 100.0' in shown
    assert b"drystone_identity_unreadable 3.0" in shown


def test_turns_of_the_loop_are_counted_by_how_long_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("drystone.loop_stalls.time.perf_counter", lambda: now)
    stalls = LoopStalls()
    for turns, took in ((980, 0.0005), (15, 0.004), (4, 0.015), (1, 0.2)):
        for _ in range(turns):
            stalls.after_io_wait(0)
            now += took
            stalls.before_io_wait(0)
            now += 5.0  # nothing was to be done
    assert stalls.turns == 1000
    assert (stalls.quantile(0.5), stalls.quantile(0.99), stalls.quantile(0.999)) == (0.001, 0.005, 0.02)
    assert round(stalls.worst, 3) == 0.2
    assert b'drystone_loop_stall_seconds_bucket{le="0.01"} 995.0' in Metrics(Requests(), stalls, list, list, int).text()
    stalls.forget()
    assert (stalls.turns, stalls.worst) == (0, 0.0)
