"""What is counted of volumes: each request once, and nothing forgotten when one is closed."""

from __future__ import annotations

from contextlib import suppress
from unittest import mock

import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import MockClock

from drystone.counted_disk import KINDS, CountedDisk
from drystone.loop_stalls import LoopStalls
from drystone.metrics import Metrics, Requests
from drystone.slow_requests import SlowRequests
from drystone.volume_metrics import VolumeMetrics, status_row
from drystone.volume_report_routes import stats_row
from drystone.volumes import LINGER_SECONDS
from store.blocks.disk import OwnerReplacedError
from store.blocks.owner_watch import OWNER_SECONDS
from store.blocks.volume import Volume
from store.core.clock import SystemClock
from store.core.errors import BusyError
from tests.blocks.conftest import MIB, media, node_of
from tests.blocks.test_checkpointing import checkpoint
from tests.simulation.volume_workload import small_volume_limits
from tests.volumes.test_volumes import PAGE, served


def shown(volumes: VolumeMetrics) -> dict[str, float]:
    """Samples by their names and labels."""
    registry = CollectorRegistry()
    registry.register(volumes)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


async def test_each_request_is_counted_once_with_its_bytes(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk, volumes.open("v") as same:
            assert disk is same
            assert status_row(volumes) == {"open": 1, "connections": 2, "lost": 0}
            assert isinstance(disk, CountedDisk)
            await disk.write(0, b"a" * 3 * PAGE)
            await disk.write(7, b"b", durable=True)
            await disk.read(0, 2 * PAGE)
            await disk.zero(PAGE // 2, 2 * PAGE)  # is two writes of parts, too: these are not asked for
            await disk.discard(0, PAGE)
            await disk.flush()
            await disk.extents(0, MIB, 10)
            with (
                mock.patch.object(Volume, "read", side_effect=BusyError("not now")),
                mock.patch.object(Volume, "write", side_effect=BusyError("not now")),
                mock.patch.object(Volume, "flush", side_effect=BusyError("not now")),
            ):
                for call in (disk.read(0, PAGE), disk.write(0, bytes(PAGE)), disk.flush()):
                    with pytest.raises(BusyError):
                        await call
            row = stats_row(disk)
            counted = {kind: (each["count"], each["bytes"], each["errors"]) for kind, each in row["requests"].items()}
            assert counted == {
                "read": (1, 2 * PAGE, 1),
                "write": (2, 3 * PAGE + 1, 1),
                "zero": (1, 2 * PAGE, 0),
                "discard": (1, PAGE, 0),
                "flush": (1, 0, 1),
            }
            assert row["requests"]["write"]["p99_s"] >= row["requests"]["write"]["mean_s"] > 0
        assert await volumes.disk("v") is not None
        assert status_row(volumes)["connections"] == 0


async def test_sums_go_on_when_a_volume_is_closed(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        metrics = VolumeMetrics(volumes)
        for life in range(1, 3):
            for name in ("v", "w"):
                if life == 1:
                    await volumes.create(name, MIB, "")
                async with volumes.open(name) as disk:
                    await disk.write(0, b"a" * PAGE, durable=True)
            for closed in (False, True):
                found = shown(metrics)
                assert found["drystone_volumes_open"] == (0 if closed else 2)
                assert found["drystone_volume_requests_total write"] == 2 * life
                assert found["drystone_volume_bytes_total write"] == 2 * life * PAGE
                assert found["drystone_volume_request_seconds_count write"] == 2 * life
                assert found["drystone_volume_written_bytes_total clients"] == 2 * life * 2 * PAGE  # with a header
                assert found["drystone_volume_errors_total write"] == 0
                await trio.sleep(2 * LINGER_SECONDS)
        whole = Metrics(
            Requests(), SlowRequests(lambda _: "", SystemClock()), LoopStalls(), list, list, int, float, str
        )
        whole.add(metrics)
        assert b"drystone_volumes_lost_total 0.0" in whole.text()
        assert set(KINDS) == {key.split()[1] for key in found if key.startswith("drystone_volume_errors_total")}


async def test_one_that_was_taken_over_is_counted_there_and_not_here(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        with suppress(OwnerReplacedError):
            async with volumes.open("v") as disk:
                await disk.write(0, b"a" * PAGE)
                async with others.open("v") as other:
                    await other.write(0, b"b" * PAGE)
                    await trio.sleep(2 * OWNER_SECONDS)
                    await disk.read(0, PAGE)
        await trio.sleep(2 * LINGER_SECONDS)
        assert (volumes.tally.lost, others.tally.lost) == (1, 0)
        assert shown(VolumeMetrics(volumes))["drystone_volumes_lost_total"] == 1


async def test_what_is_written_beside_what_clients_wrote(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node, served(node) as volumes:
            await volumes.create("v", MIB, "")
            async with volumes.open("v") as disk, volumes.open_volume("v") as volume:
                assert isinstance(disk, CountedDisk)
                await disk.write(0, b"a" * 100 * PAGE)
                await checkpoint(volume)
                row = stats_row(disk)
                by = row["written_bytes"]
                assert 113 * PAGE <= by["clients"] <= 120 * PAGE  # frames of eight, a page of header each
                assert by["cleaning"] == 0
                assert by["checkpoints"] % (1 << 20) > 2 * PAGE
                assert row["write_amplification"] == round(sum(by.values()) / (100 * PAGE), 2)
                assert row["mapped_blocks"] == 100
                for _ in range(4):
                    for block in range(0, 100, 2):
                        await disk.write(block * PAGE, b"b" * PAGE)
                    await checkpoint(volume)
                await trio.sleep(60)
                figures = volume.figures()
                assert 0 < figures.moved <= figures.logged
                assert figures.live <= figures.log
                assert figures.mapped_blocks == 100
                assert figures.held == 0
                assert figures.map_memory >= 2 * PAGE
                await disk.flush()
                dead = stats_row(disk)["dead_bytes"]
                assert dead == figures.log - figures.live > 0
