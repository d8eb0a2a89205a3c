"""What is measured stays small, whatever is asked."""

from __future__ import annotations

import pytest
import trio

from drystone.loop_stalls import SAMPLED, LoopStalls
from drystone.metrics import Metrics, Requests
from drystone.slow_requests import SlowRequests
from store.core.clock import SystemClock


def nothing_slow() -> SlowRequests:
    return SlowRequests(lambda _number: "", SystemClock())


def test_methods_that_nobody_knows_are_counted_as_one() -> None:
    """Any token is a method: a series for each would let strangers fill the memory, here and where metrics are kept."""
    requests = Requests()
    for number in range(100):
        requests.finished(f"M{number}", 405, 0.001)
    requests.finished("GET", 200, 0.001)
    assert requests.counts == {("other", 405): 100, ("GET", 200): 1}
    shown = Metrics(requests, nothing_slow(), LoopStalls(), list, list, lambda: 3, lambda: 60.0, str).text()
    assert b'drystone_requests_total{method="other",status="405"} 100.0' in shown
    assert b"drystone_identity_unreadable 3.0" in shown
    assert b"drystone_registry_snapshot_age_seconds 60.0" in shown
    assert b"drystone_registry_ok 1.0" in shown


def test_turns_of_the_loop_are_counted_by_how_long_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("drystone.loop_stalls.time.perf_counter", lambda: now)
    monkeypatch.setattr("drystone.loop_stalls.SAMPLED", 10_000)
    stalls = LoopStalls()
    for count, took in ((980, 0.0005), (15, 0.004), (4, 0.015), (1, 0.2)):
        for _ in range(count):
            stalls.after_io_wait(0)
            now += took
            stalls.before_io_wait(0)
            now += 5.0  # nothing was to be done
    turns = stalls.turns
    assert turns.total == 1000
    assert (turns.quantile(0.5), turns.quantile(0.99), turns.quantile(0.999)) == (0.001, 0.005, 0.02)
    assert round(turns.worst, 3) == 0.2
    shown = Metrics(Requests(), nothing_slow(), stalls, list, list, int, float, str).text()
    assert b'drystone_loop_turn_seconds_bucket{le="0.01"} 995.0' in shown
    stalls.forget()
    assert (turns.total, turns.worst) == (0, 0.0)


async def test_pieces_of_work_are_measured_in_one_turn_of_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("drystone.loop_stalls.time.perf_counter", lambda: now)

    async def work() -> None:
        nonlocal now
        for _ in range(10 * SAMPLED):
            now += 0.004
            await trio.lowlevel.checkpoint()

    stalls = LoopStalls()
    trio.lowlevel.add_instrument(stalls)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(work)
    trio.lowlevel.remove_instrument(stalls)
    # Each turn runs the three one after the other: 12 ms, though no piece of work took longer than 4.
    assert round(stalls.turns.quantile(0.5), 6) == 0.012
    assert 9 * 3 <= stalls.pieces.total <= 11 * 4
    assert round(stalls.pieces.worst, 6) == 0.004
    shown = Metrics(Requests(), nothing_slow(), stalls, list, list, int, float, str).text().decode()
    assert f'drystone_loop_stall_seconds_bucket{{le="+Inf"}} {stalls.pieces.total}.0' in shown
