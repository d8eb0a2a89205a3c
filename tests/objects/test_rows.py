"""Rows whose homes differ: what is read, and what a write does to what is there."""

from __future__ import annotations

from random import Random

import trio
from trio.testing import MockClock

from store.engine.device import Device
from store.objects.store import ObjectUpload
from tests.replicator.clusters import HEAD, exists, homes_of, key_of, machine_of, opened
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.worker import Gate, SimWorker

LARGE = Random(1).randbytes(3 * BLOCK_BYTES)
HOUR_US = 3600 * 1_000_000


async def test_what_is_written_is_there_though_the_version_before_came_from_a_clock_that_is_ahead(
    autojump_clock: MockClock,
) -> None:
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"ahead", HEAD)
        rows = house.store.rows
        key, packed = key_of(house, container, "o")
        found = await rows.read(key, packed)
        assert found is not None
        row = await rows.load(key, packed, found)
        await rows.write(row._replace(stamp=row.stamp._replace(time_us=row.stamp.time_us + HOUR_US)), packed)
        await house.store.put(container, "o", b"new", HEAD)
        async with house.store.open(container, "o") as opened_row:
            assert opened_row.inline == b"new"


async def test_a_row_is_found_at_the_one_home_that_has_it_and_is_to_be_believed(autojump_clock: MockClock) -> None:
    """Acknowledged by two: one of them was replaced since, and the third lags. The silence of the new one counts for
    nothing."""
    async with opened(machine_of(3)) as (house, container):
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(house, container, "o")[1]
        replaced, lagging, _ = (house.devices[home] for home in homes_of(house, container, "o"))
        for device in (replaced, lagging):
            row = await device.find_row(packed)
            assert row is not None
            device.forget_row(packed, row.stamp)
        replaced.trusted = False
        assert await exists(house.store, container, "o")


def hold_log(device: Device) -> Gate:
    """The next records of the device's log are written when the gate opens."""
    worker = device._log_worker.inner
    assert isinstance(worker, SimWorker)
    gate = worker._gate = Gate()
    gate.shut = True
    return gate


async def test_a_home_that_missed_the_commit_of_an_upload_does_not_keep_its_mark(autojump_clock: MockClock) -> None:
    """It says so when the upload is closed already."""
    async with opened(machine_of(3)) as (house, container):
        late = house.devices[homes_of(house, container, "o")[-1]]
        async with house.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
            await upload.digest()
            await trio.sleep(5)
            assert len(await late.uploads(b"", 10)) == 1
            gate = hold_log(late)
            await upload.commit(HEAD)
        house.machine.media[late.id].fail_syncs = 1
        gate.open()
        await trio.sleep(60)
        for device in house.devices.values():
            assert await device.uploads(b"", 10) == []
        assert await exists(house.store, container, "o")
