"""The memory table is bounded: writers wait while the index is far behind, and are refused where they do not wait."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from store.core.errors import BusyError, DrystoneError, FullError
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.engine import backlog as module
from store.engine.device import Device
from store.engine.maintenance import Maintenance
from tests.engine.devices import on_device, row, write
from tests.replicator.clusters import HEAD, media_of, opened, stamps_of
from tests.simulation.disk import SimMedium
from tests.simulation.worker import Gate, SimWorker
from tests.twins.index import IndexMedium


def test_a_device_whose_index_is_far_behind_admits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANGES_MAX", 50)
    monkeypatch.setattr(module, "FLUSH_CHANGES", 10)

    async def use(device: Device) -> None:
        with pytest.raises(BusyError):
            await write_many(device)
        assert device.merged_index.unwritten < 50 + 10
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.wait_for_index)
            await wait_all_tasks_blocked()
            await device.flush()
        assert await write(device, row(b"more", 1, b"data")) == [None]

    on_device(SimMedium(Random(1)), IndexMedium(), use)


async def write_many(device: Device) -> None:
    for number in range(100):
        await write(device, row(b"%d" % number, 1, b"data"))


async def test_writers_wait_for_an_index_that_is_slow(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHANGES_MAX", 30)
    monkeypatch.setattr(module, "FLUSH_CHANGES", 20)
    async with opened(media_of(3)) as (node, container):
        for number in range(200):
            await node.store.put(container, f"o{number}", b"data", HEAD)
            assert all(device.merged_index.unwritten < 30 + 20 for device in node.devices.values())
        await trio.sleep(10)
        for number in range(200):
            assert len(set(await stamps_of(node, container, f"o{number}"))) == 1


async def test_one_index_that_hangs_does_not_hold_the_others_for_ever(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHANGES_MAX", 30)
    monkeypatch.setattr(module, "FLUSH_CHANGES", 20)
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        index_worker = node.devices[1]._index_worker.inner
        assert isinstance(index_worker, SimWorker)
        gate = index_worker._gate = Gate()
        gate.shut = True
        for number in range(100):
            await node.store.put(container, f"o{number}", b"data", HEAD)
        unwritten = node.devices[1].merged_index.unwritten
        gate.open()
        assert unwritten < 30 + 40  # what was admitted before is still taken in


def test_compaction_goes_on_while_the_index_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be what makes room."""
    compactions = []

    async def compact(_self: Maintenance, below: float) -> int:
        compactions.append(below)
        return 0

    async def use(device: Device) -> None:
        device._options.flush_seconds = 0.1
        index = device._index
        index.write = no_room  # type: ignore[method-assign,assignment]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.run)
            await write(device, row(b"o", 1, b"data"))
            await trio.sleep(2)
            assert len(compactions) > 5
            assert device.health.failed is None
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(Maintenance, "compact", compact)
    on_device(SimMedium(Random(1)), IndexMedium(), use)


def no_room(_changes: object) -> None:
    raise FullError("index cannot grow")


def test_many_blocks_are_dropped_in_slices() -> None:
    async def use(device: Device) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        data_id = b"D" * 16
        for block in range(2000):
            key = BlockKey(data_id, block, 0)
            device.submit_block(key, seal(Kind.BLOCK, encode_meta(key, row(b"o", 1).key), b"x"), _ignore)
        await device.sync_data(device.data_losses)
        dropped = trio.Event()
        device.submit_drop(data_id, lambda _error: dropped.set())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await device._flusher.make_drops()
            nursery.cancel_scope.cancel()
        assert turns >= 2000 // 256 - 1  # the last turn may be the dropping task's alone
        assert await device.has_blocks(data_id) == []
        assert not dropped.is_set()
        await device.flush()
        assert dropped.is_set()

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def _ignore(_error: DrystoneError | None) -> None:
    """It is waited for by a sync."""
