"""What is measured, in Prometheus' form. Requests are counted in plain integers; the rest is read when asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from drystone import slow_requests
from drystone.loop_stalls import BOUNDS, Durations, LoopStalls
from drystone.slow_requests import SlowRequests

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds in seconds."""
METHODS = frozenset({"COPY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Counted by name. Any token may be a method, so all others are counted as one."""
_DEVICE_GAUGES = {
    "free_bytes": "Space that the file system has left.",
    "live_bytes": "Bytes of live records.",
    "damages": "Damage found since the start.",
    "syncs": "Syncs since the start.",
    "records": "Records committed to the log since the start.",
}
_LOOP_GAUGES = {
    "done": "Items done since the start.",
    "left": "Items left; -1 where unknown.",
    "failed": "Tries that failed since the start.",
    "lag_s": "Seconds behind what is due.",
}


class Requests:
    """Counts requests by method and status, and their durations."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def finished(self, method: str, status: int, seconds: float) -> None:
        self.counts[method if method in METHODS else "other", status] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


Rows = Callable[[], Sequence[dict[str, object]]]


class Metrics:
    """Everything that `/metrics` shows."""

    def __init__(
        self,
        requests: Requests,
        slow: SlowRequests,
        stalls: LoopStalls,
        devices: Rows,
        loops: Rows,
        unreadable: Callable[[], int],
        snapshot_age_s: Callable[[], float | None],
        registry_trouble: Callable[[], str],
    ) -> None:
        self._requests = requests
        self._slow = slow
        self._stalls = stalls
        self._devices = devices
        self._loops = loops
        self._unreadable = unreadable
        self._snapshot_age_s = snapshot_age_s
        self._registry_trouble = registry_trouble
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def add(self, more: Collector) -> None:
        """Show what this collects, too."""
        self._registry.register(more)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Called by the library."""
        requests = CounterMetricFamily("drystone_requests", "Requests answered.", labels=("method", "status"))
        for (method, status), count in sorted(self._requests.counts.items()):
            requests.add_metric((method, str(status)), count)
        yield requests
        about = "From head to the last byte of the answer."
        yield histogram("drystone_request_seconds", about, BUCKETS, self._requests.buckets, self._requests.seconds)
        yield _slow_histogram(self._slow)
        yield from _durations(
            "stall", "piece of work, of a sample of them: nothing else runs within one", self._stalls.pieces
        )
        yield from _durations("turn", "turn, in which everything runs that is ready", self._stalls.turns)
        yield from _gauges("drystone_device", "device", self._devices(), _DEVICE_GAUGES)
        up = GaugeMetricFamily("drystone_device_ok", "1 if the device serves and is in sync.", labels=("device",))
        for row in self._devices():
            up.add_metric((str(row["device"]),), float(row["state"] in ("ok", "full")))
        yield up
        yield from _gauges("drystone_loop", "loop", self._loops(), _LOOP_GAUGES)
        about = "Stored records of identity that cannot be used here, since a newer program wrote them."
        yield GaugeMetricFamily("drystone_identity_unreadable", about, self._unreadable())
        about = "1 if the registry answers this process: while it does not, what changes it waits."
        yield GaugeMetricFamily("drystone_registry_ok", about, float(not self._registry_trouble()))
        age_s = self._snapshot_age_s()
        if age_s is not None:
            about = "Since the newest snapshot of the registry on devices of this process was taken."
            yield GaugeMetricFamily("drystone_registry_snapshot_age_seconds", about, age_s)


def histogram(
    name: str, about: str, bounds: Sequence[float], counts: Sequence[int], total: float
) -> HistogramMetricFamily:
    """Of how many there were up to each of the bounds, and above the last; `total` is the sum of all."""
    family = HistogramMetricFamily(name, about)
    family.add_metric((), buckets(bounds, counts), total)
    return family


def _slow_histogram(slow: SlowRequests) -> HistogramMetricFamily:
    about = "What requests that were slow waited for, each part by itself."
    family = HistogramMetricFamily("drystone_slow_request_seconds", about, labels=("part",))
    for part, counts in slow.buckets.items():
        family.add_metric((part,), buckets(slow_requests.BUCKETS, counts), slow.seconds[part])
    return family


def buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """As the library has them: running sums."""
    running = 0
    sums = []
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        running += count
        sums.append((bound, float(running)))
    return sums


def _durations(name: str, what: str, durations: Durations) -> Iterator[Metric]:
    about = f"How long the event loop took for a {what}."
    yield histogram(f"drystone_loop_{name}_seconds", about, BOUNDS, durations.buckets, durations.seconds)
    worst = GaugeMetricFamily(f"drystone_loop_{name}_worst_seconds", f"The longest {name} since the start.")
    worst.add_metric((), durations.worst)
    yield worst


def _gauges(
    prefix: str, label: str, rows: Sequence[dict[str, object]], names: dict[str, str]
) -> Iterator[GaugeMetricFamily]:
    for name, text in names.items():
        family = GaugeMetricFamily(f"{prefix}_{name}", text, labels=(label,))
        for row in rows:
            value = row.get(name)
            if isinstance(value, int | float):
                family.add_metric((str(row[label]),), float(value))
        yield family
