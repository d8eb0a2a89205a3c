"""What a device says of itself: its incarnation, and the epoch that it enforces, over restarts and from version 1."""

from __future__ import annotations

from random import Random

import msgpack
import pytest
import trio
from xxhash import xxh3_64_intdigest

from store.core.errors import DeviceError, DrystoneError
from store.device.block import BlockKey
from store.engine.device import Device
from store.engine.superblock import read_superblock
from store.objects.rows import prepare
from store.replicator.restore import seal_block
from tests.engine.devices import CLUSTER, disk_of, on_device, row
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium


@pytest.fixture
def medium() -> SimMedium:
    return SimMedium(Random(1))


@pytest.fixture
def index() -> IndexMedium:
    return IndexMedium()


async def _incarnation(device: Device) -> bytes:
    return device.incarnation


def test_an_incarnation_is_drawn_once(medium: SimMedium, index: IndexMedium) -> None:
    first = on_device(medium, index, _incarnation)
    assert len(first) == 16
    assert on_device(medium, index, _incarnation) == first
    medium.wipe()
    index.wipe()
    assert on_device(medium, index, _incarnation) != first


def test_a_device_of_version_1_gets_an_incarnation(medium: SimMedium, index: IndexMedium) -> None:
    packed = msgpack.packb([1, CLUSTER, 1, False])
    file = disk_of(medium).open("device", create=True)
    file.write(0, [packed + xxh3_64_intdigest(packed).to_bytes(8, "little")])
    disk_of(medium).make_folder("log")

    async def look(device: Device) -> tuple[bool, bytes, int]:
        return device.in_sync, device.incarnation, device.enforced

    in_sync, incarnation, enforced = on_device(medium, index, look)
    assert (in_sync, len(incarnation), enforced) == (False, 16, 0)
    medium.lose_power()
    assert on_device(medium, index, look) == (False, incarnation, 0)


def test_what_is_enforced_is_durable_and_only_grows(medium: SimMedium, index: IndexMedium) -> None:
    async def enforce(device: Device) -> None:
        await device.enforce(5)
        assert device.enforced == 5
        await device.enforce(3)
        assert device.enforced == 5
        await device.set_in_sync(in_sync=False)

    on_device(medium, index, enforce)
    medium.lose_power()
    superblock = read_superblock(disk_of(medium))
    assert superblock is not None
    assert (superblock.enforced, superblock.in_sync) == (5, False)


def test_a_superblock_that_cannot_be_written_takes_the_device_out(medium: SimMedium, index: IndexMedium) -> None:
    async def enforce(device: Device) -> None:
        medium.broken = True
        with pytest.raises(DeviceError, match="superblock"):
            await device.enforce(5)
        assert device.enforced == 0
        assert device.health.failed is not None

    on_device(medium, index, enforce)


def test_what_is_under_way_when_a_device_is_taken_out_ends_with_an_error(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        answers: list[DrystoneError | None] = []
        device.submit_row(prepare(row(b"late", 1), 1), lambda _applied, error: answers.append(error))
        key = BlockKey(bytes(16), 0, 0)
        device.submit_block(key, seal_block(key, row(b"late", 1).key, b"x" * 100), answers.append)
        device.submit_sync(device.data_losses, answers.append)
        device.fail("its folder is gone")
        await trio.sleep(10)
        assert len(answers) == 3
        assert sum(answer is device.health.failed for answer in answers) == 2, "all but that the next block may come"

    on_device(medium, index, use)


def test_blocks_written_before_a_device_was_opened_anew_count_as_lost(medium: SimMedium, index: IndexMedium) -> None:
    async def losses(device: Device) -> int:
        await device.sync_data(device.data_losses)
        return device.data_losses

    before = on_device(medium, index, losses)

    async def sync(device: Device) -> None:
        with pytest.raises(DeviceError, match="lost"):
            await device.sync_data(before)

    on_device(medium, index, sync)
