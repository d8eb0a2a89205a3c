"""Blocks that were lost to a failed write or sync: whoever asks for a sync afterwards is answered."""

from __future__ import annotations

from random import Random

import trio

from store.core.errors import DeviceError, DrystoneError, FullError
from store.core.worker import WatchedWorker
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.engine.device import Device
from tests.engine.devices import on_device, row
from tests.simulation.disk import SimMedium
from tests.simulation.worker import Gate, SimWorker
from tests.twins.index import IndexMedium

DATA = b"D" * 16


def submit(device: Device, block: int) -> list[DrystoneError | None]:
    """Hand a block over; its answer, once there is one."""
    answers: list[DrystoneError | None] = []
    key = BlockKey(DATA, block, 0)
    device.submit_block(key, seal(Kind.BLOCK, encode_meta(key, row(b"o", 1).key), bytes(5000)), answers.append)
    return answers


def sync(device: Device) -> list[DrystoneError | None]:
    answers: list[DrystoneError | None] = []
    device.submit_sync(device.data_losses, answers.append)
    return answers


def gate_of(worker: WatchedWorker) -> Gate:
    assert isinstance(worker.inner, SimWorker)
    gate = worker.inner._gate = Gate()
    return gate


def test_a_sync_that_is_asked_for_behind_a_failed_one_does_not_wait_for_what_is_lost() -> None:
    """A block was on its way into the segment that the failed sync made void."""
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        writes = gate_of(device._bulk_worker)
        written = submit(device, 0)
        await trio.sleep(1)
        assert written == [None]
        writes.shut = True
        medium.fail_syncs = 1
        failed = sync(device)
        late = submit(device, 1)
        await trio.sleep(1)
        assert isinstance(failed[0], DeviceError)
        again = sync(device)
        assert again == [], "a block is under way"
        writes.open()
        await trio.sleep(1)
        assert isinstance(late[0], DeviceError)
        assert again == [None]

    on_device(medium, IndexMedium(), use)


def test_a_sync_that_is_asked_for_behind_a_failed_write_does_not_wait_for_what_is_lost() -> None:
    """A sync of blocks before it was under way."""
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        syncs = gate_of(device._bulk_sync_worker)
        submit(device, 0)
        await trio.sleep(1)
        syncs.shut = True
        before = sync(device)
        medium.capacity = medium.used()
        late = submit(device, 1)
        await trio.sleep(1)
        assert isinstance(late[0], FullError)
        assert isinstance(before[0], FullError)
        again = sync(device)
        syncs.open()
        await trio.sleep(1)
        assert again == [None]

    on_device(medium, IndexMedium(), use)
