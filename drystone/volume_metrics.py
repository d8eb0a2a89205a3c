"""What is measured of volumes, over all that this process serves: in Prometheus' form, and in a line of status."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from drystone.counted_disk import BOUNDS, Tally, written
from drystone.metrics import buckets
from drystone.volumes import Volumes


class VolumeMetrics(Collector):
    """To be added to `Metrics`."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def collect(self) -> Iterator[Metric]:
        disks, tally = self._volumes.open_disks(), self._volumes.tally
        sums = Tally()
        sums.count(tally.requests, tally.written)
        for disk in disks:
            sums.count(disk.requests, written(disk.figures()))
        requests = CounterMetricFamily("drystone_volume_requests", "Requests to volumes, done.", labels=("kind",))
        moved = CounterMetricFamily("drystone_volume_bytes", "Bytes of these.", labels=("kind",))
        errors = CounterMetricFamily("drystone_volume_errors", "Requests to volumes that failed.", labels=("kind",))
        seconds = HistogramMetricFamily("drystone_volume_request_seconds", "How long they took.", labels=("kind",))
        for kind, counts in sums.requests.items():
            requests.add_metric((kind,), counts.durations.total)
            moved.add_metric((kind,), counts.bytes)
            errors.add_metric((kind,), counts.errors)
            seconds.add_metric((kind,), buckets(BOUNDS, counts.durations.buckets), counts.durations.seconds)
        yield from (requests, moved, errors, seconds)
        about = (
            "Bytes that volumes have written, in each copy: to their logs for clients and for cleaning, checkpoints."
        )
        stored = CounterMetricFamily("drystone_volume_written_bytes", about, labels=("by",))
        for by, count in sums.written.items():
            stored.add_metric((by,), count)
        yield stored
        yield GaugeMetricFamily("drystone_volumes_open", "Volumes that are open in this process.", len(disks))
        about = "Connections of NBD clients that have a volume or a snapshot open, or wait for that."
        yield GaugeMetricFamily("drystone_nbd_connections", about, tally.connections)
        about = "Volumes that were open in this process, and were taken over by another, since the start."
        yield CounterMetricFamily("drystone_volumes_lost", about, tally.lost)


def status_row(volumes: Volumes) -> dict[str, int]:
    """Plain values, for status."""
    tally = volumes.tally
    return {"open": len(volumes.open_disks()), "connections": tally.connections, "lost": tally.lost}
