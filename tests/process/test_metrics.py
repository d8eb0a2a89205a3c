"""What is measured stays small, whatever is asked."""

from __future__ import annotations

from drystone.metrics import Metrics, Requests


def test_methods_that_nobody_knows_are_counted_as_one() -> None:
    """Any token is a method: a series for each would let strangers fill the memory, here and where metrics are kept."""
    requests = Requests()
    for number in range(100):
        requests.finished(f"M{number}", 405, 0.001)
    requests.finished("GET", 200, 0.001)
    assert requests.counts == {("other", 405): 100, ("GET", 200): 1}
    shown = Metrics(requests, list, list).text()
    assert b'drystone_requests_total{method="other",status="405"} 100.0' in shown
